"""A study's page of Markdown: its figures are the report's, its pictures lie beside it."""

from __future__ import annotations

import io
import re
import shutil
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from medimg_gan.apps import cli
from medimg_gan.report.markdown import code, plain
from medimg_gan.report.names import in_points, is_arm
from medimg_gan.report.page_tables import arms
from medimg_gan.report.pictures import grid, shown_in
from medimg_gan.report.study_page import write_study_page
from medimg_gan.runs import write_json

DATE = "2026-01-02"


def cells(line: str) -> list[str]:
    """Of a line of a table, without the marks of bold and of escapes."""
    found = re.split(r"(?<!\\)\|", line)[1:-1]
    return [re.sub(r"\\(.)", r"\1", cell).strip().strip("*") for cell in found]


@pytest.fixture(scope="module")
def report(result):
    """Of a class whose name is a table, a picture and a tag."""
    hostile = "a|b ![x](http://outside.invalid/x.png) `<script>`"
    text = result.report
    counts = {
        split: {**count, **{key: dict(zip(["common", hostile], count[key].values(), strict=True))
                            for key in ("slices", "patients")}}
        for split, count in text["counts"].items()
    }  # fmt: skip
    source = "Cgan in /home/someone/runs, x/gan, weights 0123456789ab"
    return {
        **text, "minority": hostile, "classes": ["common", hostile], "counts": counts,
        "synthetic_source": source, "reasons": [f"One has to do with {hostile}."],
    }  # fmt: skip


@pytest.fixture(scope="module")
def place(report, written, tmp_path_factory):
    """The written page; an older, longer one lay there before, beside a stranger's picture."""
    path = tmp_path_factory.mktemp("docs") / "my study.md"
    folder = path.with_suffix("")
    folder.mkdir()
    for name in ("slices-9.png", "mine.png"):
        (folder / name).write_bytes(b"old")
    shown = shown_in(written["html"].read_text(encoding="utf-8"))
    write_study_page(path, report, shown, "medimg-gan augment --data DIR", DATE)
    return path


@pytest.fixture(scope="module")
def page(place) -> str:
    return place.read_text(encoding="utf-8")


def test_slices_come_back_out_of_the_report_as_they_were_shown(written, result):
    shown = shown_in(written["html"].read_text(encoding="utf-8"))
    assert list(shown) == list(result.pictures)
    for title, png in shown.items():
        with Image.open(io.BytesIO(png)) as picture:
            assert np.array_equal(np.asarray(picture), grid(result.pictures[title]))


def test_every_picture_lies_beside_the_page_and_none_is_left_over(place, page, result):
    links = [unquote(link) for link in re.findall(r"(?<!\\)\]\(([^)]*)\)", page)]
    assert all(link.startswith("my study/") for link in links)
    files = {path.name for path in place.with_suffix("").iterdir()}
    assert {link.partition("/")[2] for link in links} | {"mine.png"} == files
    grids = [name for name in files if name.startswith("slices")]
    assert len(grids) == len(result.pictures) >= 3
    with Image.open(place.with_suffix("") / "differences-1.png") as picture:
        assert picture.width >= 2100  # 300 dots an inch over 18 cm
        assert np.asarray(picture.convert("L")).min() < 60


def test_the_table_holds_the_figures_of_the_report(page, report):
    lines = [cells(line) for line in page.partition("## Arms")[2].splitlines() if line[:1] == "|"]
    count = len(report["arms"])
    for arm, line in zip(report["arms"], lines[2 : 2 + count], strict=True):
        name, added, score, difference, p, balanced, auroc, _ = line
        assert name.startswith(arm["title"])
        scores, ends = arm["metrics"], ("mean", "low", "high")
        sensitivity = scores["minority_sensitivity"]
        assert int(added) == arm["added"]
        assert re.findall(r"[\d.]+", score) == [f"{sensitivity[end]:.3f}" for end in ends]
        assert float(balanced) == pytest.approx(scores["balanced_accuracy"]["mean"], abs=6e-4)
        assert float(auroc) == pytest.approx(scores["auroc"]["mean"], abs=6e-4)
        assert (p == "–") == (arm["role"] != "synthetic")
        if is_arm(arm, report["reference"]):
            assert difference == "reference"
        else:
            against = arm["difference_to_reference"]["minority_sensitivity"]
            points = [float(value) for value in re.findall(r"[-+][\d.]+", difference)]
            assert points == pytest.approx([100 * against[end] for end in ends], abs=0.06)


