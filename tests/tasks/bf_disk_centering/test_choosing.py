"""Which disk is the direct beam, and following it from frame to frame."""

import json
from pathlib import Path

import numpy as np
import pytest

from stempilot.contract.values import Outcome
from stempilot.errors import StempilotError
from stempilot_tasks.bf_disk_centering.choosing import again, at_its_place, first, outside
from stempilot_tasks.bf_disk_centering.knowledge import begin, follow
from stempilot_tasks.bf_disk_centering.reference import Reference
from stempilot_tasks.bf_disk_centering.state import Disk, Measured

HALF = (520.0, 520.0)
RADIUS = 25.0


def disk(x, y, contrast=1000.0):
    return Disk(position_px=(float(x), float(y)), radius_px=RADIUS, contrast=contrast)


def chosen(disks, picked=None, reference=None):
    return first(tuple(disks), (0.0, 0.0), picked_px=picked, reference=reference)


def test_a_disk_alone_is_the_direct_beam():
    assert chosen([disk(9, 9)]).disk == disk(9, 9)
    assert chosen([]) == chosen([])
    assert not chosen([]).ambiguous


def test_much_weaker_disks_are_diffracted():
    faint = [disk(100, 0, 90.0), disk(-100, 0, 60.0)]
    assert chosen([disk(9, 9), *faint]).disk == disk(9, 9)


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_disks_that_are_alike_are_ambiguous(share):
    choice = chosen([disk(0, 0), disk(100, 0, 1000 * share)])
    assert choice.disk is None
    assert choice.ambiguous


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def rings(rng, *, count=12, radii=(80.0, 130.0), share=0.25):
    angle, radius = rng.uniform(0, 2 * np.pi, count), rng.choice(radii, count)
    places = zip(radius * np.cos(angle), radius * np.sin(angle), strict=True)
    return [disk(40 + x, 7 + y, 1000 * share * rng.uniform(0.3, 1.0)) for x, y in places]


def brightest_first(disks):
    return sorted(disks, key=lambda one: -one.contrast)


def test_the_brightest_disk_that_rings_lie_about_is_the_direct_beam(rng):
    grains = brightest_first(rings(rng))
    assert grains[0].contrast > 200  # several grains on one place are no longer faint
    assert chosen([disk(40, 7), *grains]).disk == disk(40, 7)


def test_the_brightest_grain_is_not_the_direct_beam(rng):
    grains = rings(rng, share=1.0)
    assert chosen(brightest_first([disk(40, 7), *grains])).ambiguous
    assert chosen(brightest_first(grains)).ambiguous


@pytest.mark.parametrize("angle", [60.0, 90.0, 75.0])
@pytest.mark.parametrize("at", [(0, 0), (1, 0), (1, 1), (2, 1)])
def test_the_brightest_spot_of_a_lattice_is_not_taken_for_a_centre_of_rings(angle, at):
    turn = np.deg2rad(angle)
    steps = [(i, j) for i in range(4) for j in range(3)]
    places = {
        step: (60 * (step[0] + step[1] * np.cos(turn)), 60 * step[1] * np.sin(turn))
        for step in steps
    }
    disks = [disk(x, y, 2500.0 if step == at else 800.0) for step, (x, y) in places.items()]
    assert chosen(brightest_first(disks)).ambiguous


def test_a_person_picks_one_and_only_one():
    two = [disk(0, 0), disk(100, 0), disk(130, 0)]
    assert chosen(two, picked=(10.0, 5.0)).disk == disk(0, 0)
    assert chosen(two, picked=(115.0, 0.0)).ambiguous
    assert chosen(two, picked=(0.0, 300.0)).ambiguous


def reference(place=(0.0, 0.0), contrast=1000.0):
    return Reference(
        radius_px=RADIUS,
        contrast=contrast,
        shifts_rad=np.zeros((1, 2)),
        places_px=np.array([place]),
        response=np.zeros((2, 2)),
    )


def test_a_reference_tells_the_beam_by_place_and_contrast():
    disks = [disk(100, 0, 2500.0), disk(3, -2, 950.0), disk(-100, 0, 1050.0)]
    assert chosen(disks, reference=reference()).disk == disks[1]


def test_contrast_alone_tells_where_the_place_does_not():
    disks = [disk(100, 200, 2500.0), disk(3, 298, 950.0)]
    assert chosen(disks, reference=reference(place=(-300.0, -300.0))).disk == disks[1]


@pytest.mark.parametrize(("contrast", "there"), [(950.0, True), (2000.0, False)])
def test_a_disk_that_lost_its_neighbours_is_found_at_its_place(contrast, there):
    alone = [disk(2, 1, contrast)]
    found = at_its_place(alone, (0.0, 0.0), reference())
    assert found == (alone[0] if there else None)
    assert at_its_place([*alone, disk(9, 0, 980.0)], (0.0, 0.0), reference()) is None
    assert at_its_place(alone, (0.0, 0.0), reference(place=(10.0, 0.0))) is None


