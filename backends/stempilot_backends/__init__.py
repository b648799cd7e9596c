"""Built-in backends: the simulator, the replay, the USETEM Themis, and the physics they share."""
