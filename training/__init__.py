"""Makes the weights that the package ships; not part of the wheel."""
