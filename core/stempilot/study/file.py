"""A study file: which settings are swept, and the cells that follow from them."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from attrs import evolve, field, frozen, validators

from stempilot.errors import ConfigError
from stempilot.plugins import options as config
from stempilot.plugins.options import SECTIONS, Values
from stempilot.plugins.registry import Registry
from stempilot.plugins.suggest import meant

ALL_SECTIONS = (*SECTIONS, "emulator")
LABEL = "label"
"""Section of swept names that set nothing, and tell cases apart in tables and pictures."""
NAMES = ("task", "backend", "agent", "steps")
"""What an axis may sweep beside options."""
FULL = "full"
"""The scale of a file as it stands, where it names none so."""

MOST_CELLS, MOST_PLOTS = 5_000, 8

_LARGEST = 2**53
_COUNT: Any = field(default=0, validator=[validators.ge(0), validators.le(_LARGEST)])
_TIME: Any = field(default=60.0, validator=[validators.gt(0), validators.lt(math.inf)])
_SEEDS: Any = [
    validators.min_len(1),
    validators.deep_iterable([validators.ge(0), validators.le(_LARGEST)]),
]
_EPISODES = field(default=None, validator=validators.optional(validators.ge(1)))
Settings = dict[str, dict[str, Any]]


@frozen(kw_only=True)
class Relearn:
    """What a cell goes on to relearn after its training.

    Attributes:
        steps: timesteps of it.
        settings: what changes for it, by section.
    """

    steps: int = field(validator=validators.ge(1))
    settings: Settings = field(factory=dict)


@frozen(kw_only=True)
class Cell:
    """One training, what it relearns, and how it is evaluated, as plain values.

    Attributes:
        task: name of the task.
        backend: name of the backend.
        agent: name of the agent.
        settings: options by section; ``emulator`` is that of an emulator that the cell starts.
        seed: seed of the training.
        steps: timesteps of it; 0 trains nothing.
        episodes: of the evaluation; ``None`` for no evaluation.
        minutes: after how long the cell is given up.
        relearn: what it relearns; ``None`` for nothing.
    """

    task: str
    backend: str
    agent: str
    settings: Settings = field(factory=dict)
    seed: int = _COUNT
    steps: int = _COUNT
    episodes: int | None = _EPISODES
    minutes: float = _TIME
    relearn: Relearn | None = None


@frozen(kw_only=True)
class Plot:
    """What a picture of a study's report shows.

    Attributes:
        kind: ``curves`` of learning, ``points`` of a figure against an option, ``states`` in the
            last timesteps of the first training of each kind, or ``actions`` or ``paths`` of one
            training.
        axes: swept names that the lines are told apart by; of points the first is the x axis.
        y: name of the figure that points show.
        x_label: what stands on the x axis of points, with its unit.
        y_label: the same of the y axis.
    """

    kind: Literal["curves", "points", "states", "actions", "paths"]
    axes: tuple[str, ...] = ()
    y: str = ""
    x_label: str = ""
    y_label: str = ""


@frozen(kw_only=True)
class Finding:
    """A published finding, to be judged by an effect: a mean, or a difference of two means.

    Attributes:
        says: the finding as a sentence.
        of: name of the figure, for example ``train.reward_converged_at``. Where it is missing, as
            without convergence, it counts as the cell's timesteps.
        within: take, instead of the figure, whether it is at most this; missing is no. Of
            timesteps, trainings that were shorter do not count.
        cells: swept values of the cells that count.
        against: those of the cells whose mean is subtracted; ``None`` for no difference.
        above: reproduced where the effect is above this.
        below: or below this.
    """

    says: str
    of: str
    within: float | None = None
    cells: dict[str, Any] = field(factory=dict)
    against: dict[str, Any] | None = None
    above: float | None = None
    below: float | None = None

    def __attrs_post_init__(self) -> None:
        """Check that it can be told what reproduces it."""
        if (self.above is None) == (self.below is None):
            msg = f"finding {self.says!r} needs above or below, and not both"
            raise ValueError(msg)


@frozen(kw_only=True)
class Study:
    """The content of a study file; all but the sweep is the same for each cell (see `Cell`).

    Attributes:
        title: what it is about.
        plots: what the pictures of its report show.
        findings: what its report judges.
        task: name of the task.
        backend: name of the backend; the default one when ``None``.
        agent: name of the agent; the default one when ``None``.
        steps: timesteps of each training; 0 trains nothing.
        episodes: of the evaluation that follows; ``None`` for none.
        minutes: after how long a cell is given up.
        settings: options by section.
        relearn: what follows each training.
        seeds: each setting is tried with each of them.
        grid: values by option; all combinations are tried.
        cases: options that change together; each case is tried with the whole grid.
        draws: how many combinations of the grid to draw at random, instead of trying all. A value
            of the grid may then be a range, ``{low, high, log}``.
        scales: other values of all these, by the name of the scale.
    """

    title: str = ""
    plots: tuple[Plot, ...] = field(default=(), validator=validators.max_len(MOST_PLOTS))
    findings: tuple[Finding, ...] = ()
    task: str
    backend: str | None = None
    agent: str | None = None
    steps: int = _COUNT
    episodes: int | None = _EPISODES
    minutes: float = _TIME
    settings: Settings = field(factory=dict)
    relearn: Relearn | None = None
    seeds: tuple[int, ...] = field(default=(0,), validator=_SEEDS)
    grid: dict[str, Any] = field(factory=dict)
    cases: tuple[dict[str, Any], ...] = field(default=({},), validator=validators.min_len(1))
    draws: int = _COUNT
    scales: dict[str, dict[str, Any]] = field(factory=dict)


def read_study(file: Path, scale: str | None = None) -> Study:
    """Return the study of a file.

    Args:
        file: TOML; see `Study`.
        scale: the entry of ``scales`` to lay over it, each of its keys in place of the file's;
            `FULL` is the file as it stands, unless it has a scale of that name.

    Raises:
        ConfigError: it cannot be read, or something in it is unknown or out of range.
    """
    content = config.read_toml(file)
    scales = content.get("scales")
    scales = scales if isinstance(scales, dict) else {}
    if scale is not None and (scale != FULL or FULL in scales):
        if not isinstance(scales.get(scale), dict):
            msg = f"{file} has no scale {scale!r}; {meant(scale, [*scales, FULL])}"
            raise ConfigError(msg)
        content = {**content, **scales[scale]}
    study = config.build(Study, content, section=file.name)
    if len(set(study.seeds)) < len(study.seeds):
        msg = f"{file.name}: seeds = {list(study.seeds)} names a seed twice; give each once"
        raise ConfigError(msg)
    return study


def cells_of(study: Study, registry: Registry) -> list[tuple[Values, Cell]]:
    """Return the cells of a study in order, each with what was swept to get it.

    Raises:
        ConfigError: an axis is neither an option nor a name, or holds no values; an option is in
            the grid and in a case; or the plot or a finding names what is not swept.
    """
    base = Cell(
        task=study.task,
        backend=study.backend or registry.default("backend"),
        agent=study.agent or registry.default("agent"),
        settings=study.settings,
        steps=study.steps,
        episodes=study.episodes,
        minutes=study.minutes,
        relearn=study.relearn,
    )
    axes = (
        {} if study.draws else {name: _choices(name, values) for name, values in study.grid.items()}
    )
    count = math.prod(map(len, (*axes.values(), study.cases, study.seeds)), start=study.draws or 1)
    if count > MOST_CELLS:
        msg = f"that makes {count} cells; a study has at most {MOST_CELLS}"
        raise ConfigError(msg)
    if study.draws:
        combinations = list(_drawn(study))
    else:
        combinations = [
            dict(zip(axes, each, strict=True)) for each in itertools.product(*axes.values())
        ]
    _require_names(study)
    return [
        (swept, evolve(_with(base, swept), seed=seed))
        for case, chosen, seed in itertools.product(study.cases, combinations, study.seeds)
        for swept in [{**case, **chosen}]
    ]


def _require_names(study: Study) -> None:
    """Check that what is swept is so once, and that the plot and the findings name such."""
    of_cases = {name for case in study.cases for name in case}
    if twice := sorted(of_cases & set(study.grid)):
        msg = f"{', '.join(twice)}: in the grid and in a case; keep one of them"
        raise ConfigError(msg)
    names = [*sorted(of_cases), *study.grid, *NAMES, "seed"]
    asked = [("plots.axes", name) for plot in study.plots for name in plot.axes]
    for finding in study.findings:
        where = f"finding {finding.says!r}"
        asked += [(where, name) for name in (*finding.cells, *(finding.against or ()))]
    for where, name in asked:
        if name not in names:
            msg = f"{where}: {name} is not swept; {meant(name, names)}"
            raise ConfigError(msg)


def _choices(name: str, values: Any) -> list[Any]:
    if not isinstance(values, list) or not values:
        msg = f"grid.{name} = {values!r} is no list of values; a range needs draws"
        raise ConfigError(msg)
    return values


def _drawn(study: Study) -> Iterator[Values]:
    # The same study draws the same cells, and one with more draws has these among its own.
    for number in range(study.draws):
        rng = np.random.default_rng(number)
        yield {name: _draw(name, values, rng) for name, values in study.grid.items()}


def _draw(name: str, values: Any, rng: np.random.Generator) -> Any:
    if not isinstance(values, dict):
        choices = _choices(name, values)
        return choices[int(rng.integers(len(choices)))]
    low: Any = values.get("low")
    high: Any = values.get("high")
    numbers = all(type(end) in {int, float} and abs(end) <= _LARGEST for end in (low, high))
    log = values.get("log", False)
    if not (numbers and values.keys() <= {"low", "high", "log"} and low < high) or (
        log and low <= 0
    ):
        msg = (
            f"grid.{name} = {values!r} is no range; write {{low = 0.1, high = 10}}, and "
            "log = true to draw its logarithm"
        )
        raise ConfigError(msg)
    is_whole = type(low) is int and type(high) is int
    if is_whole and not log:
        return int(rng.integers(low, high, endpoint=True))
    if not log:
        return rng.uniform(low, high)
    drawn = math.exp(rng.uniform(math.log(low), math.log(high)))
    return round(drawn) if is_whole else drawn


def _with(cell: Cell, swept: Mapping[str, Any]) -> Cell:
    """Return a cell with swept values in place, also those of what it relearns."""
    plain = config.plain(cell)
    for name, value in swept.items():
        _require_plain(name, value)
        place = plain
        head, _, rest = name.partition(".")
        if head == "relearn" and rest:
            if plain["relearn"] is None:
                msg = f"{name} is swept, but nothing is relearnt; give relearn.steps"
                raise ConfigError(msg)
            place, name = plain["relearn"], rest  # noqa: PLW2901 - what follows is the same
        section, _, key = name.partition(".")
        if key and section in ALL_SECTIONS:
            place["settings"].setdefault(section, {})[key] = value
        elif key and section == LABEL:
            continue
        elif name in NAMES:
            place[name] = value
        else:
            near = meant(section, ALL_SECTIONS if key else NAMES)
            msg = f"{name} cannot be swept; {near}, for example agent.gamma"
            raise ConfigError(msg)
    return config.build(Cell, plain, section="cell")


def _require_plain(name: str, value: Any) -> None:
    """Check that a swept value can be kept and sent."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        msg = f"{name} = {value!r} cannot be swept: {error}; take a number, a text or a list"
        raise ConfigError(msg) from error
