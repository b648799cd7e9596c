"""The agent: what it accepts, what it refuses, and that it centres on instruments never seen."""

import shutil
import subprocess
import sys
from typing import Any

import attrs
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from safetensors import safe_open
from tests.agents.centring_plant import (
    EDGE_PX,
    FULL_ACTION_PX,
    HALF_PX,
    Oracle,
    Plant,
    any_response,
    brief,
    goal,
)

from stempilot.contract.agent import Brief, NoticesChange
from stempilot.errors import IncompatibleError, RunDirError
from stempilot_agents.learners.saving import read_any_arrays, write_arrays
from stempilot_agents.universal.agent import UniversalConfig, make_universal
from stempilot_agents.universal.network import SHAPES, SHIPPED, UniversalNetwork

BIN_PX = 1040 / 255


def played(
    policy: Any, count: int = 150, reach: float = 0.85 * HALF_PX, wide: float = 1.0, **noise: Any
) -> tuple[float, float]:
    """Return the share of successes and the steps over the oracle's, on instruments of all kinds.

    From 0.85 of the half field, as the conditions have it. A full action is ``wide`` of the
    published ones.
    """
    won, steps, best = 0, 0, 0
    for number in range(count):
        response = wide * any_response(np.random.default_rng([number, 1]))
        plant = Plant(response=response, **noise)
        rngs = [np.random.default_rng([number, 2]) for _ in range(2)]
        success, taken = plant.play(policy, rngs[0], reach=reach, name=str(number))
        reached, least = plant.play(Oracle(plant.response), rngs[1], reach=reach)
        if success and reached:
            won, steps, best = won + 1, steps + taken, best + least
    return won / count, steps / best


def test_centres_on_instruments_never_seen() -> None:
    policy = make_universal(UniversalConfig(), brief()).policy()
    success, ratio = played(policy, action_noise=0.05, vibration_px=2.0)
    assert success >= 0.98
    assert ratio <= 1.2


def test_with_steps_across_the_screen_constant_answers_lose_more(tmp_path: Any) -> None:
    arrays = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    arrays["scale"][:] = 1
    # All of what serves both hands and nothing else: the best constant known.
    arrays["out.bias"][-1] = 1
    write_arrays(tmp_path / "constant.safetensors", arrays)
    wide = 104.0
    wide_brief = brief(goal(full_action=wide * FULL_ACTION_PX / HALF_PX))
    success = [
        played(
            make_universal(UniversalConfig(weights=weights), wide_brief).policy(),
            count=60,
            wide=wide,
            action_noise=0.05,
            vibration_px=2.0,
        )[0]
        for weights in ("", str(tmp_path / "constant.safetensors"))
    ]
    assert success[0] >= 0.98
    assert success[1] < success[0] - 0.05


def test_a_tolerance_far_wider_than_trained_with_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_universal(UniversalConfig(), brief(goal(tolerance=0.115)))
    assert not caplog.messages
    make_universal(UniversalConfig(), brief(goal(tolerance=0.385)))
    assert "the tolerance is 0.4 half fields" in caplog.text
    assert "adaptive suits wide tolerances" in caplog.text


def test_what_forgets_everything_notices_no_change() -> None:
    policy = make_universal(UniversalConfig(memory="fresh"), brief()).policy()
    assert not isinstance(policy, NoticesChange)


def test_works_in_bins_from_a_goal_beside_the_centre() -> None:
    edge = EDGE_PX / BIN_PX
    beside = np.array([4.0, 8.0])
    in_bins = goal(
        residual=(1, 2),
        unit="bins",
        tolerance=3.0,
        edges=(tuple(-edge - beside), tuple(edge - beside)),
        resolution=1.0,
        full_action=10.0,
    )
    made = Brief(
        observation_space=Box(-200, 200, (5,), np.float32),
        action_space=Box(-1, 1, (2,), np.float32),
        goal=in_bins,
        seed=0,
    )
    policy = make_universal(UniversalConfig(), made).policy()
    rng = np.random.default_rng(4)
    won = 0
    for number in range(40):
        response, position = any_response(rng), rng.uniform(-400, 400, 2)
        policy.reset(str(number))
        for _ in range(200):
            seen = np.rint(position / BIN_PX) - beside
            if np.hypot(*seen) <= 3:
                won += 1
                break
            if np.abs(position).max() > EDGE_PX:
                break
            action = policy.act(np.array([100, *seen, *(seen == 0)], np.float32))
            position = position + response @ action
    assert won >= 39


