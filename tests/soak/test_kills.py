"""Five of the kills of `tests.soak.kills`; the script does 500."""

import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals"),
]

KILLS = 5


def test_after_a_kill_at_a_random_moment_the_next_run_leads_home(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import random

    from tests.soak import kills

    seed = random.SystemRandom().randrange(2**32)
    said: list[str] = []
    with capsys.disabled():
        sys.stdout.write(f"\nkills: seed {seed}\n")
    assert kills.kill(KILLS, seed, list(kills.COMMANDS), said.append) == [], "\n".join(said)
