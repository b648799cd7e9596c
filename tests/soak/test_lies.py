"""A sample of the cases of `tests.soak.lies`; the script plays 20,000."""

from tests.soak import lies

CASES = 600


def test_no_lie_of_a_backend_sends_a_knob_too_far_or_leaves_it_displaced_in_silence() -> None:
    seed = 1_000_000
    wrong, ends = lies.check(CASES, seed)
    assert wrong == [], f"seed {seed}"
    assert {"NoneType", "RestoreError", "HandsOffError", "SystemExit"} <= ends.keys()


def test_a_knob_that_another_one_moved_is_said_also_where_that_one_was_taken_over() -> None:
    # The write of `focus` moved `shift`, and then somebody else moved `focus`.
    assert lies.play(18106) == ([], "HandsOffError")
