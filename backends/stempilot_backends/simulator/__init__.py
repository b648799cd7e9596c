"""Backend ``simulator``: the shared physics behind the backend contract, in this process."""
