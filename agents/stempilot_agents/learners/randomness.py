"""Random generators of a learner, kept apart from everybody else's.

Stable-Baselines3 and torch draw from the generators of the process. These states are installed
only while the learner works, so nothing outside can disturb its training, nor it anything outside.
"""

import base64
import binascii
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
import torch
from attrs import field, frozen, validators

_PYTHON_WORDS = 625
_NUMPY_WORDS = 624


@frozen
class _States:
    """States of the three generators of the process."""

    torch: torch.Tensor
    numpy: tuple[Any, ...]
    python: tuple[Any, ...]


def _current() -> _States:
    state = np.random.get_state(legacy=True)  # noqa: NPY002 - the one that SB3's buffer draws from
    assert isinstance(state, tuple)  # noqa: S101 - what legacy=True promises, for the type checker
    return _States(torch.get_rng_state(), state, random.getstate())


def _install(states: _States) -> None:
    torch.set_rng_state(states.torch)
    np.random.set_state(states.numpy)  # noqa: NPY002 - see above
    random.setstate(states.python)


@frozen(kw_only=True)
class RandomRecord:
    """All random states of a learner as plain JSON values.

    Attributes:
        torch: state of torch's CPU generator, base64.
        numpy_key: the 624 words of NumPy's Mersenne twister, base64, little endian.
        numpy_position: position in those words.
        numpy_has_gauss: whether a second normal number is waiting.
        numpy_gauss: that number.
        python_words: the 625 words of Python's generator, base64, little endian.
        python_gauss: its waiting normal number, if any.
        action_space: state of the action space's bit generator.
    """

    torch: str
    numpy_key: str
    numpy_position: int = field(validator=[validators.ge(0), validators.le(_NUMPY_WORDS)])
    numpy_has_gauss: int = field(validator=validators.in_((0, 1)))
    numpy_gauss: float
    python_words: str
    python_gauss: float | None
    action_space: dict[str, Any]


class LearnerRandom:
    """The random states of one learner."""

    def __init__(self, seed: int, action_space: gymnasium.Space[Any]) -> None:
        """Derive all states from ``seed`` and seed ``action_space`` too."""
        seeds = [int(word) for word in np.random.SeedSequence(seed).generate_state(4)]
        self._action_space = action_space
        self._action_space.seed(seeds[3])
        self._outer: _States | None = None
        self._own = _States(
            torch.Generator().manual_seed(seeds[0]).get_state(),
            np.random.RandomState(seeds[1]).get_state(legacy=True),  # type: ignore[arg-type]
            random.Random(seeds[2]).getstate(),  # noqa: S311 - not for secrets
        )

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let the generators of the process be the learner's inside the block."""
        self._outer = _current()
        _install(self._own)
        try:
            yield
        finally:
            self._own = _current()
            _install(self._outer)
            self._outer = None

    @contextmanager
    def released(self) -> Iterator[None]:
        """Inside `installed`: give the generators back for the length of the block."""
        assert self._outer is not None, "released() is for use inside installed()"  # noqa: S101
        self._own = _current()
        _install(self._outer)
        try:
            yield
        finally:
            self._outer = _current()
            _install(self._own)

    def record(self) -> RandomRecord:
        """Return the states as they are now; not for use inside `installed`."""
        _, key, position, has_gauss, gauss = self._own.numpy
        _, words, python_gauss = self._own.python
        return RandomRecord(
            torch=_encode(self._own.torch.numpy()),
            numpy_key=_encode(np.asarray(key, dtype="<u4")),
            numpy_position=int(position),
            numpy_has_gauss=int(has_gauss),
            numpy_gauss=float(gauss),
            python_words=_encode(np.array(words, dtype="<u4")),
            python_gauss=python_gauss,
            action_space=_plain(self._action_space.np_random.bit_generator.state),
        )

    def restore(self, record: RandomRecord) -> None:
        """Take over recorded states.

        Raises:
            ValueError: a state is not one of its generator; the message names the field.
        """
        state = torch.from_numpy(_decode("torch", record.torch, np.dtype("u1")))
        try:
            torch.Generator().set_state(state)
        except (RuntimeError, TypeError) as error:
            msg = "random.torch is not a state of torch's CPU generator"
            raise ValueError(msg) from error
        key = _decode("numpy_key", record.numpy_key, np.dtype("<u4"), _NUMPY_WORDS)
        words = _decode("python_words", record.python_words, np.dtype("<u4"), _PYTHON_WORDS)
        python = (3, tuple(int(word) for word in words), record.python_gauss)
        try:
            random.Random().setstate(python)  # noqa: S311 - not for secrets
            self._action_space.np_random.bit_generator.state = record.action_space
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            msg = f"random.python_words or random.action_space is not a generator's state: {error}"
            raise ValueError(msg) from error
        numpy_state = (
            "MT19937",
            key.astype(np.uint32),
            record.numpy_position,
            record.numpy_has_gauss,
            record.numpy_gauss,
        )
        self._own = _States(state, numpy_state, python)


def _plain(state: Any) -> dict[str, Any]:
    return {
        name: _plain(value) if isinstance(value, dict) else value for name, value in state.items()
    }


def _encode(words: Any) -> str:
    return base64.b64encode(words.tobytes()).decode("ascii")


def _decode(name: str, text: str, dtype: np.dtype[Any], count: int | None = None) -> Any:
    try:
        words = np.frombuffer(base64.b64decode(text, validate=True), dtype=dtype).copy()
    except (binascii.Error, ValueError) as error:
        msg = f"random.{name} is not base64 of {dtype.name} words: {error}"
        raise ValueError(msg) from error
    if count is not None and len(words) != count:
        msg = f"random.{name} holds {len(words)} words, not {count}"
        raise ValueError(msg)
    return words
