"""Options of the replay backend."""

from attrs import field, frozen, validators


@frozen(kw_only=True)
class ReplayConfig:
    """Options of ``replay``: a recorded run as an instrument.

    Attributes:
        run: run directory to play back, recorded with ``--frames all``.
    """

    run: str = field(validator=validators.min_len(1))
