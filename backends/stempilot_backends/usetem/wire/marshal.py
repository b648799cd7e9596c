"""XML-RPC documents: what is sent, and a guarded reading of what comes back.

A long binary value is cut out of the reply by hand, as the XML parser takes most of a frame's time.
All the rest of a reply is short, so that parsing it costs little time and memory. Document types
and entities, which XML bombs are made of, are refused.
"""

import binascii
import xmlrpc.client
from collections.abc import Sequence
from typing import Any
from xml.parsers import expat

from stempilot import BackendError
from stempilot_backends.usetem.wire.faults import fault

MAX_XML_BYTES = 64 * 1024
"""Longest reply without binary values."""

_OPEN, _CLOSE = b"<base64>", b"</base64>"
_DAMAGED = (
    expat.ExpatError,
    xmlrpc.client.Error,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
)
"""Errors of expat and the unmarshaller on documents that are no XML-RPC replies."""


def request(method: str, params: Sequence[Any]) -> bytes:
    """Return the call as an XML document; params are plain Python values, nothing of NumPy."""
    return xmlrpc.client.dumps(tuple(params), method).encode()


def reply(body: bytearray, method: str) -> tuple[Any, bytes | None]:
    """Return the value of a reply, and the binary value that was cut out of it.

    Where one was, the value holds ``b""``.

    Args:
        body: the XML document.
        method: what was called, for messages.

    Raises:
        ServerFaultError: the server answered with a fault.
        BackendError: the document is no reply, or may not be read.
    """
    begin = body.find(_OPEN)
    if begin < 0:
        return _value(bytes(body[: MAX_XML_BYTES + 1]), method), None
    begin += len(_OPEN)
    end = body.find(_CLOSE, begin)
    if end < 0 or body.find(_OPEN, end) >= 0:
        msg = f"{method}: the reply holds a binary value without end, or more than one"
        raise BackendError(msg)
    rest = bytes(body[:begin][: MAX_XML_BYTES + 1] + body[end:][: MAX_XML_BYTES + 1])
    value = _value(rest, method)
    try:
        with memoryview(body) as view:
            return value, binascii.a2b_base64(view[begin:end])
    except binascii.Error as error:
        msg = f"{method}: the reply's binary value is damaged: {error}"
        raise BackendError(msg) from error


def _value(document: bytes, method: str) -> Any:
    if len(document) > MAX_XML_BYTES:
        msg = f"{method}: the reply is longer than {MAX_XML_BYTES} bytes, which no value of it is"
        raise BackendError(msg)
    try:
        values = _parsed(document)
    except xmlrpc.client.Fault as error:
        raise fault(method, error.faultString) from error
    except _DAMAGED as error:
        msg = f"{method}: the reply is no XML-RPC: {type(error).__name__}: {str(error)[:100]}"
        raise BackendError(msg) from error
    if len(values) != 1:
        msg = f"{method}: the reply holds {len(values)} values, not one"
        raise BackendError(msg)
    return values[0]


def _parsed(document: bytes) -> tuple[Any, ...]:
    target = xmlrpc.client.Unmarshaller(use_builtin_types=True)
    target.xml("", None)  # expat delivers text, there is nothing left to decode
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = target.start
    parser.EndElementHandler = target.end
    parser.CharacterDataHandler = target.data
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    parser.Parse(document, True)
    return tuple(target.close())


def _refuse(*_: Any) -> int:
    msg = "the reply declares a document type or an entity, which is refused"
    raise BackendError(msg)
