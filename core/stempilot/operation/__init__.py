"""A task on an instrument, as Gymnasium sees it: session, environments, episodes, scores."""
