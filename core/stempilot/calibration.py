"""Checks the calibration of frames that an envelope holds against the instrument."""

from stempilot.envelope import Envelope
from stempilot.errors import EnvelopeError
from stempilot.model import Capabilities
from stempilot.vocabulary import CAMERA_LENGTH_INDEX


def check_calibration(envelope: Envelope, offers: Capabilities, backend: str) -> None:
    """Check that each calibrated source exists and that the camera length can be read.

    Raises:
        EnvelopeError: a calibration would never be used.
    """
    for source in envelope.pixel_mrad:
        if source not in offers.sources:
            listing = ", ".join(offers.sources) or "none"
            msg = (
                f"the envelope calibrates the source {source}; {backend} offers {listing}; "
                f"correct [calibration.{source}] in the envelope file"
            )
            raise EnvelopeError(msg)
        if CAMERA_LENGTH_INDEX not in offers.knobs:
            msg = (
                f"the envelope calibrates {source} by camera length, but {backend} does not tell "
                f"{CAMERA_LENGTH_INDEX}; remove [calibration.{source}] from the envelope file"
            )
            raise EnvelopeError(msg)
