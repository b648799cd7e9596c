"""Built-in agents; plug-ins like any stranger's."""
