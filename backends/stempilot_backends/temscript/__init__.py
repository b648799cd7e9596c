"""A microscope served by the package temscript over HTTP and JSON."""
