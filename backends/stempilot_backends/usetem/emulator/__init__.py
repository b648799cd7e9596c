"""Emulator ``usetem-themis``: the USETEM server of a Themis, on the simulator's own column."""
