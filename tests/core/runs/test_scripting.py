"""One call trains, relearns or runs, and returns what the command prints, with types."""

import json
from pathlib import Path

import pytest
from tests.core.fakes import toy_registry

import stempilot
from stempilot.errors import ConfigError, PluginError
from stempilot.files import read_json

REGISTRY = toy_registry()


def test_training_and_relearning_are_typed(tmp_path: Path) -> None:
    trained = stempilot.train(
        "centring", "learner", steps=20, registry=REGISTRY, seed=3, out=tmp_path / "a"
    )
    assert (trained.timesteps, trained.seed, trained.run_dir) == (20, 3, tmp_path / "a")
    assert not trained.interrupted
    assert trained.budget_spent is None
    again = stempilot.relearn(
        trained.run_dir,
        steps=5,
        registry=REGISTRY,
        out=str(tmp_path / "b"),
        settings={"backend": {"serial": 2}},
    )
    assert again.timesteps == 5
    assert again.to_json()["command"] == "relearn"
    for result in (trained, again):
        assert result.to_json() | {"schema": 1} == read_json(result.run_dir / "result.json")
        json.dumps(result.to_json(), allow_nan=False)
        assert set(result.to_json()) == set(result.figures)


def test_running_once_and_evaluating_are_typed(tmp_path: Path) -> None:
    once = stempilot.run("centring", "exact", registry=REGISTRY, out=tmp_path / "once")
    assert isinstance(once, stempilot.RunResult)
    assert (once.success, once.outcome, once.reason) == (True, "success", "")
    many = stempilot.run("centring", "exact", episodes=3, registry=REGISTRY, out=tmp_path / "many")
    assert isinstance(many, stempilot.EvaluationResult)
    assert (many.episodes, many.success_rate) == (3, 1.0)
    for result in (once, many):
        assert result.to_json() | {"schema": 1} == read_json(result.run_dir / "result.json")


def test_a_policy_is_run_by_its_directory(tmp_path: Path) -> None:
    stempilot.train("centring", "learner", steps=10, registry=REGISTRY, out=tmp_path / "a")
    ran = stempilot.run(
        "centring", policy=tmp_path / "a", episodes=2, registry=REGISTRY, out=tmp_path / "b"
    )
    assert ran.episodes == 2


def test_errors_speak_of_arguments() -> None:
    with pytest.raises(ConfigError, match=r"^seed -1 must be 0 or more$"):
        stempilot.train("centring", "learner", registry=REGISTRY, seed=-1)
    with pytest.raises(ConfigError, match=r"^steps 0 must be 1 or more$"):
        stempilot.train("centring", "learner", steps=0, registry=REGISTRY)
    with pytest.raises(ConfigError, match=r"^episodes 0 must be 1 or more$"):
        stempilot.run("centring", "exact", episodes=0, registry=REGISTRY)
    with pytest.raises(ConfigError, match="give either the name of an agent or a policy"):
        stempilot.run("centring", registry=REGISTRY)
    with pytest.raises(PluginError, match="did you mean centring"):
        stempilot.run("centering", "exact", registry=REGISTRY)
    with pytest.raises(TypeError, match="'sed'"):
        stempilot.run("centring", "exact", registry=REGISTRY, sed=1)  # type: ignore[call-overload]
