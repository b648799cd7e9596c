"""Training and figures of agent `universal`."""
