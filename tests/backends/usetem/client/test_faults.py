"""Fault strings become one readable line, whatever the server puts into them."""

import pytest

from stempilot.errors import BackendError
from stempilot_backends.usetem.wire.faults import ServerFaultError, fault


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "<class '_ctypes.COMError'>:(-2147352567, 'Exception occurred.', (None, 'busy'))",
            "m failed on the server: COM error 0x80020009: 'Exception occurred.', (None, 'busy')",
        ),
        (
            "<class 'comtypes.COMError'>:(-2147467259, 'Unspecified error', ())",
            "m failed on the server: COM error 0x80004005: 'Unspecified error', ()",
        ),
        ("<class '_ctypes.COMError'>:gone", "m failed on the server: COMError: gone"),
        (
            """<class 'Exception'>:method "x" is not supported""",
            'm failed on the server: Exception: method "x" is not supported',
        ),
        ("<class 'TypeError'>:", "m failed on the server: TypeError: "),
        ("out of order", "m failed on the server: out of order"),
        ("two\nlines\x1b[31m", "m failed on the server: two lines [31m"),
        (7, "m failed on the server: int"),
        (None, "m failed on the server: NoneType"),
    ],
)
def test_a_fault_is_told_in_one_line(text, said):
    found = fault("m", text)
    assert isinstance(found, ServerFaultError)
    assert isinstance(found, BackendError)
    assert str(found) == said
    assert found.method == "m"


def test_a_long_fault_is_cut():
    assert len(str(fault("m", "<class 'ValueError'>:" + "x" * 60000))) < 400


def test_the_class_on_the_server_is_kept():
    assert fault("m", "<class '_ctypes.COMError'>:(1, 'a', ())").kind == "_ctypes.COMError"
