"""Backend ``usetem-themis``: a client of the USETEM temscript server over XML-RPC."""
