"""The report of a run: one HTML file with its figures, read from the run directory alone."""

from stempilot.report.plain import plain_matplotlib

with plain_matplotlib():
    # Whoever imports matplotlib first decides which rc file and which backend it reads.
    from stempilot.report.writing import PLOTS, write_report

__all__ = ["PLOTS", "write_report"]
