"""The page as a browser shows it: nothing asked from outside, no complaint, something to see."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CONTROL = "http://control.invalid/seen.png"
FRAME = """<!DOCTYPE html><html><body style="margin:0">
<iframe src="{page}" style="border:0" width="1100" height="3000"></iframe>
<img src="{control}"><script>console.error("the control complains")</script></body></html>"""
"""Around the page: asks for one address and complains once, so that neither goes unseen."""


@pytest.fixture(scope="module")
def seen(written, tmp_path_factory):
    """The screenshot, what the console said, and every address that the pages asked for."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        pytest.skip(f"no browser among {', '.join(NAMES)}; apt-get install chromium")
    place = tmp_path_factory.mktemp("browser")
    frame = FRAME.format(page=written["html"].resolve().as_uri(), control=CONTROL)
    (place / "frame.html").write_text(frame, encoding="utf-8")
    words = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--hide-scrollbars",
        "--window-size=1100,3000", f"--user-data-dir={place / 'profile'}",
        f"--log-net-log={place / 'net.json'}", f"--screenshot={place / 'page.png'}",
        (place / "frame.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    with Image.open(place / "page.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    log = json.loads((place / "net.json").read_text())
    requests = [event.get("params", {}) for event in log["events"]]
    asked = {  # what the browser asks for its own sake has no origin
        request["url"]
        for request in requests
        if request.get("initiator", "not an origin") != "not an origin"
    }
    return pixels, [line for line in done.stderr.splitlines() if "CONSOLE" in line], asked


def test_the_page_is_drawn(seen):
    pixels = seen[0]
    assert pixels.shape == (3000, 1100)
    assert np.median(pixels) == 255  # paper
    dark = (pixels < 100).mean(axis=1)
    assert (dark[:400] > 0).sum() > 40  # title and verdict
    assert (dark > 0).mean() > 0.3


def test_only_the_control_complains(seen):
    assert len(seen[1]) == 1
    assert "the control complains" in seen[1][0]


def test_only_the_control_asks_for_anything(seen):
    assert seen[2] == {CONTROL}
