"""Studies: many trainings from one file, on Dask, and what they say of the paper's findings."""
