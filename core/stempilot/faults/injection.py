"""What goes wrong with instruments, as data, and what can make it go wrong.

Whatever can inject a `Fault` is `Faulty`. A test plays each fault of the one table for all,
`stempilot.faults.table.FAULTS`, against a backend and looks how the run ended; the table
says what is acceptable.
"""

from typing import Final, Literal, Protocol, runtime_checkable

from attrs import field, frozen, validators

from stempilot.contract.values import KnobValue

Effect = Literal[
    "latency",
    "refuse",
    "reset-before",
    "reset-after",
    "half-reply",
    "restart",
    "competitor",
    "call-error",
    "stuck-knob",
    "wrong-readback",
    "stale-frame",
    "dark-frame",
    "saturated-frame",
    "short-frame",
    "nan-frame",
    "no-frame",
    "beam-lost",
    "beam-blanked",
    "screen-raised",
    "valves-closed",
    "operator",
    "clock-jump",
]
"""What happens; the summaries of the table say what each means."""

Role = Literal["any", "read", "write", "acquire", "other"]
"""Which calls of the instrument: of a knob, of a camera, or of anything else."""

Ending = Literal["recovered", "stopped_restored", "not_restored"]
"""How a run ends: as if nothing had been, and recorded; stopped with every knob back and verified;
or stopped and saying loudly that a knob is not back (exit code 5)."""

FOR_GOOD: Final = 0
"""As `Fault.times`: until it is cleared."""


@frozen(kw_only=True)
class Fault:
    """One thing that goes wrong.

    It strikes calls of the instrument: those of its role (and method) are counted from when it is
    injected, the first ``after`` of them pass, the next ``times`` are struck.

    Attributes:
        name: what it is called.
        summary: what happens, in a sentence.
        effect: how it is injected.
        role: which calls are counted and struck.
        method: a pattern (``fnmatch``) of the instrument's own names that they must match too.
        knob: the knob that they must read or write; ``None`` for any.
        after: how many of them pass first.
        at_s: it does not strike earlier than so long after it was injected.
        times: how many are struck; `FOR_GOOD` for all.
        seconds: how long a delay, a silence or an absence lasts, or how far the clock jumps.
        turn: by how much a knob is turned, or reads wrong, per component.
        endings: which endings are acceptable.
        yields: the knob was taken over by a person: it is left where they put it, and only the
            others go back.
    """

    name: str
    summary: str
    effect: Effect
    role: Role = "any"
    method: str = "*"
    knob: str | None = None
    after: int = field(default=0, validator=validators.ge(0))
    at_s: float = field(default=0.0, validator=validators.ge(0))
    times: int = field(default=1, validator=validators.ge(0))
    seconds: float = 0.0
    turn: tuple[float, ...] = (0.004, -0.003)
    endings: tuple[Ending, ...] = ("stopped_restored",)
    yields: bool = False


@runtime_checkable
class Faulty(Protocol):
    """Stands in for an instrument and can be made to fail."""

    def inject(self, fault: Fault) -> None:
        """Let a fault strike from now on. Several may be injected; each counts its own calls."""

    def clear(self) -> None:
        """Take all faults away, and put right what they changed: beam, screen and valves."""

    def position(self, knob: str) -> KnobValue:
        """Return where a knob truly stands, whatever is read back."""
