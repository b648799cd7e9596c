"""Running an agent: once from where the instrument stands, or over seeded episodes."""

import math
from typing import Any

from stempilot.contract.agent import Agent, Policy
from stempilot.contract.goals import Product
from stempilot.files import write_json
from stempilot.operation.episodes import evaluate, run_episode
from stempilot.operation.scores import Episode, score
from stempilot.operation.task_env import TaskEnv
from stempilot.operation.timestep import Timestep
from stempilot.runs.adapting import Adapting
from stempilot.runs.ending import leave
from stempilot.runs.job import Job, TimeIsUp
from stempilot.runs.progress import RecentEpisodes


def run_once(job: Job, agent: Agent) -> dict[str, Any]:
    """Run an agent from where the instrument stands, and keep what it reached.

    An agent that may relearn does so in episodes that begin at the baseline, from where it then
    tries once more.
    """
    recorder = job.recorder()
    recent = RecentEpisodes(recorder)
    adapting = Adapting(job, agent, recorder)
    env = job.session.env(
        job.task, seed=job.plan.seed, plain=True, max_timesteps=job.max_timesteps, recorder=recent
    )
    episode = run_episode(
        env, agent.policy(), should_stop=job.out_of_time, on_change=adapting.noting(env)
    )
    if adapting.is_due and not episode.success:
        env, episode = _try_again(job, env, adapting, recent)
    if job.out_of_time() and not env.last.ended:
        job.say(job.time_is_up)
        raise TimeIsUp(job.time_is_up)
    spent = job.budget_spent(env)
    leave(job, success=episode.success)
    recorder.close()
    return {
        **score([episode], [], job.task.quantities),
        **recent.pace.figures(),
        "success": episode.success,
        "outcome": _verdict(env.last),
        "reason": spent or job.task.explain(env.last.state),
        "budget_spent": spent,
        "products": {name: plain_product(one) for name, one in episode.products.items()},
        **adapting.figures(),
    }


def plain_product(product: Product) -> dict[str, str | float | None]:
    """Return a product as JSON values; a number that is not finite is ``None``."""
    numbers = {"value": product.value, "uncertainty": product.uncertainty}
    finite = {k: float(v) if math.isfinite(v) else None for k, v in numbers.items()}
    return {**finite, "unit": product.unit}


def _try_again(
    job: Job, before: TaskEnv, adapting: Adapting, recent: RecentEpisodes
) -> tuple[TaskEnv, Episode]:
    env = job.session.env(
        job.task,
        seed=job.plan.seed,
        scramble=False,
        max_timesteps=job.max_timesteps,
        recorder=recent,
        first_episode=before.next_episode,
        first_timestep=before.timestep,
    )
    job.files.callback(env.close)
    policy = adapting.relearn(
        env,
        should_stop=job.out_of_time,
        on_step=lambda done, of: job.on_progress(recent.progress(done, of, "relearning")),
    )
    adapting.may_relearn = False
    if policy is None:
        raise TimeIsUp(job.time_is_up)
    noting = adapting.noting(env)
    return env, run_episode(env, policy, should_stop=job.out_of_time, on_change=noting)


def _verdict(last: Timestep) -> str:
    if last.budget_spent:
        return "out of writes"
    return "out of steps" if last.truncated else last.outcome.value


def run_episodes(job: Job, agent: Agent, episodes: int) -> dict[str, Any]:
    """Evaluate an agent over episodes from seeded starts; put the knobs back unless told not to."""
    _announce(job, episodes)
    recorder = job.recorder()
    recent = RecentEpisodes(recorder)
    adapting = Adapting(job, agent, recorder)
    seed = job.plan.seed
    env = job.session.env(job.task, seed=seed, max_timesteps=job.max_timesteps, recorder=recent)
    job.files.callback(env.close)
    played, best = list[Episode](), list[Episode]()

    def show(note: str = "") -> None:
        job.on_progress(recent.progress(len(played), episodes, note))

    def show_relearning(done: int, of: int) -> None:
        show(f"relearning: {done}/{of} timesteps")

    with job.stop_requests() as stop_asked:

        def count(episode: Episode) -> bool:
            played.append(episode)
            show()
            return not (stop_asked() or adapting.is_due)

        policy: Policy | None = agent.policy()
        while policy is not None and not env.budget_spent:
            _, oracle = evaluate(
                env,
                policy,
                episodes - len(played),
                oracle_env=_twin(job, env),
                on_episode=count,
                should_stop=stop_asked,
                on_change=adapting.noting(env),
            )
            best += oracle
            policy = None
            if adapting.is_due and len(played) < episodes and not env.budget_spent:
                policy = adapting.relearn(env, should_stop=stop_asked, on_step=show_relearning)
        interrupted = stop_asked()
        leave(job, interrupted=interrupted)
    recorder.close()
    figures = {
        **score(played, best, job.task.quantities),
        **recent.pace.figures(),
        **adapting.figures(),
        "budget_spent": job.budget_spent(env, episodes=len(played)),
        "interrupted": interrupted,
    }
    write_json(job.run.path / "evaluation.json", {"seed": seed, **figures})
    return figures


def _announce(job: Job, episodes: int) -> None:
    ends = "they stay where the last ends" if job.plan.keeps else "they are put back at the end"
    job.say(
        f"evaluation: {episodes} episodes, each from a start drawn around where the knobs stand; "
        f"{ends}"
    )


def _twin(job: Job, env: TaskEnv) -> TaskEnv | None:
    """Return a copy of an environment for the oracle, which begins with the same episode."""
    twin = job.twin_env(job.plan.seed, env.timestep)
    if twin is not None:
        twin.next_episode = env.next_episode
        job.files.callback(twin.close)
    return twin
