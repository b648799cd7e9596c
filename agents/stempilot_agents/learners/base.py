"""Shared by the learners on Stable-Baselines3: learning, saving, loading, relearning."""

import contextlib
import sys
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import gymnasium
import numpy as np
import torch
from attrs import field, frozen, validators
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from stempilot import (
    Brief,
    HasMeanwhile,
    Learner,
    LearnReport,
    Policy,
    Report,
    RunDirError,
    Transitions,
    plain,
)
from stempilot_agents.learners import model_arrays, saving as weights, spaces
from stempilot_agents.learners.dqn_config import DqnConfig
from stempilot_agents.learners.randomness import LearnerRandom, RandomRecord
from stempilot_agents.learners.resumable import Progress, Resumable
from stempilot_agents.learners.sac_config import ActorCriticConfig
from stempilot_agents.learners.single_env import SingleEnv, SpacesOnly
from stempilot_agents.response.fit import MOST, FittedResponse
from stempilot_agents.response.watch import normal_response, watched

SCHEMA = 1
DOCUMENT = "agent.json"
TENSORS = "tensors.safetensors"
REPLAY = "replay.safetensors"
ACTIVATIONS: Mapping[str, type[torch.nn.Module]] = {
    "relu": torch.nn.ReLU,
    "tanh": torch.nn.Tanh,
}
_REPORTED = ("ent_coef", "ent_coef_loss", "actor_loss", "critic_loss", "loss", "exploration_rate")

M = TypeVar("M", bound=Resumable)
C = TypeVar("C", bound=ActorCriticConfig | DqnConfig)


class _StopLearningError(Exception):
    """Leaves Stable-Baselines3's loop between two timesteps."""


class _Reporting(BaseCallback):
    """Reports each timestep once its updates are done, then begins the next episode if due."""

    def __init__(self, model: Resumable, random: LearnerRandom, report: Report) -> None:
        super().__init__()
        self._learning = model
        self._random = random
        self._report = report
        self._unreported = False
        self.latest: dict[str, float] = {}

    def _on_step(self) -> bool:
        self._unreported = True
        return True

    def _on_rollout_start(self) -> None:
        if not self._go_on():
            raise _StopLearningError
        self._learning.begin_episode()

    def _on_training_end(self) -> None:
        self._go_on()

    def _go_on(self) -> bool:
        if not self._unreported:
            return True
        self._unreported = False
        numbers = _taken_numbers(self._learning)
        self.latest |= numbers
        with self._random.released():
            return self._report(numbers)


def _taken_numbers(model: Resumable) -> dict[str, float]:
    """Return losses and coefficients by name, as far as updates have given any since last asked.

    None is repeated: a learner that was saved in between could not.
    """
    given = model.logger.name_to_value
    latest = {name.rpartition("/")[2]: value for name, value in given.items()}
    given.clear()
    return {name: float(latest[name]) for name in _REPORTED if name in latest}


@frozen(kw_only=True)
class ReplayRecord:
    """Where the replay buffer stands.

    Attributes:
        size: transitions in it.
        position: row that the next transition goes to.
        full: whether the oldest are being overwritten.
    """

    size: int = field(validator=validators.ge(0))
    position: int = field(validator=validators.ge(0))
    full: bool


@frozen(kw_only=True)
class AgentDocument:
    """The content of ``agent.json``.

    Attributes:
        schema: version of this layout.
        kind: the name of its agent.
        observation_space: as `spaces.describe` returns it.
        action_space: likewise.
        config: plain values of the learner's options.
        progress: its counters.
        replay: where its buffer stands.
        random: its random states.
    """

    schema: int
    kind: str
    observation_space: dict[str, Any]
    action_space: dict[str, Any]
    config: dict[str, Any]
    progress: Progress
    replay: ReplayRecord
    random: RandomRecord


