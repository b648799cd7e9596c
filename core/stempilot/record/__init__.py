"""What a run leaves on disk: run directory, events, frames, figures, log."""
