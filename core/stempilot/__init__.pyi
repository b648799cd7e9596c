from .contract.agent import (
    Agent as Agent,
)
from .contract.agent import (
    Brief as Brief,
)
from .contract.agent import HasMeanwhile as HasMeanwhile
from .contract.agent import (
    Learner as Learner,
)
from .contract.agent import (
    LearnReport as LearnReport,
)
from .contract.agent import (
    NoticesChange as NoticesChange,
)
from .contract.agent import (
    Policy as Policy,
)
from .contract.agent import (
    RelearnsFromRecord as RelearnsFromRecord,
)
from .contract.agent import (
    Report as Report,
)
from .contract.backend import (
    Backend as Backend,
)
from .contract.backend import (
    EnvelopeSuggestion as EnvelopeSuggestion,
)
from .contract.backend import (
    InstrumentBatch as InstrumentBatch,
)
from .contract.backend import (
    Lockable as Lockable,
)
from .contract.backend import (
    MeasuresDirectly as MeasuresDirectly,
)
from .contract.backend import (
    Opening as Opening,
)
from .contract.backend import (
    Parkable as Parkable,
)
from .contract.backend import (
    Reseedable as Reseedable,
)
from .contract.backend import (
    Suggested as Suggested,
)
from .contract.backend import (
    SuggestsEnvelope as SuggestsEnvelope,
)
from .contract.backend import (
    Truthful as Truthful,
)
from .contract.backend import (
    Twinnable as Twinnable,
)
from .contract.emulator import (
    Emulator as Emulator,
)
from .contract.emulator import EmulatorError as EmulatorError
from .contract.goals import (
    Centre as Centre,
)
from .contract.goals import (
    Goal as Goal,
)
from .contract.goals import (
    Product as Product,
)
from .contract.goals import (
    Quantity as Quantity,
)
from .contract.goals import (
    Raise as Raise,
)
from .contract.names import BEAM_BLANKER as BEAM_BLANKER
from .contract.names import BEAM_SHIFT as BEAM_SHIFT
from .contract.names import CAMERA_LENGTH_INDEX as CAMERA_LENGTH_INDEX
from .contract.names import COLUMN_VALVES as COLUMN_VALVES
from .contract.names import DIFFRACTION_SHIFT as DIFFRACTION_SHIFT
from .contract.names import FLUCAM as FLUCAM
from .contract.names import INSTRUMENT_MODE as INSTRUMENT_MODE
from .contract.names import KNOB_UNITS as KNOB_UNITS
from .contract.names import PROJECTION_MODE as PROJECTION_MODE
from .contract.names import SCREEN as SCREEN
from .contract.names import STEM_DEFOCUS as STEM_DEFOCUS
from .contract.plugin import (
    API as API,
)
from .contract.plugin import (
    Plugin as Plugin,
)
from .contract.plugin import (
    hookimpl as hookimpl,
)
from .contract.task import (
    Batchable as Batchable,
)
from .contract.task import (
    Drawable as Drawable,
)
from .contract.task import (
    Scored as Scored,
)
from .contract.task import (
    ScoredBatch as ScoredBatch,
)
from .contract.task import (
    Symmetric as Symmetric,
)
from .contract.task import (
    Task as Task,
)
from .contract.task import (
    TaskBatch as TaskBatch,
)
from .contract.task import (
    TaskHints as TaskHints,
)
from .contract.values import (
    Frame as Frame,
)
from .contract.values import (
    KnobNeed as KnobNeed,
)
from .contract.values import (
    KnobSpec as KnobSpec,
)
from .contract.values import (
    KnobValue as KnobValue,
)
from .contract.values import (
    Needs as Needs,
)
from .contract.values import (
    Offers as Offers,
)
from .contract.values import (
    Outcome as Outcome,
)
from .contract.values import (
    SetPoint as SetPoint,
)
from .contract.values import (
    Snapshot as Snapshot,
)
from .contract.values import (
    SourceSpec as SourceSpec,
)
from .contract.values import (
    StateSpec as StateSpec,
)
from .contract.values import (
    Transitions as Transitions,
)
from .contract.values import as_knob_value as as_knob_value
from .errors import (
    BackendError as BackendError,
)
from .errors import (
    BudgetSpentError as BudgetSpentError,
)
from .errors import (
    ConfigError as ConfigError,
)
from .errors import (
    EnvelopeError as EnvelopeError,
)
from .errors import (
    FrameError as FrameError,
)
from .errors import (
    HandsOffError as HandsOffError,
)
from .errors import (
    IncompatibleError as IncompatibleError,
)
from .errors import (
    InstrumentBusyError as InstrumentBusyError,
)
from .errors import (
    PluginError as PluginError,
)
from .errors import (
    RecordError as RecordError,
)
from .errors import (
    RestoreError as RestoreError,
)
from .errors import (
    RunDirError as RunDirError,
)
from .errors import (
    StartError as StartError,
)
from .errors import (
    StempilotError as StempilotError,
)
from .instrument.checks import differs as differs
from .instrument.envelope import (
    Envelope as Envelope,
)
from .instrument.envelope import (
    KnobLimits as KnobLimits,
)
from .instrument.envelope_file import (
    read_envelope as read_envelope,
)
from .operation.episodes import (
    evaluate as evaluate,
)
from .operation.episodes import (
    run_episode as run_episode,
)
from .operation.scores import Episode as Episode
from .operation.scores import (
    score as score,
)
from .operation.session import (
    Session as Session,
)
from .operation.session import (
    open_session as open_session,
)
from .operation.task_env import (
    TaskEnv as TaskEnv,
)
from .operation.task_env import (
    Timestep as Timestep,
)
from .plugins.options import build as build
from .plugins.options import plain as plain
from .plugins.parts import (
    compose as compose,
)
from .plugins.parts import (
    part as part,
)
from .plugins.registry import (
    Registry as Registry,
)
from .plugins.registry import (
    discover as discover,
)
from .plugins.suggest import meant as meant
from .record.offers import recorded_offers as recorded_offers
from .record.recorder import FramePolicy as FramePolicy
from .record.recorder import read_events as read_events
from .record.run_dir import FRAMES as FRAMES
from .record.run_dir import RunDir as RunDir
from .runs.execute import (
    execute as execute,
)
from .runs.plans import (
    Extras as Extras,
)
from .runs.plans import (
    Plan as Plan,
)
from .runs.plans import (
    plan_relearn as plan_relearn,
)
from .runs.plans import (
    plan_resume as plan_resume,
)
from .runs.plans import (
    plan_run as plan_run,
)
from .runs.plans import (
    plan_train as plan_train,
)
from .runs.results import EvaluationResult as EvaluationResult
from .runs.results import RunResult as RunResult
from .runs.results import TrainResult as TrainResult
from .runs.scripting import relearn as relearn
from .runs.scripting import run as run
from .runs.scripting import train as train

__version__: str