class OffPolicyLearner(Learner, Generic[C, M]):
    """A learner on one of Stable-Baselines3's off-policy algorithms, on one CPU thread.

    Attributes:
        kind: the name of its agent.
        bound_to_numbers: options that what was learnt with one value of does not fit another.
        relearns_within: timesteps with updates that relearning takes as a rule.
    """

    kind: ClassVar[str]
    relearns_within: ClassVar[int] = 500
    bound_to_numbers: ClassVar[tuple[str, ...]] = (
        "hidden_sizes",
        "activation",
        "buffer_size",
        "reward_scale",
    )

    def __init__(self, config: C, brief: Brief) -> None:
        """Make the networks from the brief's seed; the environment comes with `learn`."""
        # Two threads are no faster at these sizes, and sums then depend on the machine.
        torch.set_num_threads(1)
        self._config = config
        self._goal = brief.centre
        self._normal: FittedResponse | None = None
        self._normal_at = -1
        self._spaces = (
            spaces.describe(brief.observation_space),
            spaces.describe(brief.action_space),
        )
        blueprint = SpacesOnly(brief.observation_space, brief.action_space)
        self._random = LearnerRandom(brief.seed, blueprint.action_space)
        with self._random.installed():
            self._model = self._build(blueprint)
        self._model.set_logger(Logger(folder=None, output_formats=[]))

    @abstractmethod
    def _build(self, blueprint: gymnasium.Env[Any, Any]) -> M:
        """Return the algorithm with fresh networks."""

    @abstractmethod
    def _optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return all optimisers by name."""

    def _optimisers_after(self, updates: int) -> Mapping[str, torch.optim.Optimizer]:
        """Return the optimisers that have made a step once there were so many updates."""
        return self._optimisers() if updates else {}

    def _loose_tensors(self) -> Mapping[str, torch.Tensor]:
        """Return learnt tensors that belong to no network."""
        return {}

    def _watched(self, policy: Policy) -> Policy:
        """Return a policy that notices when the response is not the one that was learnt from."""
        model, scale = self._model, self._config.reward_scale
        if self._normal_at != model.num_timesteps and model.buffer.size():
            seen = model_arrays.recall(model.buffer, MOST, reward_scale=scale)
            space = model.action_space
            self._normal = normal_response(seen, goal=self._goal, action_space=space)
            self._normal_at = model.num_timesteps
        return watched(policy, self._normal)

    @property
    def numbers(self) -> dict[str, Any]:
        """Copies of all learnt arrays by name."""
        arrays = model_arrays.module_arrays(self._model.policy)
        for name, optimiser in self._optimisers().items():
            arrays.update(model_arrays.optimiser_arrays(name, optimiser))
        for name, tensor in self._loose_tensors().items():
            arrays[name] = tensor.detach().numpy().copy()
        return arrays

    def learn(self, env: gymnasium.Env[Any, Any], *, steps: int, report: Report) -> LearnReport:
        """Learn for exactly ``steps`` timesteps, or until ``report`` returns False.

        Raises:
            IncompatibleError: the environment has other spaces than the learner was made for.
        """
        offered = (spaces.describe(env.observation_space), spaces.describe(env.action_space))
        spaces.refuse_other_spaces(self._spaces, offered)
        numbers: Mapping[str, float] = {}
        if steps > 0:
            self._model.set_env(self._vector_of(env))
            with self._random.installed():
                numbers = self._learn(steps, report)
        return LearnReport(timesteps=self._model.num_timesteps, numbers=numbers)

    @property
    def _updates(self) -> int:
        """Updates for each timestep."""
        return self._config.gradient_steps

    def _vector_of(self, env: gymnasium.Env[Any, Any]) -> SingleEnv:
        """Return the environment as the algorithm takes it, with its updates where they belong."""
        scale, updates = self._config.reward_scale, self._updates
        asked, inner = self._config.meanwhile, env.unwrapped
        waiting = inner if isinstance(inner, HasMeanwhile) else None
        if asked is False or (asked == "auto" and not (waiting and waiting.waits)):
            self._model.gradient_steps = updates
            return SingleEnv(env, reward_scale=scale)
        # The algorithm's own updates come after a timestep; there are none left for it to make.
        self._model.gradient_steps = 0

        def update_meanwhile() -> None:
            times = updates if self._model.has_begun_to_update else 0
            if waiting:
                waiting.meanwhile(self._model.update_once, times)
                return
            for _ in range(times):
                self._model.update_once()

        return SingleEnv(env, reward_scale=scale, before_step=update_meanwhile)

    def _learn(self, steps: int, report: Report) -> Mapping[str, float]:
        """Learn, and return the latest number of each kind that was reported."""
        reporting = _Reporting(self._model, self._random, report)
        with contextlib.suppress(_StopLearningError):
            self._model.learn(
                steps, callback=reporting, log_interval=sys.maxsize, reset_num_timesteps=False
            )
        return reporting.latest

    def save(self, folder: Path) -> None:
        """Write ``agent.json``, ``tensors.safetensors`` and ``replay.safetensors``.

        An episode that is under way is not part of it: learning goes on with a new one.
        """
        buffer = self._model.buffer
        document = AgentDocument(
            schema=SCHEMA,
            kind=self.kind,
            observation_space=self._spaces[0],
            action_space=self._spaces[1],
            config=plain(self._config),
            progress=self._model.progress,
            replay=ReplayRecord(size=buffer.size(), position=buffer.pos, full=buffer.full),
            random=self._random.record(),
        )
        weights.write_arrays(folder / TENSORS, self.numbers)
        weights.write_arrays(folder / REPLAY, model_arrays.buffer_arrays(buffer))
        weights.write_document(folder / DOCUMENT, document)

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote; nothing is taken over unless all of it is sound.

        Raises:
            RunDirError: a file is missing or damaged, or was saved by another kind of agent or
                with options that its numbers do not fit.
            IncompatibleError: it was saved for other spaces.
        """
        document = weights.read_document(folder / DOCUMENT, AgentDocument, schema=SCHEMA)
        self._check(folder / DOCUMENT, document)
        tensors = weights.read_arrays(folder / TENSORS, self._expected(document.progress))
        if wrong := model_arrays.impossible(tensors):
            msg = f"{folder / TENSORS} is damaged: {', '.join(wrong)} must not be negative"
            raise RunDirError(msg)
        rows = model_arrays.expected_buffer_arrays(self._model.buffer, document.replay.size)
        replay = weights.read_arrays(folder / REPLAY, rows)
        try:
            self._random.restore(document.random)
        except ValueError as error:
            msg = f"{folder / DOCUMENT} is damaged: {error}"
            raise RunDirError(msg) from error
        self._take_over(document, tensors, replay)

    def _check(self, file: Path, document: AgentDocument) -> None:
        if document.kind != self.kind:
            msg = f"{file}: kind = {document.kind!r}; this is a {self.kind} agent"
            raise RunDirError(msg)
        spaces.refuse_other_spaces(
            (document.observation_space, document.action_space), self._spaces
        )
        asked = plain(self._config)
        for name in self.bound_to_numbers:
            if document.config.get(name) != asked[name]:
                msg = (
                    f"{file}: config.{name} = {document.config.get(name)!r}, asked for "
                    f"{asked[name]!r}; what was learnt with one does not fit the other"
                )
                raise RunDirError(msg)
        replay, capacity = document.replay, self._model.buffer.buffer_size
        rows = capacity if replay.full else replay.position
        if replay.size != rows or replay.position >= capacity:
            msg = f"{file}: replay = {plain(replay)} cannot be of {capacity} rows"
            raise RunDirError(msg)

    def _expected(self, progress: Progress) -> dict[str, Any]:
        arrays = model_arrays.module_arrays(self._model.policy)
        for name, optimiser in self._optimisers_after(progress.updates).items():
            arrays.update(model_arrays.expected_optimiser_arrays(name, optimiser))
        for name, tensor in self._loose_tensors().items():
            arrays[name] = np.zeros(tuple(tensor.shape), dtype=np.float32)
        return arrays

    def _take_over(
        self, document: AgentDocument, tensors: Mapping[str, Any], replay: Mapping[str, Any]
    ) -> None:
        model_arrays.restore_module(self._model.policy, tensors)
        for name, optimiser in self._optimisers().items():
            model_arrays.restore_optimiser(name, optimiser, tensors)
        with torch.no_grad():
            for name, tensor in self._loose_tensors().items():
                tensor.copy_(torch.from_numpy(tensors[name]))
        model_arrays.restore_buffer(
            self._model.buffer,
            replay,
            position=document.replay.position,
            full=document.replay.full,
        )
        self._model.continue_from(document.progress)

    @property
    def relearn_steps(self) -> int:
        """How many timesteps relearning takes as a rule."""
        return self._config.relearn_learning_starts + self.relearns_within

    def relearn(self) -> tuple[str, ...]:
        """Forget the transitions of the old instrument; keep what was learnt from them."""
        return self._begin_again(None)

    def relearn_from(self, recorded: Transitions) -> tuple[str, ...]:
        """Do as `relearn`, but remember ``recorded`` transitions and learn from them at once."""
        return self._begin_again(recorded)

    def _begin_again(self, recorded: Transitions | None) -> tuple[str, ...]:
        model, dropped = self._model, self._model.buffer.size()
        model.buffer.reset()
        self._normal, self._normal_at = None, -1
        sentences = [
            f"Dropped {dropped} remembered transitions: they show the old response.",
            "Kept the networks and the optimisers' state.",
        ]
        if recorded is not None:
            sentences.append(self._warm_up(recorded))
        wait = max(0, self._config.relearn_learning_starts - model.buffer.size())
        model.learning_starts = model.num_timesteps + wait
        model.begin_to_relearn()
        if wait:
            sentences.append(
                f"Updates go on after {wait} timesteps, every second episode at random."
            )
        return tuple(sentences)

    def _warm_up(self, recorded: Transitions) -> str:
        """Remember recorded transitions and make the updates that the options ask for."""
        model, updates = self._model, self._config.warm_up_updates
        model_arrays.remember(model.buffer, recorded, reward_scale=self._config.reward_scale)
        with self._random.installed():
            for _ in range(updates):
                model.update_once()
        taken = model.buffer.size()
        return f"Took {taken} recorded transitions and made {updates} updates on them."
