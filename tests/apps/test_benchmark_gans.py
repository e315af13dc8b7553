"""The benchmark of GANs: equal budgets, nothing done twice, a page whose verdict is computed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from medimg_gan.apps import benchmark_queue, benchmark_speed, cli
from medimg_gan.apps.benchmark_gans import Config, Contender
from medimg_gan.apps.benchmark_gans_figures import Result, falling, kid_over_time, targets
from medimg_gan.apps.benchmark_speed import steps_of, steps_per_second
from medimg_gan.engine.loop import Engine

FIGURES = ("frechet", "kid", "precision", "recall", "density", "coverage", "spectrum", "similarity")
FAKE = Path(__file__).parent / "fake_gan_verbs.py"


def result(alarms=(), consistency=None, duplicates=0, over_time=(), **figures: float) -> Result:
    rows = [
        {"group": "all", "metric": metric, "images_per_set": 30, "synthetic": figures.get(metric),
         "train_vs_held_out": 0.1, "halves_mean": 0.2}
        for metric in FIGURES
    ]  # fmt: skip
    evaluation = {
        "figures": rows,
        "class_consistency": consistency and {"synthetic": consistency},
        "duplicates": {"duplicates": duplicates, "too_close_to_training": 0.05},
    }
    manifest = {} if alarms is None else {"alarms": list(alarms)}
    return Result(manifest, evaluation, list(over_time), None)


def verdicts(ours: list[Result], rivals: dict[str, list[Result]]) -> list[bool | None]:
    return [target.met for target in targets(ours, rivals)]


def test_the_budget_is_minutes_times_the_best_round():
    assert steps_of(20, [3.0, 5.0, 4.0]) == 20 * 60 * 5
    assert steps_of(0.001, [0.1]) == 1


def test_a_contender_is_a_recipe_with_settings():
    one = Contender("wgan-gp: augment=0 learning_rate=0.0001")
    assert one.recipe == "wgan-gp"
    assert one.options == ("augment=0", "learning_rate=0.0001")
    assert one.name == "wgan-gp-augment-0-learning_rate-0.0001"
    assert Contender("cgan").options == ()


def test_targets_hold_the_mean_against_the_best_textbook_gan():
    rivals = {
        "dcgan": [result(frechet=40.0, kid=0.4, recall=0.3, coverage=0.1)],
        "wgan-gp": [result(frechet=60.0, kid=0.2, recall=0.1, coverage=0.5)],
    }
    good = [
        result(frechet=10.0, kid=0.05, recall=0.5, coverage=0.6, consistency=0.9),
        result(frechet=28.0, kid=0.11, recall=0.5, coverage=0.6, consistency=0.84),
    ]
    assert verdicts(good, rivals) == [True] * 7
    bad = [result(frechet=20.1, kid=0.101, recall=0.3, coverage=0.5, consistency=0.84)]
    assert verdicts(bad, rivals)[:5] == [False] * 5
    assert "wgan-gp" in targets(bad, rivals)[1].found


def test_one_duplicate_or_alarm_in_any_seed_is_a_miss_and_an_unwatched_run_is_no_success():
    alarm = {"step": 5, "name": "collapse", "words": "all alike"}
    assert verdicts([result(), result(duplicates=1, alarms=[alarm])], {})[5:] == [False, False]
    assert verdicts([result(alarms=None)], {})[5:] == [True, None]
    assert verdicts([result()], {})[:5] == [None] * 5


def test_a_trend_falls_only_where_chance_cannot_explain_it():
    down = [(500 * n, 2 / n) for n in range(1, 9)]
    wobbly = [(500 * n, 1.0 + (-1) ** n) for n in range(1, 9)]
    assert falling([result(over_time=down)]).met is True
    assert falling([result(over_time=down), result(over_time=wobbly)]).met is False
    assert falling([result(over_time=down[:3])]).met is None


def test_the_held_out_kernel_distance_is_read_from_the_trainings_figures(tmp_path):
    rows = [
        {"step": 50, "loss/critic": 1.0},
        {"step": 500, "live/kid_random_error": 0.1, "live/kid_random": 0.5},
        {"step": 1000, "live/kid_random": None},
    ]
    whole = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "metrics.jsonl").write_text(whole + '{"step": 15')  # as a kill would leave it
    assert kid_over_time(tmp_path / "metrics.jsonl") == [(500, 0.5)]
    assert kid_over_time(tmp_path / "none.jsonl") == []


def test_the_speed_is_timed_in_every_stage_of_a_training(monkeypatch):
    seen = []
    step = Engine.run_step

    def noted(engine):
        seen.append(engine.progress)
        step(engine)

    monkeypatch.setattr(Engine, "run_step", noted)
    assert steps_per_second("dcgan", ("width=8",), 32, 2, 0.001, period=2) > 0
    assert {0.0, 0.25, 0.5, 0.75} <= set(seen)


@pytest.fixture
def fakes(class_folder, tmp_path, monkeypatch) -> Path:
    """Verbs that write in no time what the real ones would; returns the list of their calls."""
    monkeypatch.chdir(tmp_path)
    calls = tmp_path / "calls.txt"

    def start(words, log):
        with log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, str(FAKE), str(calls), *words], stdout=out, stderr=out
            )

    def speed(module, words):
        return {"steps_per_second": 2.0 if words[0] == "cgan" else 3.0}, None

    monkeypatch.setattr(benchmark_queue, "start", start)
    monkeypatch.setattr(benchmark_queue, "LOOKED_EVERY", 0.02)
    monkeypatch.setattr(benchmark_speed, "in_a_child", speed)
    return calls


def benchmark(*words: str) -> str:
    flags = ["--data-types", "tumor-type", "--tumor-type", "pictures", "--minutes", "0.5"]
    cli.run("benchmark-gans", [*flags, "--size", "32", "--out", "page/gans.md", *words])
    return Path("page/gans.md").read_text()


def test_a_benchmark_ends_in_a_page_grows_and_does_nothing_twice(fakes):
    contenders = ["--contenders", "cgan", "dcgan: augment=0"]
    page = benchmark(*contenders, "--seeds", "0")
    calls = [json.loads(line) for line in fakes.read_text().splitlines()]
    assert [words[0] for words in calls].count("train-gan") == 2
    assert [words[0] for words in calls].count("evaluate") == 2
    steps = {
        words[words.index("--recipe") + 1]: words[words.index("--steps") + 1]
        for words in calls
        if words[0] == "train-gan"
    }
    assert steps == {"cgan": "60", "dcgan": "90"}  # half a minute at 2 and 3 steps/s

    manifolds = "Precision", "Recall", "Density", "Coverage"
    checks = "Class-consistency", "Duplicates", "Nearer to training", "Alarms", "Training steps"
    for row in ("Fréchet", "Kernel distance, KID", *manifolds, "Spectrum", "MS-SSIM", *checks):
        assert f"| {row}" in page
    assert "| 60 (2.00/s) | 90 (3.00/s) |" in page
    assert "| 10 | 40 |" in page  # Fréchet distances of the fakes, then the floors, then the ratio
    assert "| 0.25 |" in page
    assert "10 against 40 (dcgan: augment=0): 0.25 | met |" in page
    assert str(fakes.parent) not in page
    assert "--tumor-type DIR" in page
    with Image.open("page/gans/tumor-type-cgan.png") as grid:
        assert grid.size == (2 * 274, 2 * 274)

    again = benchmark(*contenders, "--seeds", "0", "1")
    new = fakes.read_text().splitlines()[len(calls) :]
    assert len(new) == 4
    assert all('"1"' in line or "seed-1" in line for line in new)
    assert "10 ± 0" in again


def test_a_run_that_fails_costs_itself_alone_and_is_tried_again(fakes, capsys):
    words = ["--contenders", "dcgan", "wgan-gp", "--seeds", "0"]
    Path("fail-wgan-gp").touch()
    page = benchmark(*words)
    assert "| 1 of 1 | 0 of 1 |" in page
    assert "FAILED" in capsys.readouterr().out
    Path("fail-wgan-gp").unlink()
    assert "| 1 of 1 | 1 of 1 |" in benchmark(*words)


def test_another_budget_does_not_mix_with_the_first(fakes, capsys):
    benchmark("--contenders", "dcgan", "--seeds", "0")
    with pytest.raises(SystemExit) as stop:
        benchmark("--contenders", "dcgan", "--seeds", "0", "--minutes", "1")
    assert stop.value.code == 2
    assert "minutes: 0.5 -> 1.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--data-types", "tumor-type"], "--tumor-type DIR"),
        (["--data-types", "brain-tumor", "--brain-tumor", "/no/such"], "/no/such"),
        (["--contenders", "gcan"], "no such recipe"),
        (["--contenders", "dcgan: augmnt=0"], "augmnt"),
        (["--seeds", "1", "1"], "--seeds"),
        (["--minutes", "0"], "--minutes"),
    ],
)
def test_mistakes_are_told_before_any_work(words, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.run("benchmark-gans", words)
    assert stop.value.code == 2
    assert expected in capsys.readouterr().err
    assert not Path("runs").exists()


def test_ctrl_c_ends_the_processes_too(tmp_path, monkeypatch):
    begun = []

    def start(words, log):
        begun.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))
        return begun[-1]

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark_queue, "start", start)
    monkeypatch.setattr(benchmark_queue.time, "sleep", interrupt)
    jobs = [benchmark_queue.Job(str(n), (("x",),), tmp_path / f"{n}.log") for n in range(3)]
    with pytest.raises(KeyboardInterrupt):
        benchmark_queue.work_off(jobs, 2, lambda job, well: None)
    assert len(begun) == 2
    assert all(process.poll() is not None for process in begun)


def test_the_command_repeats_the_benchmark_without_saying_where_the_data_lie(tmp_path):
    config = Config(
        data_types=("tumor-type", "phantom"), tumor_type=tmp_path, contenders=("dcgan: gamma=0",)
    )
    assert str(tmp_path) not in config.command()
    assert "--tumor-type DIR" in config.command()
    assert config.command().endswith("--contenders 'dcgan: gamma=0'")
