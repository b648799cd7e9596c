"""The parts do together what they are for."""

import numpy as np
import pytest
from attrs import evolve
from stempilot_example.desktop import Desktop, DesktopConfig
from stempilot_example.focus import Focus, FocusConfig, sharpness
from stempilot_example.golden import Golden, GoldenConfig, search
from stempilot_example.optics import blur_sigma_m, blurred, draw_sample

from stempilot import Brief, IncompatibleError, Opening, open_session, run_episode


def brief(task: Focus) -> Brief:
    """Return what an agent for the task is told."""
    return Brief(
        observation_space=task.observation_space,
        action_space=task.action_space,
        goal=task.goal,
        seed=0,
    )


@pytest.mark.parametrize("seed", [0, 2, 3, 4])
@pytest.mark.parametrize(
    ("lens", "goal"),
    [
        (DesktopConfig(), FocusConfig()),
        (DesktopConfig(electrons_per_px=50.0), FocusConfig()),
        (DesktopConfig(misalignment_m=1e-7), FocusConfig(step_m=5e-8, tolerance_m=2e-8)),
    ],
)
def test_finds_the_focus(lens: DesktopConfig, goal: FocusConfig, seed: int) -> None:
    """A plain run ends in focus and stays there."""
    backend = Desktop(lens, Opening(seed=seed))
    task = Focus(goal)
    policy = Golden(GoldenConfig(), brief(task)).policy()
    with open_session(backend, [task], name="desktop", keep=True) as session:
        episode = run_episode(session.env(task, plain=True), policy)
        assert episode.success
        assert episode.steps <= 50
        (defocus_m,) = session.backend.read("stem_defocus")
        (focus_m,) = backend.truth()["focus_m"]
        assert abs(defocus_m - focus_m) < 40e-9


def test_a_lens_in_focus_cannot_be_raised() -> None:
    """The run fails where it gains no more than noise, and ends where it was sharpest."""
    backend, task = Desktop(DesktopConfig(), Opening(seed=1)), Focus(FocusConfig())
    policy = Golden(GoldenConfig(), brief(task)).policy()
    with open_session(backend, [task], name="desktop") as session:
        assert not run_episode(session.env(task, plain=True), policy).success
        assert abs(backend.read("stem_defocus")[0] - backend.truth()["focus_m"][0]) < 40e-9


def test_sharpness_falls_with_defocus_on_both_sides() -> None:
    """The value that is maximised has its maximum in focus."""
    sample = draw_sample(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    values = [
        sharpness(rng.poisson(200 * blurred(sample, blur_sigma_m(defocus_m))))
        for defocus_m in (-4e-7, -2e-7, -1e-7, 0.0, 1e-7, 2e-7, 4e-7)
    ]
    assert values[:4] == sorted(values[:4])
    assert values[3:] == sorted(values[3:], reverse=True)


def test_a_dark_frame_is_not_sharp() -> None:
    """Nothing is divided by no electrons."""
    assert sharpness(np.zeros((8, 8), dtype=np.uint16)) == pytest.approx(1e-6)


@pytest.mark.parametrize("peak", [-3.2, -0.1, 0.0, 0.7, 5.9])
def test_search_ends_at_the_maximum(peak: float) -> None:
    """On a smooth function without noise the search ends within its precision."""
    searching = search(0.0, -(peak**2), 0.5, 0.1)
    place = next(searching)
    for _ in range(100):
        try:
            place = searching.send(-((place - peak) ** 2))
        except StopIteration:
            break
    assert abs(place - peak) < 0.1


def test_refuses_what_it_cannot_search() -> None:
    """The message says what is wrong."""
    told = evolve(brief(Focus(FocusConfig())), goal=None)
    with pytest.raises(IncompatibleError, match="raises a value; the task's goal is None"):
        Golden(GoldenConfig(), told)
