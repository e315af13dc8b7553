"""Studies beside each other: what the page and the table hold, and what is refused."""

import copy
import csv
import json
import typing
from pathlib import Path

import pytest

from medimg_gan.apps import augment, cli
from medimg_gan.apps.report_page import PLACES, shown_command
from medimg_gan.data.settings import DataConfig
from medimg_gan.report import report_schema
from medimg_gan.runs import write_json

ENDS = {"mean": 0.05, "low": 0.01, "high": 0.09}
COUNT = {"slices": {"a": 40, "rare": 9}, "patients": {"a": 20, "rare": 4}, "all_slices": 49}
MEASURES = ("minority_sensitivity", "balanced_accuracy", "auroc", "auprc")


def report(**changes) -> dict:
    arms = [
        {"name": name, "title": title, "ratio": 1.0, "added": 0, "seeds": 5,
         "metrics": {"minority_sensitivity": {**ENDS, "mean": mean}}}
        for name, title, mean in (("real", "Real only", 0.4), ("synthetic", "Synthetic", 0.45))
    ]  # fmt: skip
    kept = [{key: arm[key] for key in ("name", "title", "ratio")} for arm in arms]
    figures = [
        {"name": name, "group": "rare", "synthetic": 2.5, "real": 1.25}
        for name in ("frechet", "kid", "coverage")
    ]
    given = {
        "schema_version": 3,
        "verdict": "Synthetic slices helped: so it was.",
        "outcome": "helped",
        "classes": ["a", "rare"],
        "minority": "rare",
        "primary_metric": "minority_sensitivity",
        "operating_point": {"specificity": 0.9, "threshold_from": "val"},
        "arms": arms,
        "reference": kept[0],
        "candidate": kept[1],
        "difference": dict.fromkeys(MEASURES, ENDS),
        "p_holm": 0.01,
        "smallest_visible_difference": 0.07,
        "fidelity": {"features": "random", "figures": figures},
        "counts": dict.fromkeys(("train", "val", "test"), COUNT),
        "method": {"metrics": {}},
    }
    rest = dict.fromkeys(report_schema()["required"], None)
    return copy.deepcopy({**rest, **given, **changes})


def write(place, name: str, **changes) -> None:
    write_json(place / name / "report.json", report(**changes))
    write_json(place / name / "manifest.json", {"verb": "augment", "finished": True})


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "runs/tumor-a")
    write(tmp_path, "runs/tumor-b", outcome="no evidence", verdict="No evidence <b>: none.")
    return tmp_path


def compare(*folders: str) -> None:
    cli.run("report", ["--runs", *folders, "--out", "out"])


def refused(capsys, *folders: str) -> str:
    with pytest.raises(SystemExit) as stop:
        compare("runs/tumor-a", *folders)
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_studies_stand_beside_each_other(place, capsys):
    compare("runs/tumor-a", "runs/tumor-b")
    with (place / "out/comparison.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["study"], line["outcome"]) for line in lines] == [
        ("tumor-a", "helped"), ("tumor-b", "no evidence")
    ]  # fmt: skip
    assert float(lines[0]["candidate_score"]) == 0.45
    assert float(lines[1]["frechet_synthetic"]) == 2 * float(lines[1]["frechet_real"])
    page = (place / "out/comparison.html").read_text()
    assert "1 helped, 1 no evidence" in page
    assert "No evidence &lt;b&gt;" in page
    assert "Not comparable" not in page
    assert "+5.0" in page
    assert page.count("<svg") == 1
    printed = capsys.readouterr().out
    assert "tumor-a: helped, +5.0 points (+1.0 to +9.0)" in printed
    compare("runs/tumor-a", "runs/tumor-b")
    assert "finished already" in capsys.readouterr().out


def test_what_cannot_be_held_against_each_other_is_said(place, capsys):
    point = {"specificity": 0.8, "threshold_from": "val"}
    write(place, "other/tumor-a", operating_point=point, classes=["a", "rare", "b"])
    compare("runs/tumor-a", "other/tumor-a")
    page = (place / "out/comparison.html").read_text()
    assert "specificities differ (runs/tumor-a: 0.9; other/tumor-a: 0.8)" in page
    assert "Not comparable, as the classes differ" in capsys.readouterr().out


def test_what_is_no_finished_study_of_this_version_is_refused(place, capsys):
    assert "--runs runs/tumor-b" in refused(capsys, "runs/tumr-b")
    write_json(place / "runs/gan/manifest.json", {"verb": "train-gan"})
    assert "made by 'train-gan'" in refused(capsys, "runs/gan")
    write_json(place / "runs/begun/manifest.json", {"verb": "augment"})
    assert "not finished" in refused(capsys, "runs/begun")
    write(place, "runs/old", schema_version=2)
    assert "schema version 2, expected 3" in refused(capsys, "runs/old")
    lacking = {key: value for key, value in report().items() if key != "counts"}
    (place / "runs/old/report.json").write_text(json.dumps(lacking))
    assert "lacks counts" in refused(capsys, "runs/old")
    assert not (place / "out").exists()


def test_a_single_study_is_told_what_to_do_and_a_page_is_of_one(place, capsys):
    for words, said in (
        (["--runs", "runs/tumor-a"], "--page docs/study-NAME.md"),
        (["--runs", "runs/tumor-a", "runs/tumor-b", "--page", "docs/a.md"], "a page tells of one"),
        (["--runs", "runs/tumor-a", "--page", "docs/a"], "--page docs/a.md"),
        (["--runs", "runs/tumr-a", "--page", "docs/a.md"], "--runs runs/tumor-a"),
    ):
        with pytest.raises(SystemExit) as stop:
            cli.run("report", words)
        assert stop.value.code == 2
        assert said in " ".join(capsys.readouterr().err.split())
    assert not (place / "docs").exists()


def test_a_shown_command_hides_every_place_and_nothing_else():
    places = {
        f"--{name}"
        for config in (augment.Config, DataConfig)
        for name, kind in typing.get_type_hints(config).items()
        if Path in (kind, *typing.get_args(kind))
    }
    assert set(PLACES) == places
    command = (
        "python /opt/x/augment.py --mask '{patient}/{visit}_Mask.nii.gz' --data 'my scans' "
        "--run=out --seeds 5 --config ~/a.yaml --arms filtered:copies+density"
    )
    assert shown_command(command) == (
        "python scripts/augment.py --mask '{patient}/{visit}_Mask.nii.gz' --data DIR --run=DIR "
        "--seeds 5 --config DIR --arms filtered:copies+density"
    )
