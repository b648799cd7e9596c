"""Correcting the probe by its Ronchigram: the tasks of stigmator and focus, and their reading."""
