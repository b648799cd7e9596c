"""Pickled lists of arrays are read; every other pickle is refused and runs nothing."""

import os
import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from stempilot.errors import FrameError
from stempilot_backends.usetem.wire.arrays import read_arrays

IMAGE = np.arange(12, dtype=np.int32).reshape(4, 3)


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize(
    "array",
    [
        IMAGE,
        np.asfortranarray(IMAGE),
        IMAGE[::2, ::-1],
        IMAGE.astype(">i4"),
        IMAGE.astype(np.uint8),
        IMAGE.astype(np.uint16),
        IMAGE.astype(np.int64),
        IMAGE.astype(np.float32),
        IMAGE.astype(np.float64) / 3,
        np.zeros((0, 5), np.int16),
        np.arange(5, dtype=np.int16),
    ],
    ids=lambda array: f"{array.dtype.str} {array.shape} {array.flags.f_contiguous}",
)
def test_arrays_of_numbers_are_read_as_numpy_wrote_them(protocol, array):
    found = read_arrays(pickle.dumps([array, array, array[:1]], protocol))
    assert len(found) == 3
    for one, expected in zip(found, [array, array, array[:1]], strict=True):
        assert one.dtype == expected.dtype
        assert np.array_equal(one, expected)


def test_an_empty_list_and_an_old_module_name_are_read():
    assert read_arrays(pickle.dumps([], 4)) == []
    old = pickle.dumps([IMAGE], 3).replace(b"numpy._core.", b"numpy.core.")
    assert np.array_equal(read_arrays(old)[0], IMAGE)


def test_reading_copies_the_pixels_once():
    pickled = pickle.dumps([np.zeros((1000, 1000), np.int32)], 4)
    tracemalloc.start()
    try:
        read_arrays(pickled)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * len(pickled)
    finally:
        tracemalloc.stop()


class Calls:
    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def ran(*_):
    raise AssertionError("a pickle ran code")


GOOD = pickle.dumps([np.zeros((4, 3), np.int32)], 4)
HEADER = b"\x80\x04"

