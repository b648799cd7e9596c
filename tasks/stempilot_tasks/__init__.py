"""Built-in tasks; plug-ins like any stranger's."""
