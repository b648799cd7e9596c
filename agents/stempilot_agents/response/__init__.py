"""What moves tell of the instrument: beliefs, fits, and noticing that the response changed."""
