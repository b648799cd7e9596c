"""What a run does when its policy finds the response to be no longer what it was."""

from collections.abc import Callable, Mapping
from typing import Any

from stempilot.contract.agent import Agent, Learner, NoticesChange, Policy
from stempilot.errors import IncompatibleError
from stempilot.operation.episodes import OnChange
from stempilot.operation.task_env import TaskEnv
from stempilot.record.recorder import RunRecorder
from stempilot.runs.job import Job
from stempilot.runs.plans import Plan

RELEARNING = "relearn"
"""Phase of the timesteps that a run relearns for; see `stempilot.record.recorder`."""


def require_adaptable(plan: Plan, agent: Agent) -> None:
    """Check that ``--adapt``, where it was asked for, can do something.

    Raises:
        IncompatibleError: the agent's policy does not notice changes.
    """
    if plan.adapt and not isinstance(agent.policy(), NoticesChange):
        problem = (
            f"agent {plan.parts.agent.name} does not notice a changed response on task "
            f"{plan.parts.task.name}, or has met too little of it, so that it cannot adapt; "
            "leave --adapt out"
        )
        raise IncompatibleError([problem])


def steps_to_relearn(plan: Plan, learner: Learner) -> int:
    """Return how many timesteps a run relearns for when the response changed."""
    asked = plan.parts.run.adapt_steps
    return learner.relearn_steps if asked is None else asked


class Adapting:
    """Takes down what a policy finds changed, and relearns where that is allowed.

    Args:
        job: the run.
        agent: whose policy acts.
        recorder: the recorder of the run.

    Attributes:
        is_due: the policy stopped because relearning comes first.
        may_relearn: whether the next change leads to it.
    """

    def __init__(self, job: Job, agent: Agent, recorder: RunRecorder) -> None:
        self.is_due = False
        self.may_relearn = job.plan.adapt
        self._job = job
        self._learner = agent if isinstance(agent, Learner) else None
        self._recorder = recorder
        self._changes: list[dict[str, Any]] = []

    def noting(self, env: TaskEnv) -> OnChange:
        """Return what is told of changes found in an environment; see `OnChange`."""

        def note(found: str) -> bool:
            episode, timestep = env.last.episode, env.last.timestep
            self._changes.append({"episode": episode, "timestep": timestep, "sentence": found})
            self._tell(f"timestep {timestep}, episode {episode}: {found}")
            self.is_due = self.may_relearn and self._learner is not None
            return not self.is_due

        return note

    def relearn(
        self, env: TaskEnv, *, should_stop: Callable[[], bool], on_step: Callable[[int, int], None]
    ) -> Policy | None:
        """Let the learner relearn, and save it in the run directory.

        Args:
            env: where it relearns.
            should_stop: asked after each timestep; nothing is saved then.
            on_step: shows how many timesteps are done, and of how many.

        Returns:
            The policy to go on with; ``None`` when it was stopped.
        """
        self.is_due = False
        if self._learner is None:
            return None
        begun, steps = env.timestep, steps_to_relearn(self._job.plan, self._learner)
        for sentence in self._learner.relearn():
            self._tell(sentence)

        def report(_: Mapping[str, float], /) -> bool:
            on_step(env.timestep - begun, steps)
            return not (should_stop() or env.budget_spent)

        self._recorder.phase = RELEARNING
        self._learner.learn(env, steps=steps, report=report)
        self._recorder.phase = ""
        taken = env.timestep - begun
        self._changes[-1]["relearnt_timesteps"] = taken
        if should_stop():
            return None
        self._save(self._learner, env)
        self._tell(f"Relearnt for {taken} timesteps.")
        policy = self._learner.policy()
        if not isinstance(policy, NoticesChange):
            self._tell(
                "That was too little to notice another change by; more run.adapt_steps give more"
            )
        return policy

    def figures(self) -> dict[str, Any]:
        """Return what was found changed, and how many timesteps were spent on it."""
        spent = [change.get("relearnt_timesteps", 0) for change in self._changes]
        return {"changes": self._changes, "relearnt_timesteps": sum(spent)}

    def _save(self, learner: Learner, env: TaskEnv) -> None:
        progress = {
            "timesteps": env.timestep,
            "episodes": env.next_episode,
            "events_bytes": self._recorder.length,
            "evaluations": [],
        }
        self._recorder.flush()
        self._job.run.checkpoint(progress, learner.save)

    def _tell(self, sentence: str) -> None:
        self._job.say(sentence)
        self._job.log(sentence)