def test_a_disk_beside_the_place_may_hide_the_direct_one():
    disks = [disk(100, 200, 2500.0), disk(3, 298, 950.0)]
    assert chosen(disks, reference=reference(place=(-20.0, 285.0))).ambiguous


def test_place_and_contrast_that_contradict_each_other_are_ambiguous():
    disks = [disk(0, 0, 2500.0), disk(300, 0, 1000.0)]
    assert chosen(disks, reference=reference()).ambiguous


def test_a_beam_that_a_crystal_weakened_is_told_by_its_place():
    disks = [disk(100, 0, 700.0), disk(2, 1, 300.0)]
    assert chosen(disks, reference=reference()).disk == disks[1]


LATTICE = [(i * 60 + j * 20, j * 55) for i in (-1, 0, 1) for j in (-1, 0, 1)]


def crystal(dx, dy, rng=None):
    contrasts = np.linspace(300, 2400, len(LATTICE))
    flicker = 1.0 if rng is None else rng.uniform(0.85, 1.15, len(LATTICE))
    return tuple(
        disk(x + dx, y + dy, contrast)
        for (x, y), contrast in zip(LATTICE, contrasts * flicker, strict=True)
    )


@pytest.mark.parametrize("moved", [(4, 3), (60, 0), (-75, 80), (200, -150)])
def test_the_disk_is_followed_over_any_move_of_the_pattern(moved):
    before = crystal(0, 0)
    after = tuple(sorted(crystal(*moved, np.random.default_rng(3)), key=lambda d: -d.contrast))
    found = again(before[4], before, after, half_px=HALF, expected_px=None).disk
    assert found is not None
    assert found.position_px == tuple(np.add(before[4].position_px, moved))


def test_a_pattern_without_marks_is_followed_where_earlier_moves_tell():
    row = [disk(x, 0) for x in range(-500, 501, 100)]
    after = [disk(x + 30, 0) for x in range(-500, 401, 100)]
    assert again(row[5], row, after, half_px=HALF, expected_px=None).ambiguous
    told = again(row[5], row, after, half_px=HALF, expected_px=(28.0, 0.0))
    assert told.disk == after[5]


def test_a_disk_that_stands_out_is_followed_whatever_becomes_of_the_others():
    before = [disk(0, 0), *(disk(80 * k, 90, 200.0) for k in range(-2, 3))]
    after = [disk(30, 0, 1100.0), disk(-200, 300, 210.0), disk(150, -260, 190.0)]
    found = again(before[0], before, after, half_px=HALF, expected_px=None)
    assert found.disk == after[0]
    weaker = [disk(30, 0, 400.0), *after[1:]]
    assert again(before[0], before, weaker, half_px=HALF, expected_px=None).disk is None


def test_a_disk_that_is_gone_is_not_replaced_by_another():
    before = (disk(470, 0, 1000.0), disk(370, 0, 3000.0))
    after = (disk(470, 0, 3000.0),)
    assert again(before[0], before, after, half_px=HALF, expected_px=None).disk is None


def test_a_disk_out_of_sight_is_remembered():
    before = (disk(349, 408, 169.0), disk(510, 383, 178.0))
    assert outside(before, (-5.0, 0.0), HALF, before[:1]) == (disk(505, 383, 178.0),)
    back = (disk(470, 364, 174.0), disk(309, 389, 151.0))
    assert again(before[0], before, back, half_px=HALF, expected_px=None).disk == back[1]


def see(*disks, **rest):
    values = {
        "position_px": disks[0].position_px,
        "radius_px": RADIUS,
        "visible": True,
        "cut": False,
        "saturated": False,
        "pixel_rad": None,
        "shift_rad": (0.0, 0.0),
        "disks": disks,
    }
    return Measured(**(values | rest))


def test_an_ambiguous_start_ends_the_episode_and_says_what_to_do(make_task):
    task = make_task(watch_frames=0)
    state = task.initial(see(disk(0, 0), disk(100, 0)))
    assert task.outcome(state) is Outcome.AMBIGUOUS
    assert not task.is_start(state)
    assert "[0,0], [100,0]" in task.explain(state)
    assert "--set task.disk_px=[x,y]" in task.explain(state)
    assert {"candidate 1", "candidate 2"} <= set(task.marks(state))
    picked = make_task(disk_px=(100.0, 0.0))
    assert picked.initial(see(disk(0, 0), disk(100, 0))).position_px == (100.0, 0.0)


STEP = np.array([0.5, 0.0], dtype=np.float32)


def test_success_on_one_frame_is_confirmed_by_a_move_and_back(make_task):
    task = make_task()
    state = task.initial(see(disk(1, 1), simulated=False))
    assert task.outcome(state) is Outcome.RUNNING
    (out,) = task.own_moves(state, {})
    state = task.advance(state, None, see(disk(12, 1), simulated=False, shift_rad=out.value))
    assert task.outcome(state) is Outcome.RUNNING
    (back,) = task.own_moves(state, {})
    assert back.value == (0.0, 0.0)
    state = task.advance(state, None, see(disk(1, 1), simulated=False))
    assert task.own_moves(state, {}) is None
    assert task.outcome(state) is Outcome.SUCCESS
    assert task.explain(state) == ""


