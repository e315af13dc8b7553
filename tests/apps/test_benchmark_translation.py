"""The benchmark of translators: fair data and budgets, nothing done twice, computed verdicts."""

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from medimg_gan.apps import benchmark_queue, benchmark_speed, cli
from medimg_gan.apps.benchmark_translation import Config, Contender
from medimg_gan.apps.benchmark_translation_data import balanced_choices
from medimg_gan.apps.benchmark_translation_figures import (
    Result,
    difference,
    pairs_targets,
    phantom_targets,
)

FAKE = Path(__file__).parent / "fake_translation_verbs.py"


def result(repeat="seed-0", patients=None, lesions=None, **figures: float) -> Result:
    known = {name: {"mean": value} for name, value in figures.items()}
    evaluation = {"figures": known, "patients": patients or {}, "lesions": lesions}
    return Result(repeat, {}, evaluation)


def of_patients(repeat="seed-0", **errors: float) -> Result:
    mean = sum(errors.values()) / len(errors)
    return result(repeat, {name: {"mae": value} for name, value in errors.items()}, mae=mean)


def test_a_contenders_settings_are_its_recipes_or_the_trainings():
    one = Contender("cut: adjacent=3 balance-prior=none width=32")
    assert (one.recipe, one.options) == ("cut", ("width=32",))
    assert one.flags("phantom") == {"adjacent": "3", "balance-prior": "none"}
    assert one.channels("phantom") == 3
    flags = {"adjacent": "1", "balance-prior": "none"}
    assert one.flags("pairs") == flags, "single pictures have no neighbours"
    assert one.channels("pairs") == 1


def test_every_patient_is_tested_on_as_often_and_no_choice_twice():
    patients = list("abcdef")
    for count, most in ((3, 1), (6, 2), (15, 5)):
        chosen = balanced_choices(patients, count)
        assert len(set(chosen)) == count
        assert max(Counter(one for pair in chosen for one in pair).values()) == most
    assert len(balanced_choices(patients, 99)) == 15
    assert len(set(balanced_choices(patients[:5], 99))) == 10


def test_the_difference_is_taken_in_the_same_patient_and_repeat():
    ours = [of_patients(a=1.0, b=2.0), of_patients("seed-1", a=3.0)]
    theirs = [of_patients(a=11.0, b=22.0, c=500.0), of_patients("seed-1", a=33.0)]
    found = difference(ours, theirs, "mae")
    assert found is not None
    assert found[1] == 2
    # a: the mean of -10 and -30; b: -20
    assert (found[0].mean, found[0].low, found[0].high) == (-20.0, -20.0, -20.0)
    assert difference(ours, [of_patients("seed-2", a=1.0)], "mae") is None


def test_a_lower_mean_is_no_success_where_the_interval_holds_zero():
    theirs = [of_patients(a=100.0, b=100.0, c=100.0, d=100.0)]
    steady = [of_patients(a=79.0, b=78.0, c=77.0, d=76.0)]
    lucky = [of_patients(a=0.0, b=101.0, c=105.0, d=102.0)]
    small = [of_patients(a=82.0, b=82.0, c=82.0, d=82.0)]
    assert phantom_targets(steady, theirs, [])[0].met is True
    assert phantom_targets(lucky, theirs, [])[0].met is False
    assert phantom_targets(small, theirs, [])[0].met is False
    assert [target.met for target in phantom_targets(steady, [], [])] == [None] * 4


def test_smoothness_and_lesions_have_limits():
    counts = {"visible": 20, "kept": 19, "scans_without": 20, "scans_with_invented": 1}
    good = [result(slope_error=1.1, lesions=counts)]
    one_more = counts | {"kept": 18, "scans_with_invented": 2}
    bad = [result(slope_error=1.11, lesions=one_more)]
    paired = [result(slope_error=1.0)]
    assert [one.met for one in phantom_targets(good, [], paired)[1:]] == [True] * 3
    assert [one.met for one in phantom_targets(bad, [], paired)[1:]] == [False] * 3
    assert phantom_targets(good, [], paired)[2].found == "19 of 20"


def test_pairs_are_won_by_every_measure_and_come_near_the_regression():
    ours = [result(mae=11.5, psnr=20.0, ssim=0.8, edges=0.5)]
    worse = [result(mae=12.0, psnr=19.0, ssim=0.7, edges=0.4)]
    assert [one.met for one in pairs_targets(ours, worse, [result(mae=10.0)])] == [True] * 5
    assert [one.met for one in pairs_targets(worse, ours, [result(mae=10.0)])] == [False] * 5
    assert [one.met for one in pairs_targets(ours, ours, [])] == [False] * 4 + [None]


@pytest.fixture
def fakes(tmp_path, monkeypatch) -> Path:
    """Verbs that write in no time what the real ones would; returns the list of their calls."""
    monkeypatch.chdir(tmp_path)
    calls = tmp_path / "calls.txt"
    for patient in range(4):
        for modality in ("mri", "ct"):
            folder = tmp_path / "pictures" / modality / f"p{patient}"
            folder.mkdir(parents=True)
            for number in range(3 + patient):
                (folder / f"{number}.png").touch()

    def start(words, log):
        with log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, str(FAKE), str(calls), *words], stdout=out, stderr=out
            )

    def speed(module, words):
        return {"steps_per_second": {"cyclegan": 2.0, "regression": 5.0}.get(words[0], 1.0)}, None

    monkeypatch.setattr(benchmark_queue, "start", start)
    monkeypatch.setattr(benchmark_queue, "LOOKED_EVERY", 0.02)
    monkeypatch.setattr(benchmark_speed, "in_a_child", speed)
    return calls


