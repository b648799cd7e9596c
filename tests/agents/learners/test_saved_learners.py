"""A saved learner that is damaged, foreign or hostile is refused, and changes nothing."""

import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from stempilot.errors import IncompatibleError, RunDirError


@pytest.fixture(params=["sac", "sac-rapid", "tqc", "crossq", "dqn"])
def kind(request: Any) -> Any:
    return request.param


@pytest.fixture
def saved(kind: Any, new_learner: Any, point_env: Any, tmp_path: Any) -> Any:
    learner = new_learner(kind)
    learner.learn(point_env(discrete=kind == "dqn"), steps=13, report=lambda _: True)
    learner.save(tmp_path)
    return tmp_path


def refused(new_learner: Any, kind: Any, folder: Any, error: Any, said: Any, **options: Any) -> Any:
    """Check that loading fails and leaves the learner as it was."""
    learner = new_learner(kind, seed=5, **options)
    before = learner.numbers
    state = learner._random.record()
    with pytest.raises(error, match=said) as caught:
        learner.load(folder)
    assert learner._random.record() == state
    assert learner._model.progress.timesteps == 0
    for name, array in learner.numbers.items():
        np.testing.assert_array_equal(array, before[name])
    return caught.value


def edit(folder: Any, change: Any) -> None:
    file = folder / "agent.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def test_holds_three_files_and_no_pickle(
    saved: Any, kind: Any, new_learner: Any, monkeypatch: Any
) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("something was unpickled")

    for module, name in ((pickle, "load"), (pickle, "loads"), (torch, "load"), (np, "load")):
        monkeypatch.setattr(module, name, forbidden)
    monkeypatch.setattr(pickle, "Unpickler", forbidden)
    names = {"agent.json", "tensors.safetensors", "replay.safetensors"}
    assert {file.name for file in saved.iterdir()} == names
    new_learner(kind).load(saved)


def test_keeps_only_the_filled_part_of_the_buffer(saved: Any) -> None:
    rows = load_file(saved / "replay.safetensors")
    assert {len(array) for array in rows.values()} == {13}
    assert rows.keys() == {
        "observations",
        "next_observations",
        "actions",
        "rewards",
        "dones",
        "timeouts",
    }


def test_a_learner_that_has_not_learnt_can_be_saved(
    kind: Any, new_learner: Any, tmp_path: Any
) -> None:
    learner = new_learner(kind)
    learner.save(tmp_path)
    other = new_learner(kind, seed=3)
    other.load(tmp_path)
    for name, array in learner.numbers.items():
        np.testing.assert_array_equal(array, other.numbers[name])


def test_another_kind_is_refused(saved: Any, kind: Any, new_learner: Any) -> None:
    edit(saved, lambda document: document.update(kind="ppo"))
    refused(new_learner, kind, saved, RunDirError, f"kind = 'ppo'; this is a {kind} agent")


def test_other_spaces_are_refused_and_all_listed(saved: Any, kind: Any, new_learner: Any) -> None:
    def change(document: Any) -> None:
        document["observation_space"]["high"] = [2.0, 3.0]
        document["action_space"]["kind"] = "Tuple"

    edit(saved, change)
    error = refused(new_learner, kind, saved, IncompatibleError, "do not fit together")
    observation, action = error.problems
    assert "observation space" in observation
    assert "[2.0, 3.0]" in observation
    assert "Tuple" in action


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hidden_sizes": [8, 4]}, r"config.hidden_sizes = \[8, 8\], asked for \[8, 4\]"),
        ({"activation": "tanh"}, "config.activation = 'relu', asked for 'tanh'"),
        ({"reward_scale": 7.0}, "config.reward_scale"),
        ({"buffer_size": 600}, "config.buffer_size = 500, asked for 600"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    saved: Any, kind: Any, new_learner: Any, options: Any, said: Any
) -> None:
    refused(new_learner, kind, saved, RunDirError, said, **options)


def test_options_that_fit_may_change(saved: Any, kind: Any, new_learner: Any) -> None:
    learner = new_learner(kind, learning_rate=0.5, gamma=0.1, gradient_steps=7)
    learner.load(saved)
    assert learner._model.gamma == 0.1


