"""All errors of stempilot, one tree, each with the exit code the command line ends with.

0 is success; 1 means the task failed and the instrument was restored.
"""

from collections.abc import Sequence


class StempilotError(Exception):
    """Base of every error that stempilot raises on purpose."""

    exit_code = 1


class RecordError(StempilotError):
    """The run could not be written, for example because the disk is full.

    The run stops and the instrument is put back.
    """


class ConfigError(StempilotError):
    """A request cannot be understood or is out of range."""

    exit_code = 2


class PluginError(ConfigError):
    """A plug-in that was asked for is unknown, broken or offered twice."""


class RunDirError(ConfigError):
    """A run directory is missing, incomplete, damaged or of another schema."""


class IncompatibleError(StempilotError):
    """Task, backend and agent do not fit together.

    Attributes:
        problems: every mismatch that was found, not only the first.
    """

    exit_code = 3

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"- {problem}" for problem in self.problems)
        super().__init__(f"these parts do not fit together:\n{lines}")


class OperatorError(StempilotError):
    """A step of a workflow is for the operator, and no one confirmed it; all before it is kept."""

    exit_code = 3


class EnvelopeError(StempilotError):
    """A value lies outside the safety envelope; nothing was sent.

    Attributes:
        knob: the knob concerned, or ``None`` when the envelope file itself is at fault.
    """

    exit_code = 4

    def __init__(self, message: str, *, knob: str | None = None) -> None:
        self.knob = knob
        super().__init__(message)


class BudgetSpentError(StempilotError):
    """The run has used up the writes that its envelope allows; it ends cleanly."""


class StartError(StempilotError):
    """No state was found from which an episode could start, for example because no disk shows."""


class BackendError(StempilotError):
    """The instrument refused, timed out, vanished or delivered what it must not."""

    exit_code = 4


class InstrumentBusyError(BackendError):
    """Another run drives the instrument; nothing was sent."""


class HandsOffError(BackendError):
    """Another user moved a knob that this run writes; it stops and does not fight them.

    Attributes:
        knob: the knob that was moved. It is left where they put it; all others go back.
    """

    def __init__(self, message: str, *, knob: str) -> None:
        self.knob = knob
        super().__init__(message)


class FrameError(BackendError):
    """A camera delivered a dead, stale or malformed frame."""


class RestoreError(StempilotError):
    """The instrument was NOT put back: go and look at it.

    Attributes:
        left: what each knob was left at and should have been, as lines to read.
    """

    exit_code = 5

    def __init__(self, message: str, *, left: Sequence[str] = ()) -> None:
        self.left = tuple(left)
        super().__init__("\n".join([message, *self.left]))
