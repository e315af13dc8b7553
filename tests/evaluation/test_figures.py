"""What is divided by what, and when nothing is."""

import pytest

from medimg_gan.evaluation import results
from medimg_gan.evaluation.figures import Row
from medimg_gan.metrics.images import Score


def row(value, floor=None, error=None, halves=None, spread=None) -> Row:
    base = None if floor is None else Score("kid", "random", floor, error)
    return Row("all", 50, Score("kid", "random", value, error), base, halves, spread)


def test_a_figure_is_divided_by_the_floor_else_by_the_halves():
    assert row(0.6, floor=0.2, halves=0.1).ratio == pytest.approx(3)
    assert row(0.6, halves=0.1).ratio == pytest.approx(6)
    assert row(0.6).ratio is None
    assert row(None, floor=0.2).ratio is None


def test_a_floor_that_may_be_zero_bounds_the_ratio_from_below():
    unsure = row(0.6, floor=0.01, error=0.02)
    assert unsure.ratio is None
    assert unsure.ratio_at_least == pytest.approx(0.6 / 0.05)
    assert row(0.6, floor=-0.01, error=0.02).ratio_at_least == pytest.approx(0.6 / 0.04)
    assert row(0.04, floor=0.01, error=0.02).ratio_at_least is None  # as good as real slices
    assert row(0.6, floor=0.2, error=0.02).ratio_at_least is None
    assert row(0.6, halves=0.01, spread=0.02, error=0.1).ratio_at_least == pytest.approx(12)


@pytest.mark.parametrize(("on_real", "void"), [(0.5, True), (0.9, False)])
def test_a_classifier_that_fails_on_real_slices_is_said_to_say_nothing(on_real, void):
    consistency = {
        "real": on_real, "synthetic": 0.7, "by_class": {"a": 0.8, "b": 0.6}, "real_slices": 90,
    }  # fmt: skip
    text = results.in_words([row(0.6)], {}, consistency, ["one", "two"])
    assert ("says nothing" in text) == void
    assert text.endswith("  note: one\n  note: two")
