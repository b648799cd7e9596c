"""Built-in agents. Plug-ins like any third party's."""
