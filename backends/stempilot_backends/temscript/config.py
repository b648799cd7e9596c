"""The options of the temscript backend. Values that are not measured are marked as guesses."""

import math
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from attrs import Attribute, field, frozen, validators


def _http_url(_: Any, attribute: "Attribute[str]", value: str) -> None:
    parts = urlsplit(value)
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
        msg = f"{attribute.name} = {value!r} must look like http://HOST:PORT"
        raise ValueError(msg)


def _above_zero(_: Any, attribute: "Attribute[float]", value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        msg = f"{attribute.name} = {value!r} must be a finite number above 0"
        raise ValueError(msg)


def _pixel_type(_: Any, attribute: "Attribute[str]", value: str) -> None:
    try:
        numeric = np.dtype(value).kind in {"u", "i", "f"}
    except TypeError:
        numeric = False
    if not numeric:
        msg = f"{attribute.name} = {value!r} must name a NumPy number type, for example int16"
        raise ValueError(msg)


def _shape(_: Any, attribute: "Attribute[tuple[int, int]]", value: tuple[int, int]) -> None:
    if min(value) < 1:
        msg = f"{attribute.name} = {value} must be two whole numbers of at least 1"
        raise ValueError(msg)


@frozen(kw_only=True)
class TemscriptConfig:
    """Options of ``temscript``: a microscope behind the package temscript's own server.

    Exposure and binning are the operator's: they are read and never set.

    Attributes:
        url: the server, ``http://HOST:PORT``. It has no authentication; reach another machine
            through an SSH tunnel.
        timeout_s: longest silence of the server within a call.
        camera: name of the camera that looks at the pattern, as the server lists it.
        camera_shape: (rows, cols) of its frames as the operator has set it up.
        camera_dtype: NumPy name of its pixel type.
        saturation: pixel value from which a pixel is clipped; unknown if ``None``.
        pixel_mrad: angle of one pixel at the camera length in use; unknown if ``None``.
        settle_s: waited after each write before the knob is read back. A guess.
        shift_limit_rad: largest diffraction shift of either component. A guess.
        shift_step_rad: largest change of it in one write. A guess.
        shift_resolution_rad: smallest difference of it that a read-back shows. A guess.
        beam_shift_limit_m: largest beam shift of either component. A guess.
        beam_shift_step_m: largest change of it in one write. A guess.
        beam_shift_resolution_m: smallest difference of it that a read-back shows. A guess.
    """

    url: str = field(default="http://127.0.0.1:8080", validator=_http_url)
    timeout_s: float = field(default=10.0, validator=_above_zero)
    camera: str = field(default="BM-Flucam", validator=validators.min_len(1))
    camera_shape: tuple[int, int] = field(default=(1040, 1040), validator=_shape)
    camera_dtype: str = field(default="int16", validator=_pixel_type)
    saturation: float | None = None
    pixel_mrad: float | None = field(default=None, validator=validators.optional(_above_zero))
    settle_s: float = field(default=0.1, validator=validators.ge(0))
    shift_limit_rad: float = field(default=0.3, validator=_above_zero)
    shift_step_rad: float = field(default=0.05, validator=_above_zero)
    shift_resolution_rad: float = field(default=1e-6, validator=_above_zero)
    beam_shift_limit_m: float = field(default=1e-6, validator=_above_zero)
    beam_shift_step_m: float = field(default=1e-7, validator=_above_zero)
    beam_shift_resolution_m: float = field(default=1e-10, validator=_above_zero)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80
