"""Agents that do not learn: `adaptive`, `proportional`, `random`, and `recorded`."""
