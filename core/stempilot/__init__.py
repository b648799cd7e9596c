"""stempilot: hand routine operations of an electron microscope to an agent.

This module is the one door for plug-in authors and scripts. Names are imported when they are first
used, so that ``import stempilot`` stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stempilot.agent import (
        Agent,
        Brief,
        Learner,
        LearnReport,
        NoticesChange,
        Policy,
        RelearnsFromRecord,
        Report,
    )
    from stempilot.backend import (
        Backend,
        EnvelopeSuggestion,
        InstrumentBatch,
        Lockable,
        MeasuresDirectly,
        Opening,
        Parkable,
        Reseedable,
        Suggested,
        SuggestsEnvelope,
        Truthful,
        Twinnable,
    )
    from stempilot.compose import (
        compose,
        part,
    )
    from stempilot.emulator import (
        Emulator,
    )
    from stempilot.env import (
        TaskEnv,
        Timestep,
    )
    from stempilot.envelope import (
        Envelope,
        KnobLimits,
    )
    from stempilot.envelope_file import (
        read_envelope,
    )
    from stempilot.errors import (
        BackendError,
        BudgetSpentError,
        ConfigError,
        EnvelopeError,
        FrameError,
        HandsOffError,
        IncompatibleError,
        InstrumentBusyError,
        PluginError,
        RecordError,
        RestoreError,
        RunDirError,
        StartError,
        StempilotError,
    )
    from stempilot.evaluate import (
        evaluate,
        run_episode,
        score,
    )
    from stempilot.hookspecs import (
        API,
        Plugin,
        hookimpl,
    )
    from stempilot.model import (
        Capabilities,
        Frame,
        KnobNeed,
        KnobSpec,
        Needs,
        Outcome,
        Reading,
        SetPoint,
        Snapshot,
        SourceSpec,
        StateSpec,
        Transitions,
    )
    from stempilot.pipelines import (
        execute,
    )
    from stempilot.plans import (
        Extras,
        Plan,
        plan_relearn,
        plan_resume,
        plan_run,
        plan_train,
    )
    from stempilot.registry import (
        Registry,
        discover,
    )
    from stempilot.session import (
        Session,
        open_session,
    )
    from stempilot.task import (
        Batchable,
        Drawable,
        Scored,
        ScoredBatch,
        Symmetric,
        Task,
        TaskBatch,
        TaskHints,
    )

_DOOR = {
    "agent": (
        "Agent",
        "Brief",
        "LearnReport",
        "Learner",
        "NoticesChange",
        "Policy",
        "RelearnsFromRecord",
        "Report",
    ),
    "backend": (
        "Backend",
        "EnvelopeSuggestion",
        "InstrumentBatch",
        "Lockable",
        "MeasuresDirectly",
        "Opening",
        "Parkable",
        "Reseedable",
        "Suggested",
        "SuggestsEnvelope",
        "Truthful",
        "Twinnable",
    ),
    "compose": (
        "compose",
        "part",
    ),
    "emulator": ("Emulator",),
    "env": (
        "TaskEnv",
        "Timestep",
    ),
    "envelope": (
        "Envelope",
        "KnobLimits",
    ),
    "envelope_file": ("read_envelope",),
    "errors": (
        "BackendError",
        "BudgetSpentError",
        "ConfigError",
        "EnvelopeError",
        "FrameError",
        "HandsOffError",
        "IncompatibleError",
        "InstrumentBusyError",
        "PluginError",
        "RecordError",
        "RestoreError",
        "RunDirError",
        "StartError",
        "StempilotError",
    ),
    "evaluate": (
        "evaluate",
        "run_episode",
        "score",
    ),
    "hookspecs": (
        "API",
        "Plugin",
        "hookimpl",
    ),
    "model": (
        "Capabilities",
        "Frame",
        "KnobNeed",
        "KnobSpec",
        "Needs",
        "Outcome",
        "Reading",
        "SetPoint",
        "Snapshot",
        "SourceSpec",
        "StateSpec",
        "Transitions",
    ),
    "pipelines": ("execute",),
    "plans": (
        "Extras",
        "Plan",
        "plan_relearn",
        "plan_resume",
        "plan_run",
        "plan_train",
    ),
    "registry": (
        "Registry",
        "discover",
    ),
    "session": (
        "Session",
        "open_session",
    ),
    "task": (
        "Batchable",
        "Drawable",
        "Scored",
        "ScoredBatch",
        "Symmetric",
        "Task",
        "TaskBatch",
        "TaskHints",
    ),
}
_HOME = {name: module for module, names in _DOOR.items() for name in names}

__version__ = "0.1.0"
__all__ = (
    "API",
    "Agent",
    "Backend",
    "BackendError",
    "Batchable",
    "Brief",
    "BudgetSpentError",
    "Capabilities",
    "ConfigError",
    "Drawable",
    "Emulator",
    "Envelope",
    "EnvelopeError",
    "EnvelopeSuggestion",
    "Extras",
    "Frame",
    "FrameError",
    "HandsOffError",
    "IncompatibleError",
    "InstrumentBatch",
    "InstrumentBusyError",
    "KnobLimits",
    "KnobNeed",
    "KnobSpec",
    "LearnReport",
    "Learner",
    "Lockable",
    "MeasuresDirectly",
    "Needs",
    "NoticesChange",
    "Opening",
    "Outcome",
    "Parkable",
    "Plan",
    "Plugin",
    "PluginError",
    "Policy",
    "Reading",
    "RecordError",
    "Registry",
    "RelearnsFromRecord",
    "Report",
    "Reseedable",
    "RestoreError",
    "RunDirError",
    "Scored",
    "ScoredBatch",
    "Session",
    "SetPoint",
    "Snapshot",
    "SourceSpec",
    "StartError",
    "StateSpec",
    "StempilotError",
    "Suggested",
    "SuggestsEnvelope",
    "Symmetric",
    "Task",
    "TaskBatch",
    "TaskEnv",
    "TaskHints",
    "Timestep",
    "Transitions",
    "Truthful",
    "Twinnable",
    "compose",
    "discover",
    "evaluate",
    "execute",
    "hookimpl",
    "open_session",
    "part",
    "plan_relearn",
    "plan_resume",
    "plan_run",
    "plan_train",
    "read_envelope",
    "run_episode",
    "score",
)


def __getattr__(name: str) -> Any:
    """Return a public name, importing the module that it lives in."""
    if name not in _HOME:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"stempilot.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted({*globals(), *__all__})
