"""What moves tell of the instrument: beliefs, and noticing that the response changed."""
