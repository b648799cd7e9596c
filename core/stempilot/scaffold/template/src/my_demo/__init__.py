"""A plug-in package for stempilot."""
