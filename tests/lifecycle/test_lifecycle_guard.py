"""The guard: what is clearly worse goes, what may be chance stays."""

from shopkeeper.lifecycle.guard import Window, complaint


def window(ok: int, failed: int = 0, seconds: float = 0.001) -> Window:
    seen = Window()
    for _ in range(failed):
        seen.note(ok=False, seconds=0)
    for _ in range(ok):
        seen.note(ok=True, seconds=seconds)
    return seen


def test_three_failures_in_a_row_are_enough():
    assert complaint(window(0, 2), window(100)) is None
    assert "3 of its last 3 answers failed" in complaint(window(0, 3), window(100))


def test_a_rare_failure_is_forgiven():
    assert complaint(window(297, 3), window(300)) is None


def test_a_champion_that_fails_as_often_is_no_better():
    assert complaint(window(270, 30), window(270, 30)) is None
    assert complaint(window(270, 30), window(299, 1)) is not None


def test_slowness_is_judged_by_the_tail_once_there_is_one():
    assert complaint(window(99, seconds=1.0), window(300)) is None
    assert "95th percentile is 1000 ms" in complaint(window(150, seconds=1.0), window(300))
    assert complaint(window(150, seconds=0.02), window(300)) is None
    assert complaint(window(150, seconds=1.0), window(150, seconds=0.5)) is None


def test_only_the_last_answers_count():
    seen = window(0, 5)
    for _ in range(400):
        seen.note(ok=True, seconds=0.001)
    assert (len(seen), seen.errors) == (300, 0)
