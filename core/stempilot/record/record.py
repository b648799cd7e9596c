"""`Record`, which is ``record.json``: what was asked for, where it comes from, how it ended."""

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen, validators

from stempilot.contract.goals import Quantity
from stempilot.errors import ConfigError, EnvelopeError, RunDirError
from stempilot.instrument.envelope import Envelope
from stempilot.instrument.envelope_file import parse_envelope
from stempilot.operation.timestep import Timestep
from stempilot.record.quantities import UNDECLARED

RECORD = "record.json"

COUNT = field(validator=validators.and_(validators.ge(0), validators.le(2**53)))


@frozen
class FramePolicy:
    """Which frames are kept.

    Attributes:
        every: keep every n-th timestep; 0 for none.
        ends: keep the first and the last frame of each episode.
    """

    every: int = field(default=0, validator=validators.ge(0))
    ends: bool = False

    @classmethod
    def parse(cls, text: str) -> "FramePolicy":
        """Return the policy for ``none``, ``ends``, ``all`` or ``every-N``.

        Raises:
            ConfigError: the text is none of these.
        """
        if text in {"none", "ends", "all"}:
            return cls(every=int(text == "all"), ends=text == "ends")
        word, _, number = text.partition("-")
        if word == "every" and number.isdigit() and int(number) > 0:
            return cls(every=int(number))
        msg = f"--frames {text!r} is not one of none, ends, all or every-N, for example every-10"
        raise ConfigError(msg)

    def keeps(self, step: Timestep) -> bool:
        """Return whether the frame of this timestep is kept."""
        at_end = self.ends and (step.step == 0 or step.ended)
        return at_end or (self.every > 0 and step.step % self.every == 0)


@frozen(kw_only=True)
class Record:
    """What a run is, where it comes from and how it ended; further keys of the file are kept.

    Attributes:
        status: starting, running, done, interrupted, failed or restored.
        reason: why it failed, for people.
        displaced: whether the knobs are still to be put back: while it runs, when it was killed,
            and when putting back failed. ``None`` where the version that wrote it did not say.
        command: train, relearn or run.
        task: name of the task.
        backend: name of the backend.
        agent: name of the agent.
        plugins: distribution and version of each of these.
        settings: what the user set, by section.
        config: all options, defaults and presets included, by section.
        seed: seed of the run.
        instrument_seed: seed of the instrument.
        steps: timesteps to train in all; 0 for a run.
        episodes: episodes to evaluate; ``None`` for a run from where the instrument stands.
        adapt: whether it may relearn when the response changed.
        accept_position: whether it could begin where a run before had left the knobs displaced.
        frames: which frames are kept.
        envelope: the content of the envelope file; see `Record.allowed`.
        goal: kind of the task's goal.
        quantities: what the task shows people.
        until_converged: whether training ends as soon as it has converged.
        best: whether the agent is the parent's best one and not its last.
        parent: run directory that the agent comes from.
        trained_here: whether the agent was trained on this backend.
        from_log: run directory whose transitions relearning began with.
        kept_and_dropped: what relearning kept and dropped, a sentence each.
        started: date and time.
        argv: the command line.
        python: version of Python.
        system: operating system and machine.
        versions: versions of the packages that matter.
        git_commit: revision of the source tree.
        identity: what the instrument says that it is.
        simulated: whether the instrument was simulated.
        capabilities: what the instrument offered; see `stempilot.record.offers`.
    """

    status: str
    reason: str | None = None
    displaced: bool | None = None
    command: str
    task: str
    backend: str
    agent: str
    plugins: dict[str, str] = field(factory=dict)
    settings: dict[str, dict[str, Any]]
    config: dict[str, dict[str, Any]] = field(factory=dict)
    seed: int = field(validator=validators.ge(0))
    instrument_seed: int = field(validator=validators.ge(0))
    steps: int = COUNT
    episodes: int | None
    adapt: bool = False
    accept_position: bool = False
    frames: FramePolicy
    envelope: dict[str, Any] | None = None
    goal: str | None = None
    quantities: tuple[Quantity, ...] = UNDECLARED
    until_converged: bool = False
    best: bool = False
    parent: str | None
    trained_here: bool = False
    from_log: str | None = None
    kept_and_dropped: tuple[str, ...] = ()
    started: str | None = None
    argv: tuple[str, ...] = ()
    python: str | None = None
    system: str | None = None
    versions: dict[str, str | None] = field(factory=dict)
    git_commit: str | None = None
    identity: dict[str, str] = field(factory=dict)
    simulated: bool | None = None
    capabilities: dict[str, Any] | None = None

    @property
    def trains(self) -> bool:
        """Whether something was to be learnt."""
        return self.command in {"train", "relearn"}

    @property
    def must_be_restored(self) -> bool:
        """Whether the instrument may still stand where the run brought it."""
        if self.displaced is None:
            return self.status in {"running", "failed"}
        return self.displaced

    def allowed(self) -> Envelope | None:
        """Return the envelope of the run, ``None`` where it went without; raises as `allowed`."""
        return allowed(self.envelope, RECORD)


def allowed(envelope: Mapping[str, Any] | None, file: str) -> Envelope | None:
    """Return the envelope that a file of a run holds, ``None`` where it went without.

    Raises:
        RunDirError: it is damaged.
    """
    if envelope is None:
        return None
    try:
        return parse_envelope(envelope, file)
    except (ConfigError, EnvelopeError) as error:
        msg = f"{file} is damaged: {error}"
        raise RunDirError(msg) from error
