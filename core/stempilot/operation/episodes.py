"""Evaluation: episodes from seeded starts, scored against the truth and the oracle."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from stempilot.contract.agent import NoticesChange, Policy
from stempilot.contract.task import Scored
from stempilot.contract.values import Outcome
from stempilot.operation.scores import Episode
from stempilot.operation.task_env import TaskEnv
from stempilot.operation.task_vec_env import TaskVecEnv

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
        should_stop: asked before each timestep, of the agent or of the task's own; then the episode
            is not played to its end.
        on_change: told what the policy found changed; where the policy is not to go on, the
            action that it chose is not taken, and the episode is not played to its end.
    """
    env.should_stop = should_stop
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
    env.return_to_best()
    return _episode(env, total)


def run_oracle(env: TaskEnv) -> Episode | None:
    """Play one episode with the best possible actions; ``None`` where they are unknown."""
    env.reset()
    total = 0.0
    while not env.last.ended:
        if not isinstance(env.task, Scored) or env.last.truth is None:
            return None
        action = env.task.oracle_action(env.last.state, env.last.truth)
        total += env.step(action)[1]
    env.return_to_best()
    return _episode(env, total)


def _episode(env: TaskEnv, reward: float) -> Episode:
    last, task = env.last, env.task
    success = last.outcome is Outcome.SUCCESS
    errors: Mapping[str, float] = {}
    if isinstance(task, Scored) and last.truth is not None:
        errors = task.true_error(last.state, last.truth)
    summary, names = task.summary(last.state), [quantity.name for quantity in task.quantities]
    return Episode(
        steps=last.step,
        success=success,
        reward=reward,
        errors=errors,
        measured={name: summary[name] for name in names if name in summary},
        products=task.products(last.state) if success else {},
        reason=task.explain(last.state),
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


def successes_at_once(
    env: TaskVecEnv,
    policies: Sequence[Policy],
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Play one episode on each of many instruments and return how many have succeeded.

    Args:
        env: n instruments, measured without frames.
        policies: what acts on each, n of them.
        should_stop: asked before each timestep.
    """
    observations, _ = env.reset()
    for policy in policies:
        policy.reset(env.instrument)
    actions = np.stack(
        [policy.act(one) for policy, one in zip(policies, observations, strict=True)]
    )
    ended = np.zeros(len(policies), np.bool_)
    succeeded = np.zeros(len(policies), np.bool_)
    while not (ended.all() or should_stop()):
        observations, _, terminated, truncated, info = env.step(actions)
        succeeded |= info["is_success"] & ~ended
        ended |= terminated | truncated
        # What has ended begins again, and goes on with any action: it no longer counts.
        for row in (~ended).nonzero()[0].tolist():
            actions[row] = policies[row].act(observations[row])
    return int(succeeded.sum())
