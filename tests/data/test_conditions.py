from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from medimg_gan.data.conditions import column_of, learn_numbers
from medimg_gan.data.number import Number, draw_numbers, standardised
from medimg_gan.data.settings import AUTO
from medimg_gan.data.tables import read_table
from medimg_gan.errors import ConfigError, DataError

SLICES = 11
SPLITS = ("train", "train", "train", "val", "test", "train", "train", "train")


def scan(age="", shape=(9, 9, SLICES), patient="p", spacing=(1.0, 1.0, 5.0)):
    series = SimpleNamespace(shape=shape, spacing=spacing)
    return SimpleNamespace(series=series, numbers={"age": age}, patient=patient)


def volumes(ages=("20", "55", "80", "99", "5"), others=("22", "57", "79")):
    """Three training patients and two others, then more for training."""
    return [scan(age, patient=f"p{n}") for n, age in enumerate(ages + others)]


def rows_of(scans) -> pd.DataFrame:
    """A row a slice; the upper half of each volume is of class b."""
    count = len(scans)
    position = np.tile(np.linspace(0, 1, SLICES), count)
    return pd.DataFrame(
        {
            "scan": np.repeat(np.arange(count), SLICES),
            "position": position,
            "area": np.nan,
            "pixel_mm": 1.0,
            "label": np.where(position > 0.5, "b", "a"),
            "split": np.repeat(SPLITS[:count], SLICES),
        }
    )


def learnt(*names, scans=None, classes=()):
    scans = volumes() if scans is None else scans
    return learn_numbers(names, scans, rows_of(scans), classes)


def refusal(*names, **others) -> str:
    with pytest.raises(DataError) as refused:
        learnt(*names, **others)
    return str(refused.value)


def test_auto_takes_the_position_of_volumes_and_of_nothing_else():
    assert [number.name for number in learnt(AUTO)] == ["position"]
    assert learnt(AUTO, scans=[scan(shape=(9, 9, 1)) for _ in SPLITS]) == ()
    assert learnt() == ()


def test_a_number_is_standardised_by_hand():
    (age,) = learnt("age")
    assert (age.low, age.high) == (20, 80)
    values = np.array([[20.0], [50.0], [80.0], [65.0], [500.0], [-500.0]])
    assert standardised((age,), values)[:, 0].tolist() == [-1, 0, 1, 0.5, 1.5, -1.5]
    assert standardised((), values).shape == (6, 0)


def test_the_scale_is_learnt_from_training_patients_alone():
    others = volumes(("20", "55", "80", "1", "120"))
    assert learnt("age", scans=others) == learnt("age")
    assert learnt("age", scans=volumes(("20", "55", "90", "99", "5"))) != learnt("age")


def test_what_is_kept_is_coarse_and_no_patients_own():
    scans = volumes(("21.3", "57.7", "83.9", "99", "5"))
    rows = rows_of(scans)
    (age,) = learn_numbers(("age",), scans, rows, ("a", "b"))
    assert set(rows[column_of("age")]) == {21.3, 57.7, 83.9, 99, 5, 22, 57, 79}
    kept = [age.low, age.high, *sum(age.deciles, ())]
    assert all(value % 5 == 0 for value in kept)
    assert [len(one) for one in age.deciles] == [11, 11]
    assert age.low <= min(sum(age.deciles, ())) <= max(sum(age.deciles, ())) <= age.high
    assert Number.from_plain(asdict(age)) == age


def test_narrow_columns_do_not_keep_what_one_patient_has_alone():
    (age,) = learnt("age", scans=volumes(("61", "64", "68", "9", "9"), ("63", "63", "64")))
    assert (age.low, age.high) == (60, 70)
    assert set(age.deciles[0]) <= {60, 65, 70}
    (weight,) = learnt("age", scans=volumes(("6.1", "6.4", "6.8", "9", "9"), ("6.3",) * 3))
    assert (weight.low, weight.high) == (6, 7)
    message = refusal("age", scans=volumes(("63", "64", "63", "9", "9"), ("63", "63", "63")))
    assert "one patient's alone" in message
    (shared,) = learnt("age", scans=volumes(("63", "64", "63", "9", "9"), ("64", "63", "63")))
    assert (shared.low, shared.high) == (63, 64)


def test_columns_of_few_patients_are_refused_but_positions_are_not():
    scans = volumes(others=())
    assert "3 training patients, expected 5" in refusal("age", scans=scans)
    assert learnt("position", scans=scans)[0].high == 1


def test_a_class_of_few_patients_is_drawn_like_all():
    scans = volumes(("71", "20", "30", "9", "9"), ("40", "50", "60"))
    rows = rows_of(scans)
    rows["label"] = np.where(rows["scan"] == 0, "rare", "common")
    age, position = learn_numbers(("age", "position"), scans, rows, ("common", "rare"))
    assert max(age.deciles[0]) == 60
    assert (age.deciles[1][0], age.deciles[1][-1]) == (20, 70)
    assert position.deciles[0] == position.deciles[1]


def test_classes_have_deciles_of_their_own():
    (position,) = learnt("position", classes=("a", "b"))
    below, above = position.deciles
    assert (below[0], below[-1]) == (0, 0.5)
    assert (above[0], above[-1]) == (0.6, 1)


def test_missing_values_are_counted_and_a_remedy_is_named():
    message = refusal("age", scans=volumes(("20", "", "80", "nan", "5")))
    assert "22 of 88 slices (2 of 8 scans)" in message
    assert "fill in" in message
    assert "delete the rows" in message
    assert "88 of 88" in refusal("area")


