"""The report: valid JSON, a table that agrees with it, and a page that stands alone."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from html import escape
from html.parser import HTMLParser

import jsonschema
import numpy as np
import pytest
from PIL import Image

from medimg_gan.report import report_schema, write_report
from medimg_gan.report.pictures import address, grid
from medimg_gan.report.svg import axis

VOID = {"meta", "img", "br", "line", "circle", "polyline", "polygon", "rect"}


@pytest.fixture(scope="module")
def page(written) -> str:
    return written["html"].read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Checks that tags close in order; keeps addresses and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_schema_itself_is_valid():
    jsonschema.Draft202012Validator.check_schema(report_schema())


def test_report_json_follows_the_schema(written):
    report = json.loads(written["json"].read_text(encoding="utf-8"))
    jsonschema.validate(report, report_schema())
    arm = report["arms"][0]
    assert set(arm["metrics"]) >= {"minority_sensitivity", "balanced_accuracy", "auroc", "auprc"}
    for arm in report["arms"]:
        for scores in arm["metrics"].values():
            assert scores["low"] <= scores["high"]


@pytest.mark.parametrize("missing", ["verdict", "arms", "counts", "difference"])
def test_schema_misses_what_is_left_out(result, missing):
    report = {key: value for key, value in result.report.items() if key != missing}
    with pytest.raises(jsonschema.ValidationError, match=missing):
        jsonschema.validate(report, report_schema())


def test_table_agrees_with_the_report(written, result):
    with written["csv"].open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(result.report["arms"]) == 5
    for line, arm in zip(lines, result.report["arms"], strict=True):
        assert line["name"] == arm["name"]
        assert float(line["ratio"]) == arm["ratio"]
        assert float(line["auroc_low"]) == arm["metrics"]["auroc"]["low"]


def test_page_asks_nothing_from_outside(page):
    assert not re.search(r"https?://|@import|url\(|<script|<link|<iframe", page)
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    outside = [address for address in tags.addresses if not address.startswith("#")]
    assert outside
    assert all(address.startswith("data:image/png;base64,") for address in outside)
    assert "Content-Security-Policy\" content=\"default-src 'none'; img-src data:;" in page


def test_text_is_escaped(page):
    tags = Tags()
    tags.feed(page)
    assert "script" not in tags.seen
    assert "rare &lt;script&gt;" in page
    assert "&#x27;a &amp; b&#x27;" in page


def test_verdict_stands_before_everything_else(page, result):
    opening = result.report["verdict"].partition(":")[0]
    reason = page.index(escape(result.report["reasons"][0]))
    assert 0 < page.index(opening) < reason < page.index("Keep in mind") < page.index("<table")
    assert page.index("<table") < page.index("<svg")


def test_no_patient_is_named_anywhere(written):
    for path in written.values():
        assert "SECRET" not in path.read_text(encoding="utf-8")


def test_page_shows_every_arm_and_ratio_in_the_plots(page, result):
    plots = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    for name in ("Real only", "Duplicated real 0.8", "Synthetic added 1"):
        assert name in plots
    assert "ratio after mixing" in plots


def test_a_single_ratio_needs_no_curve(result, tmp_path):
    arms = [arm for arm in result.report["arms"] if arm["ratio"] != 0.8]
    kept = {arm["name"]: {"name": arm["name"], "title": arm["title"], "ratio": arm["ratio"]}
            for arm in arms}  # fmt: skip
    report = {
        **result.report, "arms": arms, "reference": kept["real"], "candidate": kept["synthetic"]
    }  # fmt: skip
    page = write_report(tmp_path, report, {})["html"].read_text(encoding="utf-8")
    assert "ratio after mixing" not in page
    assert "How many?" not in page


def test_a_difference_beyond_100_points_is_not_called_detectable(result, tmp_path):
    report = {**result.report, "smallest_visible_difference": 6.77, "command": "augment"}
    page = write_report(tmp_path, report, {})["html"].read_text(encoding="utf-8")
    assert "with the correction): none, as it would exceed 100 points." in page
    assert "677 points" not in page


def test_a_grid_keeps_every_slice_in_order_and_fills_the_last_row_with_black():
    images = np.linspace(-1, 1, 14)[::-1, None, None, None] * np.ones((1, 1, 128, 128))
    picture = Image.open(io.BytesIO(base64.b64decode(address(images).partition(",")[2])))
    assert picture.size == (12 * 130 - 2, 2 * 130 - 2)
    shown = [picture.getpixel((64 + 130 * (k % 12), 64 + 130 * (k // 12))) for k in range(15)]
    assert shown[0] == 255
    assert shown[:14] == sorted(set(shown[:14]), reverse=True)
    assert shown[14] == 0
    assert grid(images[:1]).shape == (128, 12 * 130 - 2)  # a page shows all at one scale


@pytest.mark.parametrize(
    ("values", "bounded"),
    [([0.62, 0.998], True), ([0.0, 1.0], True), ([0.5, 0.5], True), ([-0.3, 0.2], False)],
)
def test_an_axis_holds_its_values(values, bounded):
    scale = axis(values, 10, 200, bounded=bounded, ticks=4)
    for value in (*values, *scale.ticks):
        assert 10 - 1e-6 <= scale.at(value) <= 200 + 1e-6
    assert len(scale.ticks) >= 2
    if bounded:
        assert min(scale.ticks) >= 0
        assert max(scale.ticks) <= 1


def test_writing_again_replaces_the_report(result, tmp_path):
    write_report(tmp_path, result.report, result.pictures)
    write_report(tmp_path, {**result.report, "verdict": "Other: words."}, result.pictures)
    assert "Words." in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "report.html", "report.json", "table.csv"
    ]  # fmt: skip