def benchmark(*words: str) -> str:
    flags = ["--minutes", "0.5", "--size", "32", "--out", "page/them.md", "--run", "all"]
    recipes = ["--recipes", "cyclegan: balance-prior=none", "regression"]
    cli.run("benchmark-translation", [*flags, *recipes, *words])
    return Path("page/them.md").read_text()


def calls_of(path: Path, verb: str) -> list[list[str]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [words for words in found if words[0] == verb]


def test_a_benchmark_ends_in_a_page_grows_and_does_nothing_twice(fakes):
    page = benchmark("--seeds", "0")
    first, paired = sorted(calls_of(fakes, "train-cyclegan"), key=lambda words: words[2])
    assert first[first.index("--steps") + 1] == "60"  # half a minute at 2 steps/s
    assert paired[paired.index("--steps") + 1] == "150"
    for flag, value in (("--balance-prior", "none"), ("--adjacent", "1")):
        assert first[first.index(flag) + 1] == value
    assert "--truth" in paired, "a recipe for pairs learns from the truth"
    assert "--truth" not in first, "no other may see it"
    assert all("--truth" in words for words in calls_of(fakes, "evaluate"))

    assert "| MAE in the body [HU], lower | 100 | 58 |" in page
    assert "| Lesions kept [% of those that the truth shows] | 95 | 95 |" in page
    assert "| lesions kept at least 95% | 19 of 20 | met |" in page
    assert "| scans with invented lesions at most 5% | 1 of 10 | missed |" in page
    assert "| 60 (2.00/s) | 150 (5.00/s) |" in page
    assert str(fakes.parent) not in page
    with Image.open("page/them/phantom-regression.png") as picture:
        assert picture.size == (12, 8)

    before = len(fakes.read_text().splitlines())
    assert "| 2 of 2 | 2 of 2 |" in benchmark("--seeds", "0", "1")
    new = fakes.read_text().splitlines()[before:]
    made, *others = new
    assert "make-phantom" in made, "which itself does nothing twice"
    assert len(others) == 4
    assert all("seed-1" in line for line in others)


def test_pairs_come_with_tables_of_whole_patients(fakes):
    page = benchmark("--parts", "pairs", "--pairs", "pictures", "--splits", "2")
    trained = calls_of(fakes, "train-cyclegan")
    assert len(trained) == 4
    assert not any("--truth" in words for words in trained), "the pairs lie in the data"
    tables = [
        {words[words.index("--labels") + 1] for words in calls_of(fakes, verb)}
        for verb in ("train-cyclegan", "evaluate")
    ]
    assert tables[0] == tables[1], "or evaluate would not know whom the training saw"
    assert "MAE better than cyclegan's | not compared | open |" in page
    assert "evaluation/pictures" in page
    assert not Path("page/them").exists(), "patients' pictures are not passed on with the page"
    assert "MAE at most 1.15 of the paired regression's | 100 against 58: 1.72 | missed |" in page
    for number, tested in enumerate(({"p0", "p3"}, {"p1", "p2"})):
        with Path(f"all/splits/split-{number}.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 2 * (3 + 4 + 5 + 6)
        assert {row["patient"] for row in rows if row["split"] == "test"} == tested
        watched = {row["patient"] for row in rows if row["split"] == "val"}
        assert watched == {min({"p0", "p1", "p2", "p3"} - tested)}, "the one with fewest slices"


def test_heads_of_one_side_alone_can_have_tumours(fakes):
    page = benchmark("--parts", "tumours-in-source", "tumours-in-target", "--seeds", "0")
    shares = [words[-3::2] for words in calls_of(fakes, "make-phantom")]
    assert shares == [["1", "0"], ["0", "1"]]
    assert page.count("| lesions kept at least 95% |") == 2
    assert "cyclegan's" not in page


def test_a_run_that_fails_costs_itself_alone(fakes, capsys):
    Path("fail-cyclegan").touch()
    assert "| 0 of 1 | 1 of 1 |" in benchmark("--seeds", "0")
    assert "FAILED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--parts", "pairs"], "--pairs DIR"),
        (["--pairs", "/no/such"], "/no/such"),
        (["--recipes", "cyclgan"], "no such translator"),
        (["--recipes", "cgan"], "no such translator"),
        (["--recipes", "cyclegan: widht=3"], "widht"),
        (["--recipes", "cut: adjacent=2"], "odd"),
        (["--recipes", "cut: adjacent=0"], "odd"),
        (["--recipes", "cut: balance-prior=positon"], "known: auto, none, position, label"),
        (["--recipes", "cut: width=0"], "width=0: must be at least 1"),
        (["--seeds", "1", "1"], "--seeds"),
        (["--minutes", "0"], "--minutes"),
        (["--size", "96"], "96"),
    ],
)
def test_mistakes_are_told_before_any_work(words, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.run("benchmark-translation", ["--recipes", "cyclegan", *words])
    assert stop.value.code == 2
    assert expected in capsys.readouterr().err
    assert not Path("runs").exists()


def test_the_command_does_not_say_where_the_data_lie(tmp_path):
    words = Config(parts=("pairs",), pairs=tmp_path, recipes=("cut: width=8",)).command()
    assert str(tmp_path) not in words
    assert words.endswith("--recipes 'cut: width=8'")