def test_slices_that_are_left_out_may_lack_a_value():
    scans = volumes(("20", "", "80", "9", "5"))
    rows = rows_of(scans)
    rows.loc[rows["scan"] == 1, "split"] = ""
    assert learn_numbers(("age",), scans, rows, ())[0].high == 80


def test_words_are_refused_and_shown_unless_they_may_be_names():
    message = refusal("age", scans=volumes(("old", "old", "Mrs Smith", "99", "5")))
    assert "3 of 8 scans" in message
    assert "'old'" in message
    assert "Smith" not in message
    assert "no two patients" in refusal("age", scans=volumes(("Ann", "Bob", "80", "99", "5")))
    assert "8 of 8" not in refusal("age", scans=volumes(("inf", "1", "80", "99", "5")))


def test_a_constant_and_an_unknown_column_are_refused():
    assert "the same in all" in refusal(
        "age", scans=volumes(("40", "40", "40", "99", "5"), ("40", "40", "40"))
    )
    assert "the same in all" in refusal("pixel_mm")
    message = refusal("positon", scans=[without_table(one) for one in volumes()])
    assert "did you mean position" in message
    assert "slice_mm" in message


def without_table(one):
    one.numbers = {}
    return one


def test_spacing_is_known_without_a_table():
    scans = [scan(spacing=(0.5, 0.5, thick)) for thick in (1.0, 3.0, 5.0, 9.0, 9.0)]
    (thickness,) = learnt("slice_mm", scans=scans)
    assert (thickness.low, thickness.high) == (1, 5)


def test_the_table_may_give_the_position_of_single_slices():
    scans = [scan(shape=(9, 9, 1)) for _ in SPLITS]
    assert "no position" in refusal("position", scans=scans)
    for place, one in enumerate(scans):
        one.numbers = {"position": str(place / 7)}
    (position,) = learnt("position", scans=scans)
    assert (position.low, position.high) == (0, 1)


def test_a_table_brings_the_columns_asked_for_but_no_identity(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("path,patient,Age,weight\na.png,7, 61 ,80\n")
    row = read_table(table, tmp_path, ("age", "patient", "height"))["a.png"]
    assert row.numbers == {"age": "61"}
    assert read_table(table, tmp_path)["a.png"].numbers == {}


AGE = Number("age", 20, 80, (tuple(range(20, 51, 3)), (80,) * 11))
HEIGHT = Number("position", 0, 1, (tuple(np.linspace(0, 1, 11)),) * 2)


def test_numbers_are_drawn_as_in_the_training_slices_of_the_class():
    labels = np.arange(4000) % 2
    values = draw_numbers((AGE, HEIGHT), labels, seed=1)
    young, old = values[labels == 0, 0], values[labels == 1, 0]
    assert young.mean() == pytest.approx(35, abs=1)
    assert young.min() >= 20
    assert (old == 80).all()
    assert abs(np.corrcoef(young, values[labels == 0, 1])[0, 1]) < 0.1
    np.testing.assert_array_equal(draw_numbers((AGE, HEIGHT), labels[:7], seed=1), values[:7])
    assert not np.array_equal(draw_numbers((AGE, HEIGHT), labels, seed=2), values)


def test_of_two_kinds_nothing_between_is_drawn():
    (kind,) = learnt("age", scans=volumes(("0", "1", "1", "0", "1"), ("0", "1", "1")))
    drawn = draw_numbers((kind,), np.zeros(500, int), seed=0)
    assert set(drawn[:, 0]) == {0, 1}
    assert 0.5 < drawn.mean() < 0.8
    (height,) = learnt("position")
    assert len(np.unique(draw_numbers((height,), np.zeros(50, int), seed=0))) == 50


def test_a_fixed_number_leaves_the_others_as_they_were():
    labels = np.zeros(5, int)
    values, fixed = (draw_numbers((AGE, HEIGHT), labels, 0, at) for at in ({}, {"age": 33}))
    assert (fixed[:, 0] == 33).all()
    np.testing.assert_array_equal(fixed[:, 1], values[:, 1])


@pytest.mark.parametrize(
    ("at", "said"),
    [({"positon": 0.5}, "did you mean position"), ({"weight": 70}, "age 20 to 80"),
     ({"age": 81}, "20 to 80"), ({"age": float("nan")}, "20 to 80")],
)  # fmt: skip
def test_numbers_that_were_never_learnt_are_refused(at, said):
    with pytest.raises(ConfigError, match=said):
        draw_numbers((AGE, HEIGHT), np.zeros(2, int), 0, at)
    with pytest.raises(ConfigError, match="none"):
        draw_numbers((), np.zeros(2, int), 0, {"age": 40})


def test_deciles_of_one_class_do_for_no_classes():
    alone = replace(AGE, deciles=AGE.deciles[:1])
    assert draw_numbers((alone,), np.zeros(3, int), 0).max() <= 50


@pytest.mark.parametrize("code", ["-999", "9999"])
def test_a_code_for_a_missing_value_is_named_and_counted(code):
    message = refusal("age", scans=volumes((code, "55", "80", "99", "5"), ("22", code, "79")))
    assert f"--condition age: {code} looks like a code" in message
    assert f"2 training patients ({2 * SLICES} of {6 * SLICES} slices)" in message


@pytest.mark.parametrize(
    "ages",
    [
        ("-999", "55", "80", "99", "5", "22", "57", "79"),  # one patient's own: not shown
        ("0", "0", "30", "99", "75", "82", "77", "79"),  # far, but not beyond belief
        ("0", "0", "100", "0", "100", "0", "100", "100"),  # two kinds
    ],
)
def test_values_that_may_be_true_are_not_called_codes(ages):
    learnt("age", scans=volumes(ages[:5], ages[5:]))