def test_reference_and_candidate_alone_are_bold(page):
    lines = page.partition("## Arms")[2].partition("##")[0].splitlines()
    assert sum(line.startswith("| **") for line in lines) == 2


def test_folds_that_chose_differently_are_no_secret(report):
    folds = [{"name": "real", "ratio": 0.5}, {"name": "duplicate", "ratio": 0.8}]
    table, words = arms(report)
    assert "Folds chose differently" not in words
    assert "| **reference** |" in table
    differing = {**report, "reference": {**report["reference"], "by_fold": folds}}
    table, words = arms(differing)
    assert "Folds chose differently: bold is what most chose" in words
    assert "| **reference** |" not in table  # what most chose is no fold's zero


def test_verdict_and_reasons_stand_first_and_whole(page, report):
    unescaped = re.sub(r"\\(.)", r"\1", page)
    opening, _, sentence = report["verdict"].partition(": ")
    order = [f"**{opening}.**", report["reasons"][0], report["caveats"][0], DATE, "## Arms"]
    places = [unescaped.index(words) for words in order]
    assert places == sorted(places)
    assert sentence[1:] in unescaped
    assert report["environment"]["cpu"] in unescaped


def test_names_of_classes_are_text_alone(page, report):
    assert plain(report["minority"]) in page
    assert "(http" not in page.replace(r"\]\(", "").replace(r"\](", "")
    assert not re.search(r"(?<!\\)[<`]script|(?<!\\)<script", page)
    for block in re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE):
        assert len({len(cells(line)) for line in block.splitlines()}) == 1


def test_nothing_tells_of_the_machine_or_of_patients(page):
    assert "SECRET" not in page
    assert "someone" not in page
    assert "weights 0123456789ab." in re.sub(r"\\(.)", r"\1", page)


def test_a_fence_is_longer_than_any_in_the_code():
    assert code("a ```` b").splitlines() == ["`````", "a ```` b", "`````"]


def test_the_verb_writes_a_page_of_a_study_of_an_earlier_version(written, result, tmp_path, capsys):
    """It knew no reasons, and neither the processor nor the day."""
    environment = {
        key: value
        for key, value in result.report["environment"].items()
        if key not in ("cpu", "date")
    }
    older = {key: value for key, value in result.report.items() if key != "reasons"}
    command = "python /home/someone/scripts/augment.py --data /home/someone/scans --seeds 1"
    write_json(
        tmp_path / "run/report.json", {**older, "environment": environment, "command": command}
    )
    write_json(tmp_path / "run/manifest.json", {"verb": "augment"})
    arguments = ["--runs", str(tmp_path / "run"), "--page", str(tmp_path / "docs/study-x.md")]
    own = tmp_path / "docs/study-x.md"
    own.parent.mkdir()
    own.write_text("# My notes\n")
    with pytest.raises(SystemExit):
        cli.run("report", arguments)
    assert "holds something else" in capsys.readouterr().err
    own.unlink()
    with pytest.raises(SystemExit):
        cli.run("report", arguments)
    assert "pictures of slices from report.html" in capsys.readouterr().err
    shutil.copy(written["html"], tmp_path / "run/report.html")
    cli.run("report", arguments)
    page = (tmp_path / "docs/study-x.md").read_text(encoding="utf-8")
    assert "\npython scripts/augment.py --data DIR --seeds 1\n" in page
    assert "someone" not in page
    assert plain(result.report["reasons"][0]) in page
    assert "(study-x/slices-1.png)" in page
    assert (tmp_path / "docs/study-x/slices-1.png").exists()
    assert not (tmp_path / "runs").exists()


def test_a_difference_that_rounds_to_nothing_has_no_minus():
    found = {"mean": -0.0004, "low": -0.0496, "high": 0.1}
    assert in_points(found) == ("+0.0", "-5.0 to +10.0")
