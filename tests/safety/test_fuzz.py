"""Thousands of spoilt files: each is read or refused, soon, within memory, and quietly."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import seeds
from fuzz import SECONDS, spoilt
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import DataElement

from medimg_gan.data.cache import build_cache
from medimg_gan.data.index import build_index
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import DataError, MedimgError
from medimg_gan.imaging import find_series, read_series, write_nifti
from medimg_gan.imaging.dicom_header import TAGS

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pytest forgets our own filter

CASES = 2400
MEGABYTES = 300
"""Peak growth of a process that reads thousands of files of a few kilobytes, one by one."""
FUZZ = Path(__file__).with_name("fuzz.py")
RUST = ("thread '", "index out of bounds", "note: run with")
"""What pylibjpeg-rle's own runtime prints of damaged frames before Python hears of it."""


def in_a_child(folder: Path, cases: int, seed: int) -> tuple[dict, list[str]]:
    """The result, and the lines that were printed as warnings."""
    environment = {**os.environ, "RUST_BACKTRACE": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(FUZZ), str(folder), str(cases), str(seed)],
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    noise = [line for line in done.stderr.splitlines() if line and not line.startswith(RUST)]
    return json.loads(done.stdout.splitlines()[-1]), noise


@pytest.fixture(scope="module")
def healthy(tmp_path_factory) -> Path:
    """Every seed in one flat folder."""
    folder, scratch = tmp_path_factory.mktemp("seeds"), tmp_path_factory.mktemp("scratch")
    for number, path in enumerate(seeds.dicom_seeds(scratch / "dicom")):
        shutil.copy(path, folder / f"{number:02d}_{path.name}")
    for path in seeds.nifti_seeds(scratch / "nifti"):
        shutil.copy(path, folder)
        if path.suffix == ".img":
            shutil.copy(path.with_suffix(".hdr"), folder)
    return folder


def test_thousands_of_spoilt_files_are_read_or_refused(healthy):
    result, noise = in_a_child(healthy, CASES, seed=0)
    assert result["failures"] == []
    outcomes = result["outcomes"]
    assert sum(outcomes.values()) == result["cases"] == CASES >= 2000
    # The damage is neither so gentle nor so rough that only one path was tried.
    assert min(outcomes["read"], outcomes["refused"], outcomes["left out"]) > CASES / 50
    assert result["slowest_s"] < SECONDS
    assert result["grown_mb"] < MEGABYTES
    assert noise == []


TEXTS = st.sampled_from(["", "x", "../../x", "1\\2", "-1", "nan", "inf", "1e400", "9" * 60, "\0"])
NUMBERS = st.sampled_from([-1, 0, 1, 3, 255, 65535])
BINARY = st.binary(max_size=9)
REPRESENTATIONS = ("US", "SS", "UL", "SL", "FD", "DS", "IS", "CS", "LO", "UI", "OB", "UN", "SQ")


@st.composite
def edits(draw):
    """Attributes that the reader reads, with values and types that they should not have."""
    chosen = draw(st.lists(st.sampled_from(TAGS.split()), min_size=1, max_size=3, unique=True))
    return [
        (
            keyword,
            draw(st.sampled_from(REPRESENTATIONS)),
            draw(st.one_of(TEXTS, NUMBERS, BINARY, st.just(None))),
        )
        for keyword in chosen
    ]


@settings(max_examples=300, deadline=SECONDS * 1000, derandomize=True)
@given(name=st.sampled_from(["CT_small", "MR_small_RLE", "00_0001", "02_enhanced"]), edits=edits())
def test_attributes_of_any_type_and_value_are_read_or_refused(healthy, name, edits):
    image = dcmread(next(healthy.glob(f"*{name}.dcm")))
    for keyword, representation, value in edits:
        try:
            image.pop(keyword, None)
            image[keyword] = DataElement(keyword, representation, value)
        except (ValueError, TypeError, NotImplementedError):
            continue  # pydicom cannot hold it
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "a.dcm"
        try:
            image.save_as(path)
        except Exception:
            return  # nor write it
        found, problems = find_series(Path(place))
        assert found or problems
        for one in found:
            try:
                volume = read_series(one)
            except MedimgError:
                continue
            assert np.isfinite(volume.array).all()


def cached(folder: Path, cache: Path, **options):
    index = build_index(DataConfig(data=folder, modality="mri", cache=cache))
    return index, build_cache(index, 16, cache, **options)


def entries(cache: Path) -> list[Path]:
    """Everything in the folder of caches, hidden or not."""
    return sorted(cache.iterdir()) if cache.exists() else []


def test_spoilt_files_cost_a_line_each_and_leave_no_partial_cache(healthy, tmp_path):
    folder = tmp_path / "scans"
    names = sorted(path for path in healthy.iterdir() if path.suffix not in (".img", ".hdr"))
    for number in range(80):
        original = names[number % len(names)]
        content = spoilt(original.read_bytes(), np.random.default_rng([5, number]))
        place = folder / f"{number:03d}"
        place.mkdir(parents=True)
        (place / original.name).write_bytes(content)
    write_nifti(seeds.phantom("mri", 20), folder / "good.nii.gz")
    index, cache = cached(folder, tmp_path / "cache")
    (entry,) = entries(tmp_path / "cache")
    assert not entry.name.startswith(".")
    assert {path.name for path in entry.iterdir()} >= {"manifest.json", "rows.csv"}
    decoded = set(cache.rows["scan"])
    assert len(decoded) + len(cache.problems) == len(index.scans)
    assert len(index.scans) + len(index.problems) > 60  # some join into one series
    assert "good.nii.gz" in {index.scans[number].path for number in decoded}
    assert np.isfinite(cache.pictures).all()


def test_where_nothing_can_be_decoded_there_is_no_cache_at_all(tmp_path):
    folder = tmp_path / "scans"
    for number in range(3):
        path = write_nifti(seeds.phantom("mri", 20), folder / f"{number}.nii")
        content = bytearray(path.read_bytes())
        content[352:356] = np.float32(np.nan).tobytes()
        content[70:74] = np.array([16, 32], "<i2").tobytes()  # float32: twice the bytes
        path.write_bytes(content + bytes(len(content)))
    with pytest.raises(DataError, match="none of 3 scans"):
        cached(folder, tmp_path / "cache")
    assert entries(tmp_path / "cache") == []
