"""What can go wrong with an instrument: one table for emulators and tests."""
