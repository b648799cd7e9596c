"""What a plug-in promises: backends, tasks, agents, emulators, and the values they exchange."""
