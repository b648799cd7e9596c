"""Some of the kills of `tests.soak.workflows`; the script does 100."""

import sys

import pytest
from tests.sampling import sampled

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals"),
]


@pytest.mark.parametrize(("kills", "morning"), sampled([(1, False), (3, True)], 2))
def test_a_workflow_that_was_killed_is_gone_on_with(
    kills: int, morning: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    import random

    from tests.soak import workflows

    seed = random.SystemRandom().randrange(2**32)
    said: list[str] = []
    with capsys.disabled():
        sys.stdout.write(f"\nworkflows: seed {seed}\n")
    assert workflows.kill(kills, seed, said.append, morning=morning) == [], "\n".join(said)
