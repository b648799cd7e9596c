"""What may be moved, and putting it back: envelope, guard, audit, lock, signals."""
