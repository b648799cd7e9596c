"""Options of the virtual Themis: those of the simulator, and those of the server around it."""

from typing import Literal

from attrs import field, frozen, validators

from stempilot_backends.simulator.options import SimulatorConfig


@frozen(kw_only=True)
class EmulatorConfig(SimulatorConfig):
    """Options of the virtual Themis, in addition to all options of the simulator.

    With the same seed it is the same instrument as the simulator's, noise included. Real figures of
    settling, latency and read-back are unknown: the defaults here are guesses.

    Attributes:
        realtime: exposures, settling and latency take their time; otherwise nothing waits. Either
            way the column ages by one cycle with each exposure, so that the frames are the same.
        latency_s: what each call takes beside its work.
        settle_s: what a shift or camera length takes to settle; a frame begun earlier still shows
            the beam where it was.
        shift_resolution_rad: read-backs of the diffraction shift are multiples of this; 0 gives
            back exactly what was written.
        camera: the one camera name that the server knows.
        valves: position of the column valves.
        projection: mode of the projection system; imaging shows no disk.
        instrument_mode: mode of the instrument.
        stigmator: ``broken``, as on the published server, where the condenser stigmator's call
            fails, or ``repaired``.
        rehearsal_port: where faults are injected and the truth is told, on loopback; 0 takes any
            free port.
    """

    realtime: bool = True
    latency_s: float = field(default=0.0, validator=validators.ge(0))
    settle_s: float = field(default=0.0, validator=validators.ge(0))
    shift_resolution_rad: float = field(default=0.0, validator=validators.ge(0))
    camera: str = field(default="BM-Flucam", validator=validators.min_len(1))
    valves: Literal["open", "closed"] = "open"
    projection: Literal["diffraction", "imaging"] = "diffraction"
    instrument_mode: Literal["STEM", "TEM"] = "STEM"
    stigmator: Literal["broken", "repaired"] = "broken"
    rehearsal_port: int = field(
        default=0, validator=validators.and_(validators.ge(0), validators.le(65535))
    )
