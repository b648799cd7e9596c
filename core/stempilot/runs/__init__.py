"""Carries out train, relearn, run and restore."""
