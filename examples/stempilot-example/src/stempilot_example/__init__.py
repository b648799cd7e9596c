"""A complete plug-in package for stempilot: a desktop STEM, a focusing task, a line search."""
