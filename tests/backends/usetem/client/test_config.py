"""Options that contradict themselves or the instrument are refused with a reason."""

import pytest

from stempilot.errors import ConfigError
from stempilot.plugins import options as config
from stempilot_backends.usetem.client.config import UsetemThemisConfig

from .usetem_server import backend, options


def test_the_options_survive_being_written_and_read():
    made = options("http://themis:8001/temscript", pixel_mrad=[[6, 0.565]], camera="Other")
    assert config.build(UsetemThemisConfig, config.plain(made), section="backend") == made


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"url": "themis:8001"}, "http://HOST:PORT/PATH"),
        ({"url": "https://themis/temscript"}, "SSH tunnel"),
        ({"camera": " "}, "camera must not be empty"),
        ({"frame_shape": [0, 10]}, "1 to 16384"),
        ({"frame_shape": [10, 20000]}, "1 to 16384"),
        ({"frame_dtype": "int23"}, "did you mean int32"),
        ({"knobs": []}, "at least one"),
        ({"knobs": ["beam_shift", "beam_shift"]}, "none twice"),
        ({"knobs": ["beamshift"]}, "did you mean beam_shift"),
        ({"pixel_mrad": [[6, 0.0]]}, "above 0"),
        ({"pixel_mrad": [[6, 0.5], [6, 0.6]]}, "twice"),
        ({"camera_lengths_mm": []}, "at least one length"),
        ({"camera_lengths_mm": [0.0]}, "above 0"),
        ({"max_devices": 0}, "max_devices"),
        ({"retries": 21}, "retries"),
        ({"call_timeout_s": 0.0}, "call_timeout_s"),
        ({"settle_s": -1.0}, "settle_s"),
        ({"beam_lost_share": 1.0}, "between 0 and 1"),
        ({"frames": "scren"}, "did you mean screen"),
        ({"require_screen": "left"}, "down, up"),
    ],
)
def test_bad_options_are_refused_with_a_reason(given, part):
    with pytest.raises(ConfigError, match=part):
        config.build(UsetemThemisConfig, given, section="backend")


def test_defaults_are_for_a_server_on_this_computer_and_the_published_camera():
    made = UsetemThemisConfig()
    assert made.url == "http://127.0.0.1:8001/temscript"
    assert (made.camera, made.frame_shape, made.frame_dtype) == ("BM-Flucam", (1040, 1040), "int32")
    shift = backend(made.url).offers().knobs["diffraction_shift"]
    assert (shift.lower, shift.upper) == ((-0.5, -0.5), (0.5, 0.5))
    assert (shift.max_change, shift.resolution) == ((0.05, 0.05), (1e-5, 1e-5))
