"""Every installed task that acts in Gymnasium's registry: import this module to register them.

``gymnasium.make("stempilot.gym:stempilot/BFDiskCentering-v0")`` does both. Gymnasium itself loads
no entry points since its version 1.0.
"""

import contextlib
import logging
import secrets
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import numpy.typing as npt

from stempilot.contract.task import Drawable
from stempilot.contract.values import Snapshot
from stempilot.errors import ConfigError
from stempilot.plugins.registry import Registry, discover

if TYPE_CHECKING:
    from stempilot.operation.task_env import Draw, TaskEnv

_SHORT = 2
_DARK = (360, 360)
_log = logging.getLogger(__name__)


def env_id(task: str) -> str:
    """Return the id of a task, for example ``stempilot/StageHeight-v0`` of ``stage-height``.

    Words of up to two letters are abbreviations and stay in capitals.
    """
    words = [word.capitalize() if len(word) > _SHORT else word.upper() for word in task.split("-")]
    return f"stempilot/{''.join(words)}-v0"


def register(registry: Registry | None = None) -> None:
    """Register an id for each installed task; importing this module does it for those installed.

    A task that only measures is registered too, because only loading it tells, and refused when
    made.
    """
    for task in (registry or discover()).names("task"):
        if env_id(task) not in gymnasium.registry:
            gymnasium.register(
                id=env_id(task), entry_point="stempilot.gym:make_env", kwargs={"name": task}
            )


def make_env(
    *,
    name: str,
    on: str | None = None,
    task: Mapping[str, Any] | None = None,
    backend: Mapping[str, Any] | None = None,
    max_timesteps: int | None = None,
    seed: int | None = None,
    render_mode: str | None = None,
) -> gymnasium.Env[Any, Any]:
    """Return a task on a simulated backend, opened for itself; close it when done.

    Args:
        name: name of the task.
        on: name of the backend; the default one when ``None``.
        task: options of the task, for example ``{"preset": "paper"}``.
        backend: options of the backend.
        max_timesteps: budget of timesteps for an episode.
        seed: which instrument is drawn, and the episodes until ``reset(seed=...)`` says another.
            Without, the episodes are drawn from the system's entropy, and the instrument is the
            same each time, so that ``reset(seed=...)`` alone reproduces what follows.
        render_mode: ``rgb_array``, ``human`` for a window, or ``None``.

    Raises:
        ConfigError: an option is unknown or out of range, or there is no such mode.
        IncompatibleError: the task only measures, or the backend does not offer what it needs.
        EnvelopeError: the backend is a real instrument, which needs a session and an envelope.
    """
    from stempilot.contract.backend import Opening
    from stempilot.operation.session import open_session
    from stempilot.operation.task_env import TaskEnv
    from stempilot.plugins.no_agent import require_agent
    from stempilot.plugins.parts import DEFAULT_MAX_TIMESTEPS, part

    if render_mode not in {None, *TaskEnv.metadata["render_modes"]}:
        msg = f"render_mode {render_mode!r} is neither rgb_array nor human"
        raise ConfigError(msg)
    registry = discover()
    operation = part(registry, "task", name, task or {}).load()
    require_agent(operation, name, "gymnasium")
    made = part(registry, "backend", on or registry.default("backend"), backend or {})
    episodes = secrets.randbits(32) if seed is None else seed
    opening = Opening(purpose="train", seed=episodes, instrument_seed=seed or 0)
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(open_session(made.load(opening), [operation], name=made.name))
        env = session.env(
            operation, seed=episodes, max_timesteps=max_timesteps or DEFAULT_MAX_TIMESTEPS
        )
        if render_mode is not None:
            env.render_mode = render_mode
            env.draw = picture if render_mode == "rgb_array" else stack.enter_context(window())
        env.closing = stack.pop_all()
    return env


def picture(env: "TaskEnv", seen: Snapshot) -> npt.NDArray[np.uint8]:
    """Return the frame of the first source with goal and measurement, and the quantities below.

    A task without frames has a dark field in its place. Rows and columns are even, for videos.
    """
    from stempilot.report.animation import Moment, block_means, drawn, shown_block
    from stempilot.report.pictures import tones

    task, last = env.task, env.last
    frame = next(iter(seen.frames.values()), None)
    pixels = np.zeros(_DARK, np.uint8) if frame is None else frame.pixels
    block = shown_block(pixels.shape)
    means = block_means(pixels, block)
    marks = task.marks(last.state) if frame is not None and isinstance(task, Drawable) else {}
    summary = task.summary(last.state)
    main = next((one for one in task.quantities if one.name in summary), None)
    moment = Moment(
        episode=last.episode,
        step=last.step,
        pixels=means,
        block=block,
        marks={name: xy for name, xy in marks.items() if np.isfinite(xy).all()},
        value="" if main is None else f"{main.symbol} {summary[main.name]:.3g} {main.unit}",
    )
    image = np.asarray(drawn(moment, tones(means, float(np.median(means)), float(means.max()))))
    return image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]


@contextlib.contextmanager
def window() -> Iterator["Draw"]:
    """Open a window; yields what shows the pictures of an environment in it."""
    from matplotlib import pyplot

    figure = pyplot.figure("stempilot", layout="constrained")
    figure.gca().set_axis_off()
    interactive = figure.canvas.required_interactive_framework is not None
    if not interactive:
        _log.warning(
            "nothing is shown: Matplotlib has no window here; set MPLBACKEND, or use rgb_array"
        )

    def show(env: "TaskEnv", seen: Snapshot) -> None:
        image, shown = picture(env, seen), figure.gca().images
        if shown:
            shown[0].set_data(image)
        else:
            figure.gca().imshow(image)
        if interactive:
            pyplot.pause(1e-3)

    try:
        yield show
    finally:
        pyplot.close(figure)


register()
