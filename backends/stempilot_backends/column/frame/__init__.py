"""Draws frames: the camera, compiled kernels, and the exact noise of a level."""
