"""The simulator: one column, in this process, without a clock."""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from attrs import asdict, evolve, fields, frozen
from numpy.random import SeedSequence

from stempilot import (
    BEAM_BLANKER,
    CAMERA_LENGTH,
    CAMERA_LENGTH_INDEX,
    CONDENSER_STIGMATOR,
    DIFFRACTION_SHIFT,
    FILM,
    FLUCAM,
    KNOB_UNITS,
    NUMBER_UNITS,
    SCREEN,
    SCREEN_CURRENT,
    STEM_DEFOCUS,
    Backend,
    BackendError,
    Frame,
    IncompatibleError,
    KnobSpec,
    KnobValue,
    NumberSpec,
    Offers,
    Opening,
    SourceSpec,
    StateSpec,
)
from stempilot_backends.column import Column, ColumnParameters
from stempilot_backends.column.parameters import ROWS
from stempilot_backends.simulator.drawing import draw_instrument, draw_starts
from stempilot_backends.simulator.instruments import (
    MEASUREMENTS,
    SHADOWS,
    FilmBatch,
    Model,
    SimulatorBatch,
)
from stempilot_backends.simulator.options import SimulatorConfig

_SHIFT_RESOLUTION_RAD = 1e-9
_NUMBERS = (SCREEN_CURRENT, CAMERA_LENGTH)
_DEFOCUS_M = (10e-6, 1e-12)
_STIGMATOR = (1.0, 1e-9)
"""How far these knobs go either way, and what their read-back shows."""

_INSTRUMENT, _START = 0, 1
"""Streams that a seed is split into: which instrument, and how it stands."""


@frozen(kw_only=True)
class Standing:
    """How a simulator stands: what its twin begins with."""

    drawn: ColumnParameters
    parameters: ColumnParameters
    knobs: Mapping[str, KnobValue]
    operated: Mapping[str, Any]
    timestep: int
    redraw: Literal["episode", "run"]