def test_a_flaw_of_the_camera_that_follows_nothing_is_no_success(make_task):
    task = make_task()
    state = task.initial(see(disk(1, 1), simulated=False))
    for _ in range(2):
        assert task.own_moves(state, {}) is not None
        state = task.advance(state, None, see(disk(1, 1), simulated=False))
    assert task.outcome(state) is Outcome.FAILURE
    assert "does not follow" in task.explain(state)


def test_a_confirmation_that_the_envelope_refuses_is_said(make_task):
    task = make_task()
    state = task.refused(task.initial(see(disk(1, 1), simulated=False)))
    assert task.own_moves(state, {}) is None
    assert task.outcome(state) is Outcome.SUCCESS
    assert task.explain(state).startswith("not confirmed")


def test_a_disk_that_was_seen_to_follow_needs_no_confirmation(make_task):
    task = make_task()
    state = task.initial(see(disk(100, 1), simulated=False))
    state = task.advance(state, STEP, see(disk(1, 1), simulated=False))
    assert task.own_moves(state, {}) is None
    assert task.outcome(state) is Outcome.SUCCESS


def run_of(folder: Path, count: int) -> Path:
    lines = []
    for number in range(count):
        shift = 0.001 * number, 0.002 * (number % 2)
        told = {
            "x_px": 1000 * shift[0],
            "y_px": -2000 * shift[1],
            "radius_px": 20.0,
            "contrast": 500.0,
            "shift_x_rad": shift[0],
            "shift_y_rad": shift[1],
        }
        lines.append({"e": 0, "k": number, "t": number, "outcome": "running", "summary": told})
    text = "".join(json.dumps({"reward": 0.0, "truncated": False, **one}) + "\n" for one in lines)
    (folder / "events.jsonl").write_text(text)
    return folder


def test_a_reference_tells_how_far_the_first_move_goes():
    told = Reference.told(
        {
            "x_px": 30.0 * x,
            "y_px": 30.0 * y,
            "radius_px": RADIUS,
            "contrast": 1000.0,
            "shift_x_rad": x,
            "shift_y_rad": y,
        }
        for x, y in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    )
    assert told is not None
    before, after = (
        Measured(
            position_px=None,
            radius_px=None,
            visible=True,
            cut=False,
            saturated=False,
            pixel_rad=None,
            shift_rad=(shift, 0.0),
            disks=disks,
        )
        for shift, disks in (
            (0.0, (disk(100, 0, 1200.0), disk(-300, 0))),
            # Has the other one left the field, and the direct one gone where that was?
            (0.7, (disk(121, 0, 1000.0), disk(-279, 0, 950.0))),
        )
    )
    known = begin(before, (-300.0, 0.0), None, watches=True)
    assert follow(known, after, (0.7, 0.0), HALF, None).ambiguous
    assert follow(known, after, (0.7, 0.0), HALF, told).disk == disk(-279, 0, 950.0)


def test_a_run_tells_radius_contrast_place_and_response(tmp_path):
    found = Reference.of(str(run_of(tmp_path, 4)))
    assert (found.radius_px, found.contrast) == (20.0, 500.0)
    assert found.place_px((0.0025, 0.001)) == pytest.approx((2.5, -2.0))
    assert Reference.of(str(run_of(tmp_path, 1))).place_px((0.5, 0.5)) == (0.0, 0.0)


def test_a_folder_that_is_no_run_is_refused_as_a_reference(tmp_path, make_task):
    with pytest.raises(StempilotError, match="events"):
        make_task(reference=str(tmp_path))
    (tmp_path / "events.jsonl").write_text("")
    with pytest.raises(ValueError, match="the disk was seen"):
        make_task(reference=str(tmp_path))


def test_a_mask_must_be_of_the_cameras_shape(tmp_path, make_task):
    path = tmp_path / "mask.npy"
    np.save(path, np.zeros((1040, 1040), bool))
    make_task(mask=str(path))
    np.save(path, np.zeros((64, 64), bool))
    with pytest.raises(ValueError, match=r"\(64, 64\) bool; expected \(1040, 1040\)"):
        make_task(mask=str(path))
    with pytest.raises(ValueError, match="cannot be read: .* `stempilot mask`"):
        make_task(mask=str(tmp_path / "none.npy"))
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="cannot be read"):
        make_task(mask=str(path))


def test_a_mask_that_leaves_too_little_is_refused(tmp_path, make_task):
    path, mask = tmp_path / "mask.npy", np.ones((1040, 1040), bool)
    mask[:520] = False
    np.save(path, mask)
    make_task(mask=str(path))
    mask[3, 4] = True
    np.save(path, mask)
    with pytest.raises(ValueError, match="leaves out 50.0% .* at most 50%; .* wrong way round"):
        make_task(mask=str(path))
