"""Turns names and options into parts: finds plug-ins, reads options, loads what they make."""
