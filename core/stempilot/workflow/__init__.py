"""Chains tasks, and steps of the operator, into one run that can be resumed."""
