"""Evaluation: episodes from seeded starts, scored against the truth and the oracle."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from stempilot.agent import NoticesChange, Policy
from stempilot.env import TaskEnv
from stempilot.model import Outcome
from stempilot.task import Scored


@frozen(kw_only=True)
class Episode:
    """How one episode ended.

    Attributes:
        steps: timesteps taken.
        success: whether the task succeeded.
        reward: sum of the rewards.
        error_px: true distance from the goal at the end; NaN where there is no truth.
        error_mrad: the same as an angle; NaN where it is not calibrated.
        measured_error_px: measured distance from the goal at the end; NaN where the task does not
            summarise one.
    """

    steps: int
    success: bool
    reward: float
    error_px: float = math.nan
    error_mrad: float = math.nan
    measured_error_px: float = math.nan


OnChange = Callable[[str], bool]
"""Told what a policy found changed; returns whether the policy is to go on."""


def run_episode(
    env: TaskEnv,
    policy: Policy,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    on_change: OnChange = lambda _: True,
) -> Episode:
    """Play one episode and return how it ended; nothing is done where it starts at its end.

    Args:
        env: where the policy acts.
        policy: what acts.
        should_stop: asked before each timestep; then the episode is not played to its end.
        on_change: told what the policy found changed; where the policy is not to go on, the
            action that it chose is not taken, and the episode is not played to its end.
    """
    observation, info = env.reset()
    policy.reset(info["instrument"])
    notices = policy if isinstance(policy, NoticesChange) else None
    total = 0.0
    while not (env.last.ended or should_stop()):
        action = policy.act(observation)
        if notices and (found := notices.changed()) and not on_change(found):
            return _episode(env, total)
        observation, reward, _, _, _ = env.step(action)
        total += reward
    if notices and env.last.step and not env.budget_spent:
        if env.last.ended and env.last.outcome is not Outcome.BLOCKED:
            notices.ended(observation)
        if found := notices.changed():
            on_change(found)
    return _episode(env, total)


def run_oracle(env: TaskEnv) -> Episode | None:
    """Play one episode with the best possible actions; ``None`` where nobody knows them."""
    env.reset()
    total = 0.0
    while not env.last.ended:
        if not isinstance(env.task, Scored) or env.last.truth is None:
            return None
        action = env.task.oracle_action(env.last.state, env.last.truth)
        total += env.step(action)[1]
    return _episode(env, total)


def _episode(env: TaskEnv, reward: float) -> Episode:
    last, task = env.last, env.task
    errors = {}
    if isinstance(task, Scored) and last.truth is not None:
        errors = dict(task.true_error(last.state, last.truth))
    return Episode(
        steps=last.step,
        success=last.outcome is Outcome.SUCCESS,
        reward=reward,
        error_px=errors.get("error_px", math.nan),
        error_mrad=errors.get("error_mrad", math.nan),
        measured_error_px=task.summary(last.state).get("distance_px", math.nan),
    )


def evaluate(
    env: TaskEnv,
    policy: Policy,
    episodes: int,
    *,
    oracle_env: TaskEnv | None = None,
    give_up_after_failures: int | None = None,
    on_episode: Callable[[Episode], bool] = lambda _: True,
    should_stop: Callable[[], bool] = lambda: False,
    on_change: OnChange = lambda _: True,
) -> tuple[list[Episode], list[Episode]]:
    """Play episodes and return them, with those of the oracle from the same starts.

    Args:
        env: where the policy acts.
        policy: what acts.
        episodes: how many.
        oracle_env: a twin with the same seed, on which the oracle acts.
        give_up_after_failures: stop at this many failures.
        on_episode: told of each episode; returns whether to go on.
        should_stop: asked before each timestep; an episode that is not played to its end does not
            count, nor does one that the run budget cut off.
        on_change: told what the policy found changed; an episode that it is not to go on with
            counts as no success.
    """
    played: list[Episode] = []
    best: list[Episode] = []
    failures = 0
    for _ in range(episodes):
        episode = run_episode(env, policy, should_stop=should_stop, on_change=on_change)
        if env.budget_spent or (should_stop() and not env.last.ended):
            break
        played.append(episode)
        oracle = None if oracle_env is None else run_oracle(oracle_env)
        if oracle is not None:
            best.append(oracle)
        failures += not episode.success
        if failures == give_up_after_failures or not on_episode(episode):
            break
    return played, best


def score(played: Sequence[Episode], best: Sequence[Episode]) -> dict[str, Any]:
    """Return the figures of an evaluation, ``None`` where there is nothing to say.

    Steps and frames are over successful episodes; the first exposure counts as a frame. Paired
    figures (``oracle_steps_mean``, ``paired_steps_mean``, their ratio) are over the starts that
    policy and oracle both solve. Errors are over all episodes, failures included.
    """
    steps = [episode.steps for episode in played if episode.success]
    frames = [count + 1 for count in steps]
    figures = {
        "episodes": len(played),
        "success_rate": len(steps) / len(played) if played else None,
        "steps_mean": _mean(steps),
        "steps_std": float(np.std(steps)) if steps else None,
        "frames_mean": _mean(frames),
        "frames_median": float(np.median(frames)) if frames else None,
        "reward_mean": _mean([episode.reward for episode in played]),
        "error_px_rms": _rms([episode.error_px for episode in played]),
        "error_mrad_rms": _rms([episode.error_mrad for episode in played]),
        "measured_error_px_rms": _rms([episode.measured_error_px for episode in played]),
        "oracle_success_rate": _mean([float(episode.success) for episode in best]),
    }
    figures |= _paired("", played, best)
    figures |= _paired("_from_second", played[1:], best[1:])
    return figures


def _paired(
    suffix: str, played: Sequence[Episode], best: Sequence[Episode]
) -> Iterator[tuple[str, Any]]:
    both = [
        (a.steps, b.steps) for a, b in zip(played, best, strict=False) if a.success and b.success
    ]
    mine, oracle = _mean([a for a, _ in both]), _mean([b for _, b in both])
    yield f"oracle_steps_mean{suffix}", oracle
    yield f"paired_steps_mean{suffix}", mine
    yield f"oracle_ratio{suffix}", mine / oracle if mine is not None and oracle else None


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _rms(values: Sequence[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return float(np.sqrt(np.mean(np.square(known)))) if known else None
