"""A recorded run as an instrument."""
