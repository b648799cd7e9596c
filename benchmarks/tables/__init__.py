"""Every agent in every condition, as tables and figures: ``python -m benchmarks.tables``."""
