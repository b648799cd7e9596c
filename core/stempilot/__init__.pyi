from .contract.agent import (
    Agent as Agent,
    Brief as Brief,
    Learner as Learner,
    LearnReport as LearnReport,
    NoticesChange as NoticesChange,
    Policy as Policy,
    RelearnsFromRecord as RelearnsFromRecord,
    Report as Report,
)
from .contract.backend import (
    Backend as Backend,
    EnvelopeSuggestion as EnvelopeSuggestion,
    InstrumentBatch as InstrumentBatch,
    Lockable as Lockable,
    MeasuresDirectly as MeasuresDirectly,
    Opening as Opening,
    Parkable as Parkable,
    Reseedable as Reseedable,
    Suggested as Suggested,
    SuggestsEnvelope as SuggestsEnvelope,
    Truthful as Truthful,
    Twinnable as Twinnable,
)
from .contract.emulator import (
    Emulator as Emulator,
)
from .contract.goals import (
    Centre as Centre,
    Goal as Goal,
    Product as Product,
    Quantity as Quantity,
    Raise as Raise,
)
from .contract.plugin import (
    API as API,
    Plugin as Plugin,
    hookimpl as hookimpl,
)
from .contract.task import (
    Batchable as Batchable,
    Drawable as Drawable,
    Reading as Reading,
    Scored as Scored,
    ScoredBatch as ScoredBatch,
    Symmetric as Symmetric,
    Task as Task,
    TaskBatch as TaskBatch,
)
from .contract.values import (
    Frame as Frame,
    KnobNeed as KnobNeed,
    KnobSpec as KnobSpec,
    KnobValue as KnobValue,
    Needs as Needs,
    NumberSpec as NumberSpec,
    Offers as Offers,
    Outcome as Outcome,
    SetPoint as SetPoint,
    Snapshot as Snapshot,
    SourceSpec as SourceSpec,
    StateSpec as StateSpec,
    Transitions as Transitions,
)
from .errors import (
    BackendError as BackendError,
    BudgetSpentError as BudgetSpentError,
    ConfigError as ConfigError,
    EnvelopeError as EnvelopeError,
    FrameError as FrameError,
    HandsOffError as HandsOffError,
    IncompatibleError as IncompatibleError,
    InstrumentBusyError as InstrumentBusyError,
    PluginError as PluginError,
    RecordError as RecordError,
    RestoreError as RestoreError,
    RunDirError as RunDirError,
    StartError as StartError,
    StempilotError as StempilotError,
)
from .instrument.envelope import (
    Envelope as Envelope,
    KnobLimits as KnobLimits,
)
from .instrument.envelope_file import (
    read_envelope as read_envelope,
)
from .operation.episodes import (
    evaluate as evaluate,
    run_episode as run_episode,
)
from .operation.scores import (
    score as score,
)
from .operation.session import (
    Session as Session,
    open_session as open_session,
)
from .operation.task_env import TaskEnv as TaskEnv
from .operation.timestep import Timestep as Timestep
from .plugins.parts import (
    compose as compose,
    part as part,
)
from .plugins.registry import (
    Registry as Registry,
    discover as discover,
)
from .runs.execute import (
    execute as execute,
)
from .runs.plans import (
    Extras as Extras,
    Plan as Plan,
    plan_relearn as plan_relearn,
    plan_resume as plan_resume,
    plan_run as plan_run,
    plan_train as plan_train,
)

__version__: str
