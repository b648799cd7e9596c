"""Built-in tasks: operations of the instrument. Plug-ins like any third party's."""
