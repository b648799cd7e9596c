"""Readings: tasks that measure the disk and what moves it, and change nothing."""
