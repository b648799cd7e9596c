"""Bytes on the wire: HTTP, XML-RPC, arrays and faults."""
