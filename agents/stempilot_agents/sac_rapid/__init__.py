"""Agent `sac-rapid`: soft actor-critic that learns in about 100 timesteps."""
