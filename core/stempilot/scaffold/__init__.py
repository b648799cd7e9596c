"""Writes a new plug-in package, from a template that is a working package itself."""