REFUSED = {
    "calls a function": (pickle.dumps([Calls(ran, ())], 4), "might run code"),
    "calls os.system": (pickle.dumps(Calls(os.system, ("true",)), 4), "might run code"),
    "names os.system in protocol 0": (b"cos\nsystem\n(S'true'\ntR.", "might run code"),
    "names it by dots": (
        GOOD.replace(b"\x8c\x05numpy\x94\x8c\x07ndarray", b"\x8c\x05numpy\x94\x8c\x07os.path"),
        "might run code",
    ),
    "names it through an extension": (HEADER + b"\x82\x01.", "instruction EXT1"),
    "names it by a persistent id": (HEADER + b"\x88Q.", "instruction BINPERSID"),
    "makes an object": (HEADER + b"))\x81.", "instruction NEWOBJ"),
    "makes an instance": (HEADER + b"(ios\nsystem\n.", "instruction INST"),
    "calls what it must not": (HEADER + b"K\x01)R.", "it calls 'int'"),
    "calls the type of arrays": (HEADER + b"cnumpy\nndarray\n)R.", "it calls 'numpy.ndarray'"),
    "sets the state of a list": (HEADER + b"])b.", "state of a list"),
    "sets the state of a global": (HEADER + b"cnumpy\nndarray\n}b.", "EMPTY_DICT"),
    "sets a state twice": (
        GOOD[:-2] + b"h\x0a" + b"(K\x01)h\x10\x89C\0tb" + b"e.",
        "state of a|no list of arrays",
    ),
    "objects": (pickle.dumps([np.array([1, "a"], object)], 4), "type 'O8', not of plain numbers"),
    "texts": (pickle.dumps([np.array(["abc"])], 4), "type 'U3', not of plain numbers"),
    "complex numbers": (pickle.dumps([np.zeros(2, complex)], 4), "type 'c16'"),
    "records": (pickle.dumps([np.zeros(2, [("a", "i4")])], 4), "type 'V4'"),
    "times": (pickle.dumps([np.zeros(2, "M8[s]")], 4), "type 'M8'"),
    "a number": (pickle.dumps(1, 4), "holds a int, not a list"),
    "a dictionary": (pickle.dumps({}, 4), "instruction EMPTY_DICT"),
    "one array": (pickle.dumps(IMAGE, 4), "not a list"),
    "a list of numbers": (pickle.dumps([1], 4), "holds a int, not only arrays"),
    "an array without state": (
        HEADER + b"]cnumpy._core.multiarray\n_reconstruct\n)Ra.",
        "_Pending, not only arrays",
    ),
    "too few bytes": (GOOD.replace(b"K\x04K\x03", b"K\x05K\x03"), r"shape \(5, 3\) and type int32"),
    "too many bytes": (GOOD.replace(b"K\x04K\x03", b"K\x01K\x03"), "in 48 bytes"),
    "a negative side": (
        GOOD.replace(b"K\x04K\x03", b"J\xfc\xff\xff\xffJ\xfd\xff\xff\xff"),
        "whole numbers",
    ),
    "a side that is a flag": (GOOD.replace(b"K\x04K\x03", b"\x88K\x03"), "whole numbers"),
    "an unknown byte order": (GOOD.replace(b"\x8c\x01<", b"\x8c\x01!"), "records"),
    "something after the end": (GOOD + b".", "does not end where it should"),
    "two values": (HEADER + b"]].", "does not end where it should"),
    "nothing": (b"", "no list of arrays"),
    "half of it": (GOOD[: len(GOOD) // 2], "no list of arrays"),
    "no pickle": (b"\xff\xfe\xfd", "no list of arrays"),
    "an empty stack": (HEADER + b".", "does not end where it should"),
    "a mark that is missing": (HEADER + b"t.", "no list of arrays"),
    "a memo that is missing": (HEADER + b"h\x07.", "no list of arrays"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_pickles_are_refused(name):
    pickled, part = REFUSED[name]
    with pytest.raises(FrameError, match=part) as raised:
        read_arrays(pickled)
    assert len(str(raised.value)) < 400


BOMBS = {
    "bytes of 4 GB": HEADER + b"\x8e" + struct.pack("<Q", 2**32) + b"a.",
    "bytes of 2 ** 62": HEADER + b"\x8e" + struct.pack("<Q", 2**62) + b"a.",
    "a byte array of 4 GB": HEADER + b"\x96" + struct.pack("<Q", 2**32) + b"a.",
    "a million lists": HEADER + b"]" * 1_000_000 + b".",
    "tuples of twice the one before": HEADER + b")" + b"2\x86" * 1500 + b".",
    "tuples of twice the one before, memoised": HEADER
    + b")\x94"
    + b"h\x00h\x00\x86q\x00" * 900
    + b".",
    "the same as a name": HEADER + b")\x94" + b"h\x00h\x00\x86q\x00" * 900 + b"\x8c\x01a\x93.",
    "the same as a shape": GOOD.replace(b"K\x04K\x03\x86", b")\x94" + b"h\x0bh\x0b\x86q\x0b" * 800),
    "an integer of 200 bytes as a side": GOOD.replace(
        b"K\x04K\x03", b"\x8a\xc8" + b"\x7f" * 200 + b"K\x00"
    ),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.timeout(10)
def test_pickles_that_would_blow_up_are_refused_in_little_memory(name):
    pickled = BOMBS[name]
    tracemalloc.start()
    try:
        with pytest.raises(FrameError) as raised:
            read_arrays(pickled)
        assert tracemalloc.get_traced_memory()[1] < 3e6 + 4 * len(pickled)
    finally:
        tracemalloc.stop()
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(
    "pickled",
    [
        HEADER + b"]r" + struct.pack("<I", 2**31) + b".",
        HEADER + b"\x95" + struct.pack("<Q", 2**32) + b"].",
    ],
    ids=["a memo of 16 GB", "a pickle frame of 4 GB"],
)
def test_numbers_that_would_reserve_memory_reserve_none(pickled):
    tracemalloc.start()
    try:
        assert read_arrays(pickled) == []
        assert tracemalloc.get_traced_memory()[1] < 1e5
    finally:
        tracemalloc.stop()
