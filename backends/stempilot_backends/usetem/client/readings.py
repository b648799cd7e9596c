"""Readings that came with a frame or a write, so that the reads which follow cost no round trip.

What a task asks for after each frame is the same each time. So the names that were asked for since
one frame are read with the next, in the same request right after the exposure; and a write brings
its read-back along. Each such reading is handed out once and only for a moment: the read that
precedes a write is always a new one.
"""

import time
from collections.abc import Callable, Mapping

from stempilot_backends.usetem.client.server import Answer

WITH_FRAME_S = 0.25
"""For so long what came with a frame is handed out; a frame is decoded in a tenth of it."""
WITH_WRITE_S = 0.01
"""For so long what came with a write is handed out; one that takes time to settle is read again."""


class Readings:
    """Readings that came with the last frame or write.

    Args:
        clock: seconds since any fixed moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked: dict[str, None] = {}
        self._held: dict[str, Answer] = {}
        self._until_s = 0.0

    def expected(self) -> tuple[str, ...]:
        """Return the names to read with the next frame: those asked for since the last one."""
        return tuple(self._asked)

    def came_with_frame(self, answers: Mapping[str, Answer]) -> None:
        """Take what came with a frame in place of all before; of faults nothing is kept."""
        self._asked = {}
        self._hold(answers, WITH_FRAME_S)

    def came_with_write(self, name: str, answer: Answer) -> None:
        """Take what came with a write in place of all before."""
        self._hold({name: answer}, WITH_WRITE_S)

    def forget(self) -> None:
        """Drop what is held: something may have changed since."""
        self._held = {}

    def take(self, name: str) -> Answer | None:
        """Return what is held under a name, the first time it is asked for, while it is new."""
        self._asked[name] = None
        answer = self._held.pop(name, None)
        return answer if self._clock() <= self._until_s else None

    def _hold(self, answers: Mapping[str, Answer], seconds: float) -> None:
        self._held = {name: answer for name, answer in answers.items() if answer.fault is None}
        self._until_s = self._clock() + seconds
