"""Learners on Stable-Baselines3 and sb3-contrib: `sac`, `tqc`, `crossq`, `dqn`."""
