"""``stempilot emulate``: a process that serves until it is told to stop."""

import json
import os
import signal
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.core.cli.conftest import Stempilot

from stempilot.plugins.registry import discover

CODE = "import sys; sys.argv[0] = 'stempilot'; from stempilot.cli import main; main()"
DEADLINE_S = 30.0


@contextmanager
def emulating(*words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", CODE, "emulate", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    process.send_signal(number)
    _, said = process.communicate(timeout=DEADLINE_S)
    return process.returncode, said


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="these signals cannot be sent there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_one_object_serves_and_ends_with_0(number: int) -> None:
    options = ("--port", "0", "--seed", "3", "--set", "emulator.camera_length_index=9", "--json")
    with emulating("usetem-themis", *options) as process:
        assert process.stdout is not None
        told: dict[str, Any] = json.loads(process.stdout.readline())
        assert told["pid"] == process.pid
        assert told["url"].startswith("http://127.0.0.1:")
        assert told["url"].endswith("/temscript")
        assert told["rehearsal"].endswith("/rehearsal")
        with xmlrpc.client.ServerProxy(told["url"]) as proxy:
            assert proxy.projection.cameraLengthIndex() == 9
        assert ended(process, number) == (0, "")


@pytest.mark.slow
def test_a_port_that_is_taken_ends_with_4_and_says_so() -> None:
    with emulating("usetem-themis", "--port", "0", "--json") as first:
        assert first.stdout is not None
        port = json.loads(first.stdout.readline())["url"].split(":")[2].split("/")[0]
        with emulating("usetem-themis", "--port", port) as second:
            _, said = second.communicate(timeout=DEADLINE_S)
            assert second.returncode == 4
            assert f"cannot listen on 127.0.0.1:{port}" in said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("usetem-temis",), 2, "did you mean usetem-themis"),
        (("usetem-themis", "--set", "backend.x=1"), 2, "unknown section: backend"),
        (("usetem-themis", "--set", "emulator.latency=1"), 2, "did you mean emulator.latency_s"),
        (("usetem-themis", "--set", "emulator.latency_s=-1"), 2, "latency_s"),
        (("usetem-themis", "--port", "-1"), 2, "--port"),
        (("usetem-themis", "--config", "no.toml"), 2, "cannot read no.toml"),
    ],
)
def test_what_cannot_be_served_is_refused(
    stempilot: Stempilot, use: Any, words: tuple[str, ...], code: int, said: str
) -> None:
    use(discover(only=""))
    found = stempilot("emulate", *words)
    assert found.code == code
    assert said in found.err + found.out


def test_a_file_holds_its_options(stempilot: Stempilot, use: Any, tmp_path: Path) -> None:
    use(discover(only=""))
    (tmp_path / "rehearsal.toml").write_text("[emulator]\nrealtime = 3\n", encoding="utf-8")
    found = stempilot("emulate", "usetem-themis", "--config", "rehearsal.toml")
    assert (found.code, "emulator.realtime: 3 is not true or false" in found.err) == (2, True)


def test_plugins_lists_it(stempilot: Stempilot, use: Any) -> None:
    use(discover(only=""))
    rows = stempilot("plugins", "--json").json["plugins"]
    (row,) = (row for row in rows if row["kind"] == "emulator")
    assert (row["name"], row["usable"]) == ("usetem-themis", True)