def episodes(memory: Any, *names: str) -> list[Any]:
    """Return the actions of episodes that look alike, on these instruments."""
    policy = make_universal(UniversalConfig(memory=memory), brief()).policy()
    seen = [np.array(pair, np.float32) for pair in ([0.5, 0.2], [0.45, 0.26], [0.3, 0.2])]
    actions = []
    for name in names:
        policy.reset(name)
        actions.append([policy.act(each).tolist() for each in seen])
    return actions


def test_fresh_plays_each_episode_as_the_first() -> None:
    first, again, other = episodes("fresh", "one", "one", "other")
    assert first == again == other


def test_kept_remembers_one_instrument_only() -> None:
    first, again, other = episodes("kept", "one", "one", "other")
    assert first != again
    assert first == other


def test_what_is_kept_saves_the_probe() -> None:
    plant = Plant(response=any_response(np.random.default_rng(3)), vibration_px=1.0)
    steps = {}
    for memory in ("fresh", "kept"):
        policy = make_universal(UniversalConfig(memory=memory), brief()).policy()
        played_once = [
            plant.play(policy, np.random.default_rng(number), reach=0.85 * HALF_PX, name="same")
            for number in range(30)
        ]
        assert all(success for success, _ in played_once)
        steps[memory] = np.mean([taken for _, taken in played_once[1:]])
    assert steps["kept"] < steps["fresh"] - 0.5


@pytest.mark.parametrize(
    ("change", "least"),
    [
        pytest.param(np.array([[0.0, -1.0], [1.0, 0.0]]), 1, id="turned by 90 deg"),
        pytest.param(np.array([[1.0, 0.0], [0.0, -1.0]]), 1, id="mirrored"),
        # What is hardly larger than the vibration may be smaller without anybody's notice.
        pytest.param(0.6 * np.eye(2), 0, id="smaller"),
    ],
)
def test_notices_a_changed_response_and_finds_the_new_one(change: Any, least: int) -> None:
    for number in range(5):
        before = any_response(np.random.default_rng([number, 8]))
        policy = make_universal(UniversalConfig(), brief()).policy()
        assert isinstance(policy, NoticesChange)
        won, said = [], []
        for episode in range(16):
            plant = Plant(response=before if episode < 8 else before @ change, vibration_px=1.0)
            rng = np.random.default_rng([number, episode])
            won.append(plant.play(policy, rng, reach=0.7 * HALF_PX, name="same")[0])
            said.append(policy.changed())
        assert all(won[:8])
        assert not any(said[:8])
        assert sum(won[8:]) >= 7
        noticed = [each for each in said if each]
        assert least <= len(noticed) <= 1
        assert all(each.endswith("probing again") for each in noticed)


def test_learns_from_where_the_last_action_led() -> None:
    policy = make_universal(UniversalConfig(), brief()).policy()
    actions = []
    for last in (None, [0.3, 0.1], [0.1, 0.3]):
        policy.reset("new" if last is None else str(last))
        policy.act(np.array([0.2, 0.2], np.float32))
        if last is not None:
            policy.ended(np.array(last, np.float32))
        policy.reset("new" if last is None else str(last))
        actions.append(policy.act(np.array([0.5, -0.3], np.float32)).tolist())
    assert len({tuple(action) for action in actions}) == len(actions)


def test_acts_on_what_it_saw_before() -> None:
    policy = make_universal(UniversalConfig(), brief()).policy()
    policy.reset("one")
    policy.act(np.array([0.5, 0.2], np.float32))
    followed = policy.act(np.array([0.4, 0.2], np.float32))
    policy.reset("one")
    policy.act(np.array([0.5, 0.2], np.float32))
    assert not np.array_equal(followed, policy.act(np.array([0.5, 0.3], np.float32)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_actions_are_of_the_space(dtype: Any) -> None:
    made = attrs.evolve(brief(), action_space=Box(-1, 1, (2,), dtype))
    policy = make_universal(UniversalConfig(), made).policy()
    policy.reset("one")
    for seen in ([0.9, 0.9], [0.9, 0.9], [-0.9, 0.3], [0.0, 0.0], [3.0, -3.0]):
        action = policy.act(np.array(seen))
        assert made.action_space.contains(action)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"goal": None}, "needs the goal of a task that centres something"),
        ({"action_space": Discrete(8)}, "needs actions in a Box of one axis from -1 to 1"),
        ({"action_space": Box(-2, 2, (2,), np.float32)}, "from -1 to 1, not Box"),
        ({"goal": goal(full_action=None)}, "needs goal.full_action above 0"),
        ({"goal": goal(full_action=0.0)}, "it is 0.0"),
        ({"goal": goal(edges=((-np.inf, -1.0), (1.0, 1.0)))}, "needs finite edges"),
        ({"goal": goal(tolerance=0.0)}, "needs a tolerance above 0, it is 0"),
        ({"goal": goal(residual=(0, 5))}, "needs the residual"),
        (
            {
                "action_space": Box(-1, 1, (1,), np.float32),
                "goal": goal(
                    residual=(0,),
                    edges=((-1.0,), (1.0,)),
                ),
            },
            "needs a residual on two axes, not 1",
        ),
    ],
)
def test_refuses_what_it_cannot_centre(changes: Any, said: Any) -> None:
    with pytest.raises(IncompatibleError, match=said):
        make_universal(UniversalConfig(), attrs.evolve(brief(), **changes))