class Simulator(Backend):
    """A simulated microscope: reseedable, twinnable, truthful, parkable, and many at once.

    Time passes in exposures only: each lasts one cycle of the column.

    Args:
        config: its options.
        opening: what the session is for; decides when a new instrument is drawn unless
            ``config.redraw`` does.
        standing: makes it a twin: opened, standing so, not changing during later timesteps.
    """

    def __init__(
        self, config: SimulatorConfig, opening: Opening, *, standing: Standing | None = None
    ) -> None:
        self._config = config
        self._opening = opening
        by_episode = opening.purpose == "evaluate" and not opening.trained_here
        self._redraw: Literal["episode", "run"] = config.redraw or (
            "episode" if by_episode else "run"
        )
        self._column: Column | None = None
        self._drawn = ColumnParameters()
        self._clock_s = 0.0
        self._first_timestep = 0
        self._exposures = 0
        self._is_twin = standing is not None
        self._operated: dict[str, Any] = {}
        if standing is not None:
            self._begin(standing)

    def open(self) -> None:
        """Draw the instrument and how it was left standing."""
        rng = np.random.default_rng(
            SeedSequence(self._opening.instrument_seed, spawn_key=(_INSTRUMENT,))
        )
        self._drawn = draw_instrument(self._config, rng)
        self._column = Column(self._drawn, SeedSequence(self._opening.seed))
        self._column.screen = self._config.screen
        self._column.beam_blanked = self._config.beam_blanker == "blanked"
        self._stand(SeedSequence(self._opening.seed, spawn_key=(_START,)))

    def close(self) -> None:
        """Forget the column."""
        self._column = None

    def offers(self) -> Offers:
        """Return the knobs, the FluCam, screen and blanker, and what can be read of the rest."""
        reach = self._config.shift_limit_rad
        lengths = len(self._drawn.camera_lengths_m)
        side = self._drawn.frame_side_px
        return Offers(
            knobs={
                DIFFRACTION_SHIFT: _around_zero(DIFFRACTION_SHIFT, reach, _SHIFT_RESOLUTION_RAD),
                STEM_DEFOCUS: _around_zero(STEM_DEFOCUS, *_DEFOCUS_M),
                CONDENSER_STIGMATOR: _around_zero(CONDENSER_STIGMATOR, *_STIGMATOR),
                CAMERA_LENGTH_INDEX: KnobSpec(
                    unit="index", lower=0, upper=lengths - 1, max_change=lengths, resolution=0
                ),
            },
            sources={FLUCAM: SourceSpec(shape=(side, side), dtype="uint16", saturation=65535)},
            states={
                SCREEN: StateSpec(values=("down", "up")),
                BEAM_BLANKER: StateSpec(values=("open", "blanked")),
                FILM: StateSpec(values=("in", "out")),
            },
            numbers={name: NumberSpec(unit=NUMBER_UNITS[name]) for name in _NUMBERS},
            misaligns=True,
            simulated=True,
        )

    def identity(self) -> dict[str, str]:
        """Return the preset and a digest of the drawn instrument, not of its later changes."""
        drawn = hashlib.sha256(repr(asdict(self._drawn)).encode()).hexdigest()[:12]
        return {"model": "stempilot simulator", "preset": self._config.preset, "instrument": drawn}

    def state(self, name: str) -> str:
        """Return the position of the screen, the blanker or the film."""
        column = self._opened()
        if name == SCREEN:
            return column.screen
        if name == BEAM_BLANKER:
            return "blanked" if column.beam_blanked else "open"
        if name == FILM:
            return "in" if column.parameters.film else "out"
        msg = f"no state {name!r}; the simulator has {SCREEN}, {BEAM_BLANKER} and {FILM}"
        raise BackendError(msg)

    def number(self, name: str) -> float:
        """Return the camera length, or the current on the screen: the beam's or 0 where none is."""
        column = self._opened()
        if name not in _NUMBERS:
            msg = f"no number {name!r}; the simulator has {' and '.join(_NUMBERS)}"
            raise BackendError(msg)
        if name == CAMERA_LENGTH:
            return column.parameters.camera_length_m
        lit = column.screen == "down" and not column.beam_blanked
        return column.parameters.probe_current_a if lit else 0.0

    def read(self, knob: str) -> KnobValue:
        """Return what was commanded."""
        column = self._opened()
        try:
            return column.get(knob)
        except ValueError as error:
            raise BackendError(str(error)) from error

    def write(self, knob: str, value: KnobValue) -> None:
        """Command a knob; it settles as the column's lag lets it."""
        column = self._opened()
        try:
            column.set(knob, value)
        except ValueError as error:
            raise BackendError(str(error)) from error

    def acquire(self, source: str) -> Frame:
        """Return a frame exposed one cycle later; changes that are due happen before it."""
        column = self._opened()
        if source != FLUCAM:
            msg = f"no source {source!r}; the simulator has {FLUCAM}"
            raise BackendError(msg)
        if self._config.changes and self._exposures and not self._is_twin:
            self._apply_changes(column, self._first_timestep + self._exposures)
        self._exposures += 1
        parameters = column.parameters
        column.advance(parameters.cycle_s)
        self._clock_s += parameters.cycle_s
        return Frame(
            pixels=column.expose(self._config.exposure_s),
            exposure_s=self._config.exposure_s,
            taken_at_s=self._clock_s,
            pixel_rad=parameters.pixel_rad_in_use,
        )

    def reseed(self, seed: SeedSequence, *, timestep: int = 0) -> None:
        """Forget all hidden state and misalign again; draw another instrument if it is time to."""
        column = self._opened()
        if self._redraw == "episode":
            rng = np.random.default_rng(_stream(seed, _INSTRUMENT))
            self._drawn = draw_instrument(self._config, rng)
        length = column.parameters.camera_length_index
        stays = {"camera_length_index": length, **self._operated}
        column.change(**asdict(evolve(self._drawn, **stays)))
        if not self._is_twin:
            self._first_timestep = timestep
        self._stand(_stream(seed, _START))

    def twin(self) -> Self:
        """Return an independent copy as the instrument is now; it does not change by itself."""
        column = self._opened()
        standing = Standing(
            drawn=self._drawn,
            parameters=column.parameters,
            knobs={knob: column.get(knob) for knob in self.offers().knobs},
            operated=self._operated,
            timestep=self._first_timestep + max(0, self._exposures - 1),
            redraw=self._redraw,
        )
        return type(self)(self._config, self._opening, standing=standing)

    def measurements(self) -> frozenset[str]:
        """Return the names of what is measured without frames."""
        return SHADOWS if self._opened().parameters.shows_ronchigram else MEASUREMENTS

    def batch(self, count: int, home: Mapping[str, KnobValue]) -> SimulatorBatch:
        """Return many of these instruments at once, as they are now; they do not change.

        Fresh ones are drawn where this simulator draws one for each episode; otherwise all of
        them are this one. See `MeasuresDirectly.batch`.
        """
        column = self._opened()
        unlike = {
            **{
                one.name: (getattr(self._config, one.name), one.default)
                for one in fields(ColumnParameters)
                if one.name in ROWS and ROWS[one.name].pixels_only
            },
            SCREEN: (self.state(SCREEN), "down"),
            BEAM_BLANKER: (self.state(BEAM_BLANKER), "open"),
        }
        unlike = {name: both for name, both in unlike.items() if both[0] != both[1]}
        preset, drawn = self._config.preset, self._config.presets[self._config.preset]
        beside = [name for name in unlike if name in drawn and ROWS[name].specimen]
        problems = [
            f"{name} = {value} is not modelled without frames; set it to {modelled}"
            for name, (value, modelled) in unlike.items()
            if name not in beside
        ]
        if beside:
            problems.append(
                f"preset {preset!r} is not modelled without frames ({', '.join(beside)}); step "
                f"single instruments, which draw frames, or choose another preset"
            )
        if problems:
            raise IncompatibleError(problems)
        changed = self._due(self._first_timestep + max(0, self._exposures - 1))
        model = Model(
            config=self._config,
            present=column.parameters,
            redraws=self._redraw == "episode",
            changed=changed,
        )
        stands = {knob: self.read(knob) for knob in self.offers().knobs} | dict(home)
        kind = FilmBatch if column.parameters.shows_ronchigram else SimulatorBatch
        return kind(model, count, stands)

    def _begin(self, standing: Standing) -> None:
        self.open()
        self._drawn, self._redraw = standing.drawn, standing.redraw
        self._first_timestep = standing.timestep
        column = self._opened()
        column.change(**asdict(standing.parameters))
        for knob, value in standing.knobs.items():
            column.set(knob, value)
        self._operated = dict(standing.operated)

    def operate(
        self,
        *,
        film: Literal["in", "out"] | None = None,
        semi_angle_rad: float | None = None,
        camera_length_m: float | None = None,
    ) -> None:
        """Change by hand what no knob changes, as an operator would; a scripted one calls this.

        Args:
            film: whether the amorphous film is in the beam. It shows as a Ronchigram where the
                disk is large on the camera.
            semi_angle_rad: convergence semi-angle of another aperture.
            camera_length_m: one of the instrument's camera lengths.

        Raises:
            BackendError: one of them is impossible; nothing has changed.
        """
        column = self._opened()
        values: dict[str, Any] = {"film": None if film is None else film == "in"}
        values["semi_angle_rad"] = semi_angle_rad
        values = {name: value for name, value in values.items() if value is not None}
        lengths = column.parameters.camera_lengths_m
        if film not in {None, "in", "out"}:
            msg = f"film = {film!r} is unknown; choose 'in' or 'out'"
            raise BackendError(msg)
        if camera_length_m is not None and camera_length_m not in lengths:
            msg = f"camera_length_m = {camera_length_m:g} is none of {lengths}; choose one of them"
            raise BackendError(msg)
        try:
            column.change(**values)
        except ValueError as error:
            raise BackendError(str(error)) from error
        self._operated |= values
        if camera_length_m is not None:
            column.set(CAMERA_LENGTH_INDEX, (float(lengths.index(camera_length_m)),))

    def truth(self) -> dict[str, KnobValue]:
        """Return the column's hidden state at the last exposure."""
        return self._opened().truth()

    def park(self) -> None:
        """Blank the beam."""
        self._opened().beam_blanked = True

    def _stand(self, seed: SeedSequence) -> None:
        """Reseed the column and leave the disk somewhere in the field, changes applied."""
        column = self._opened()
        self._exposures = 0
        self._apply_changes(column, self._first_timestep)
        column.reseed(_stream(seed, 0))
        reach = self._config.start_range * column.parameters.frame_side_px / 2
        rng = np.random.default_rng(_stream(seed, 1))
        x, y = rng.uniform(-reach, reach, 2)
        column.misalign((float(x), float(y)))
        c1, a1x, a1y = draw_starts(self._config, rng, 1)[:, 0].tolist()
        column.misfocus(c1, (a1x, a1y))

    def _due(self, timestep: int) -> dict[str, Any]:
        """Return what has changed by then, by the column's parameter."""
        due = [change for change in self._config.changes if change.at_timestep <= timestep]
        return {
            name: value
            for change in sorted(due, key=lambda change: change.at_timestep)
            for name, value in change.values().items()
        }

    def _apply_changes(self, column: Column, timestep: int) -> None:
        values = self._due(timestep)
        if any(getattr(column.parameters, name) != value for name, value in values.items()):
            column.change(**values)

    def _opened(self) -> Column:
        if self._column is None:
            msg = "the simulator is closed; open it first"
            raise BackendError(msg)
        return self._column


def _around_zero(knob: str, limit: float, resolution: float) -> KnobSpec:
    """Return the specification of a knob that goes as far either way, in one write."""
    unit, size = KNOB_UNITS[knob]
    return KnobSpec(
        unit=unit,
        lower=(-limit,) * size,
        upper=(limit,) * size,
        max_change=(2 * limit,) * size,
        resolution=(resolution,) * size,
    )


def _stream(seed: SeedSequence, number: int) -> SeedSequence:
    """Return a stream of a seed; unlike ``spawn`` it does not count its calls."""
    return SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, number))