@pytest.mark.parametrize(("saved_with", "asked"), [("auto", 0.1), (0.1, "auto")])
def test_a_fixed_entropy_coefficient_and_a_learnt_one_do_not_fit_each_other(
    new_learner: Any, tmp_path: Any, saved_with: Any, asked: Any
) -> None:
    new_learner("sac", entropy_coefficient=saved_with).save(tmp_path)
    refused(
        new_learner,
        "sac",
        tmp_path,
        RunDirError,
        rf"entropy_coefficient = '?{saved_with}'?, asked for '?{asked}'?; .* each other's place",
        entropy_coefficient=asked,
    )


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("progress", "timesteps"), -1, "timesteps"),
        (("progress", "updates"), "3", "updates"),
        (("replay", "position"), 7, "replay = "),
        (("replay", "position"), 500, "replay = "),
        (("replay", "full"), True, "replay = "),
        (("replay", "size"), 12, "replay = "),
        (("random", "torch"), "AAAA", "random.torch"),
        (("random", "torch"), "not base64", "random.torch"),
        (("random", "numpy_key"), "AAAA", "random.numpy_key"),
        (("random", "numpy_position"), 900, "numpy_position"),
        (("random", "python_words"), "AAAAAAAA", "random.python_words"),
        (("random", "action_space"), {"bit_generator": "PCG64"}, "random.action_space"),
        (("config",), 3, "config"),
    ],
)
def test_a_damaged_document_is_refused(
    saved: Any, kind: Any, new_learner: Any, path: Any, value: Any, said: Any
) -> None:
    def change(document: Any) -> None:
        for name in path[:-1]:
            document = document[name]
        assert path[-1] in document
        document[path[-1]] = value

    edit(saved, change)
    error = refused(new_learner, kind, saved, RunDirError, said)
    assert "agent.json" in str(error)


@pytest.mark.parametrize("file", ["agent.json", "tensors.safetensors", "replay.safetensors"])
def test_a_missing_or_cut_file_is_refused(
    saved: Any, kind: Any, new_learner: Any, file: Any
) -> None:
    content = (saved / file).read_bytes()
    (saved / file).write_bytes(content[: len(content) // 2])
    refused(new_learner, kind, saved, RunDirError, file)
    (saved / file).unlink()
    refused(new_learner, kind, saved, RunDirError, f"cannot read .*{file}")


@pytest.mark.parametrize("file", ["tensors.safetensors", "replay.safetensors"])
def test_numbers_that_are_not_finite_are_refused(
    saved: Any, kind: Any, new_learner: Any, file: Any
) -> None:
    arrays = load_file(saved / file)
    name = next(name for name in sorted(arrays) if arrays[name].ndim > 1)
    arrays[name] = np.full_like(arrays[name], np.nan if arrays[name].dtype.kind == "f" else 0)
    name = "rewards" if file.startswith("replay") else name
    arrays[name] = np.full_like(arrays[name], np.nan)
    save_file(arrays, saved / file)
    refused(new_learner, kind, saved, RunDirError, f"{name} holds numbers that are not finite")


@pytest.mark.parametrize("end", [".exp_avg_sq", ".ra_var"])
def test_squares_that_are_negative_are_refused(
    saved: Any, kind: Any, new_learner: Any, end: Any
) -> None:
    arrays = load_file(saved / "tensors.safetensors")
    names = [name for name in sorted(arrays) if name.endswith(end)]
    assert bool(names) == (end == ".exp_avg_sq" or kind == "crossq")
    for name in names[:1]:
        arrays[name].flat[-1] = -1e-9
        save_file(arrays, saved / "tensors.safetensors")
        refused(new_learner, kind, saved, RunDirError, f"{name} must not be negative")


def test_an_optimiser_without_its_moments_is_refused(
    saved: Any, kind: Any, new_learner: Any
) -> None:
    arrays = load_file(saved / "tensors.safetensors")
    name = next(name for name in sorted(arrays) if name.endswith("exp_avg"))
    del arrays[name]
    save_file(arrays, saved / "tensors.safetensors")
    refused(new_learner, kind, saved, RunDirError, f"{name} is missing")
