"""The sample-efficient learner learns the published set-up within 120 timesteps, from frames."""

from pathlib import Path

import pytest

import stempilot


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sac_rapid_centres_the_disk_after_120_timesteps(tmp_path: Path) -> None:
    plan = stempilot.plan_train(
        stempilot.discover(),
        task="bf-disk-centering",
        agent="sac-rapid",
        steps=120,
        settings={"task": {"preset": "paper"}, "backend": {"preset": "paper"}},
        extras=stempilot.Extras(seed=31, out=tmp_path / "run"),
    )
    result = stempilot.execute(plan)
    # At least 96 of 100 fixed starts, at every evaluation from there to the end.
    assert result["converged_at"] is not None
    assert result["converged_at"] <= 120
    assert not (tmp_path / "run" / "log.txt").exists(), "the prior holds"
