from .contract.agent import (
    Agent as Agent,
    Brief as Brief,
    HasMeanwhile as HasMeanwhile,
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
    EmulatorError as EmulatorError,
)
from .contract.goals import (
    Centre as Centre,
    Goal as Goal,
    Product as Product,
    Quantity as Quantity,
    Raise as Raise,
)
from .contract.names import (
    BEAM_BLANKER as BEAM_BLANKER,
    BEAM_SHIFT as BEAM_SHIFT,
    CAMERA_LENGTH as CAMERA_LENGTH,
    CAMERA_LENGTH_INDEX as CAMERA_LENGTH_INDEX,
    COLUMN_VALVES as COLUMN_VALVES,
    CONDENSER_STIGMATOR as CONDENSER_STIGMATOR,
    DIFFRACTION_SHIFT as DIFFRACTION_SHIFT,
    FILM as FILM,
    FLUCAM as FLUCAM,
    INSTRUMENT_MODE as INSTRUMENT_MODE,
    KNOB_UNITS as KNOB_UNITS,
    NUMBER_UNITS as NUMBER_UNITS,
    PROJECTION_MODE as PROJECTION_MODE,
    SCREEN as SCREEN,
    SCREEN_CURRENT as SCREEN_CURRENT,
    STEM_DEFOCUS as STEM_DEFOCUS,
    UNITS as UNITS,
)
from .contract.plugin import (
    API as API,
    Plugin as Plugin,
    hookimpl as hookimpl,
)
from .contract.task import (
    REWARD_END as REWARD_END,
    REWARD_TIMESTEP as REWARD_TIMESTEP,
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
    as_knob_value as as_knob_value,
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
    OperatorError as OperatorError,
    PluginError as PluginError,
    RecordError as RecordError,
    RestoreError as RestoreError,
    RunDirError as RunDirError,
    StartError as StartError,
    StempilotError as StempilotError,
)
from .files import (
    parse_json as parse_json,
    read_array as read_array,
    read_file as read_file,
)
from .instrument.checks import (
    differs as differs,
)
from .instrument.envelope import (
    Envelope as Envelope,
    KnobLimits as KnobLimits,
)
from .instrument.envelope_file import (
    read_envelope as read_envelope,
)
from .instrument.lock import (
    network_address as network_address,
)
from .operation.episodes import (
    evaluate as evaluate,
    run_episode as run_episode,
)
from .operation.scores import (
    Episode as Episode,
    score as score,
)
from .operation.session import (
    Session as Session,
    open_session as open_session,
)
from .operation.task_env import (
    TaskEnv as TaskEnv,
)
from .operation.timestep import (
    Timestep as Timestep,
)
from .plugins.compiled import (
    compiled as compiled,
)
from .plugins.options import (
    build as build,
    plain as plain,
)
from .plugins.parts import (
    compose as compose,
    part as part,
)
from .plugins.registry import (
    Registry as Registry,
    discover as discover,
)
from .plugins.suggest import (
    meant as meant,
)
from .record.offers import (
    recorded_offers as recorded_offers,
)
from .record.record import (
    FramePolicy as FramePolicy,
)
from .record.recorder import (
    read_events as read_events,
)
from .record.run_dir import (
    FRAMES as FRAMES,
    RunDir as RunDir,
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
from .runs.results import (
    EvaluationResult as EvaluationResult,
    RunResult as RunResult,
    TrainResult as TrainResult,
)
from .runs.scripting import relearn as relearn, run as run, train as train
from .workflow.engine import WorkflowResult as WorkflowResult
from .workflow.file import read_workflow as read_workflow
from .workflow.steps import OperatorStep as OperatorStep, Step as Step, Workflow as Workflow

__version__: str