def damaged(kind: str, file: Any) -> None:
    arrays = dict(read_any_arrays(SHIPPED))
    if kind == "missing":
        return
    if kind == "pickle":
        file.write_bytes(b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.")
    elif kind == "cut off":
        file.write_bytes(SHIPPED.read_bytes()[:-100])
    elif kind == "huge header":
        file.write_bytes(b"\xff" * 8 + SHIPPED.read_bytes()[8:])
    else:
        if kind == "not finite":
            arrays["one.bias"] = np.full_like(arrays["one.bias"], np.nan)
        elif kind == "other shape":
            arrays["two.weight"] = np.zeros((4, 4), np.float32)
        elif kind == "array missing":
            del arrays["skip.weight"]
        elif kind == "absurdly large":
            arrays["out.weight"] = np.full_like(arrays["out.weight"], 3e38)
        elif kind == "scale of zero":
            arrays["scale"] = np.zeros_like(arrays["scale"])
        write_arrays(file, arrays)


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "pickle",
        "cut off",
        "huge header",
        "not finite",
        "other shape",
        "array missing",
        "absurdly large",
        "scale of zero",
    ],
)
def test_hostile_weights_are_refused(tmp_path: Any, kind: Any) -> None:
    file = tmp_path / "weights.safetensors"
    damaged(kind, file)
    with pytest.raises(RunDirError, match=r"weights\.safetensors"):
        make_universal(UniversalConfig(weights=str(file)), brief())


def test_a_copy_of_the_shipped_weights_acts_alike(tmp_path: Any) -> None:
    file = tmp_path / "weights.safetensors"
    shutil.copy(SHIPPED, file)
    seen = np.array([0.5, 0.2], np.float32)
    policies = [
        make_universal(UniversalConfig(weights=weights), brief()).policy()
        for weights in ("", str(file))
    ]
    for policy in policies:
        policy.reset("one")
    one, other = (policy.act(seen) for policy in policies)
    np.testing.assert_array_equal(one, other)


def test_shipped_weights_say_what_made_them() -> None:
    with safe_open(SHIPPED, framework="numpy") as file:
        about = file.metadata()
    assert "universal --seed " in about["command"]
    assert about["seed"].isdigit()
    assert SHIPPED.stat().st_size < 300_000


def test_runs_without_a_learning_library() -> None:
    code = """
import sys
import numpy as np
from tests.agents.centring_plant import brief
from stempilot_agents.universal.agent import UniversalConfig, make_universal
policy = make_universal(UniversalConfig(), brief()).policy()
policy.reset("one")
policy.act(np.array([0.5, 0.2], np.float32))
assert not {"torch", "stable_baselines3"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_network_adds_what_the_hands_ask_for() -> None:
    rng = np.random.default_rng(0)
    arrays = {n: rng.standard_normal(s).astype(np.float32) for n, s in SHAPES.items()}
    arrays["scale"] = np.abs(arrays["scale"]) + 1
    told = rng.standard_normal((3, len(arrays["mean"]))).astype(np.float32)
    x = np.clip((told - arrays["mean"]) / arrays["scale"], -5, 5).astype(float)
    for row in range(3):
        one = np.maximum(arrays["one.weight"] @ x[row] + arrays["one.bias"], 0)
        two = np.maximum(arrays["two.weight"] @ one + arrays["two.bias"], 0)
        out = arrays["out.weight"] @ two + arrays["out.bias"] + arrays["skip.weight"] @ x[row]
        move = told[row, 51] * out[:2] + out[2] * told[row, 24:26] + out[3] * told[row, 36:38]
        move += out[4] * told[row, 47:49] + out[5] * told[row, 49:51]
        found = UniversalNetwork(arrays).forward(told)[row]
        np.testing.assert_allclose(found, move, rtol=1e-3, atol=1e-3)
