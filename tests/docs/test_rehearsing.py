"""Every command of the page on rehearsing does what the page says."""

import re
import shlex
import urllib.request
from pathlib import Path

import pytest

from stempilot.plugins import options as config
from stempilot_backends.usetem.emulator.config import EmulatorConfig
from stempilot_backends.usetem.emulator.emulator import ThemisEmulator

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to-rehearse.md"
TEXT = PAGE.read_text(encoding="utf-8")
CURLS = re.findall(r"^curl .*$", TEXT, re.M)
OPTIONS = re.findall(r"`emulator\.(\w+)=([^`,]+)`", TEXT)


@pytest.fixture
def door():
    with ThemisEmulator(EmulatorConfig(realtime=False), 0) as emulator:
        emulator.start("127.0.0.1", 0)
        yield emulator.endpoints()["rehearsal"]


@pytest.mark.parametrize("line", CURLS)
def test_each_curl_command_is_answered(door, line):
    words = shlex.split(line)[1:]
    url = words.pop()
    data = words[words.index("-d") + 1].encode() if "-d" in words else None
    verb = words[words.index("-X") + 1] if "-X" in words else None
    assert url.startswith("http://127.0.0.1:8002/rehearsal")
    there = url.replace("http://127.0.0.1:8002/rehearsal", door)
    asked = urllib.request.Request(there, data, method=verb)  # noqa: S310 - checked above
    with urllib.request.urlopen(asked) as reply:  # noqa: S310
        assert reply.status == 200


@pytest.mark.parametrize(("name", "value"), OPTIONS)
def test_each_option_exists(name, value):
    _, _, parsed = config.parse_setting(f"emulator.{name}={value}", ("emulator",))
    assert config.build(EmulatorConfig, {name: parsed}, section="emulator")


def test_the_example_runs():
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    exec(compile(code, str(PAGE), "exec"), {})  # noqa: S102 - our own page


def test_there_is_something_to_try():
    assert len(CURLS) >= 8
    assert len(OPTIONS) >= 5
