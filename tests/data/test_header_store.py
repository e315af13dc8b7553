"""What headers said is remembered: unchanged files stay closed, and nobody's name is kept."""

import builtins
import io
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from medimg_gan.data import header_store
from medimg_gan.data.header_store import NAME, HeaderStore
from medimg_gan.data.index import build_index
from medimg_gan.data.settings import DataConfig
from medimg_gan.imaging import dcm2niix, find_series, write_dicom
from medimg_gan.imaging.volume import Volume

KEY = b"k" * 32
CANARY = "DOE^JANE"


@pytest.fixture
def tree(tmp_path) -> Path:
    """Three series of five slices, each of a patient of its own, and two files that are none."""
    for number in range(3):
        values = np.random.default_rng(number).integers(0, 4000, (7, 6, 5)).astype(np.float32)
        volume = Volume(values, np.diag([1.0, 1.0, 2.5, 1.0]), "mri", "signal")
        write_dicom(volume, tmp_path / "tree" / f"s{number}", template_patient=f"{CANARY}{number}")
    (tmp_path / "tree" / "notes.txt").write_text("nothing")
    (tmp_path / "tree" / "bad.dcm").write_bytes(b"no dicom")
    return tmp_path / "tree"


@pytest.fixture
def opened(tree, monkeypatch) -> list[Path]:
    """Files below the tree, each time one is opened."""
    paths: list[Path] = []
    real = io.open

    def noted(file, *args, **more):
        if isinstance(file, str | Path) and Path(file).is_relative_to(tree):
            paths.append(Path(file))
        return real(file, *args, **more)

    monkeypatch.setattr(io, "open", noted)
    monkeypatch.setattr(builtins, "open", noted)
    return paths


def found(tree: Path, store: HeaderStore):
    return find_series(tree, look=store)


def test_an_unchanged_file_is_not_opened_again(tree, tmp_path, opened):
    first = found(tree, HeaderStore(tmp_path, KEY))
    assert len(set(opened)) == 17
    opened.clear()
    assert found(tree, HeaderStore(tmp_path, KEY)) == first
    assert set(opened) == {tree / "bad.dcm"}  # a problem is looked into again


def test_only_what_changed_is_opened(tree, tmp_path, opened):
    found(tree, HeaderStore(tmp_path, KEY))
    path = sorted((tree / "s1").iterdir())[2]
    image = dcmread(path)
    image.PatientID = "another"
    image.save_as(path)
    opened.clear()
    series, problems = found(tree, HeaderStore(tmp_path, KEY))
    assert set(opened) == {path, tree / "bad.dcm"}
    assert (series, problems) == found(tree, HeaderStore(tmp_path / "fresh", KEY))
    assert len(problems) == 2  # its series has a gap now


def test_worker_processes_answer_the_same_in_the_same_order(tree, tmp_path, monkeypatch):
    paths = sorted(tree.rglob("*.*"))[::-1]
    alone = HeaderStore(tmp_path, KEY)(paths)
    monkeypatch.setattr(header_store, "WORTH_WORKERS", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert HeaderStore(tmp_path / "other", KEY)(paths) == alone
    assert HeaderStore(tmp_path / "other", KEY)(paths) == alone


def test_the_store_and_its_answers_name_nobody(tree, tmp_path):
    for path in (tree / "s0").iterdir():
        image = dcmread(path)
        image.ImageType = ["ORIGINAL", CANARY]
        image.Modality, image.SeriesDescription, image.AcquisitionNumber = CANARY, CANARY, "7"
        image.save_as(path)
    store = HeaderStore(tmp_path, KEY)
    uids = {str(dcmread(path).SeriesInstanceUID) for path in tree.rglob("s*/*")}
    headers = [header for answer in store(sorted(tree.rglob("*.*"))) for header in answer]
    assert CANARY not in repr(headers)
    kept = (tmp_path / NAME).read_bytes()
    for word in (CANARY, str(tree), "notes.txt", "/s0", *uids):
        assert word.encode() not in kept


def test_the_index_knows_patients_of_a_table_by_their_dicom_id(tree, tmp_path):
    (tree / "labels.csv").write_text(f"patient,label\n{CANARY}1,ill\n{CANARY}2,well\n")
    for _ in range(2):  # read, then remembered
        index = build_index(DataConfig(data=tree, cache=tmp_path / "cache"))
        assert {scan.path: scan.label for scan in index.scans} == {
            "s0": "",
            "s1": "ill",
            "s2": "well",
        }


@pytest.mark.parametrize("damage", ["noise", "truncated", "other version"])
def test_a_store_that_cannot_be_used_is_begun_anew(tree, tmp_path, damage, opened):
    first = found(tree, HeaderStore(tmp_path, KEY))
    path = tmp_path / NAME
    if damage == "noise":
        path.write_bytes(os.urandom(4096))
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        with sqlite3.connect(path) as store:
            store.execute("PRAGMA user_version = 1")
            store.execute("ALTER TABLE headers RENAME COLUMN said TO told")
    assert found(tree, HeaderStore(tmp_path, KEY)) == first
    opened.clear()
    assert found(tree, HeaderStore(tmp_path, KEY)) == first
    assert set(opened) == {tree / "bad.dcm"}


def test_without_a_place_to_write_the_search_goes_on(tree, tmp_path, capsys):
    (tmp_path / NAME).mkdir()
    series, _ = found(tree, HeaderStore(tmp_path, KEY))
    assert len(series) == 3
    assert capsys.readouterr().out.count("not remembered") == 1


def test_an_interrupted_search_keeps_what_it_had(tree, tmp_path, monkeypatch, opened):
    look = header_store.look_into
    seen = []

    def interrupted(path):
        if len(seen) == 7:
            raise KeyboardInterrupt
        seen.append(path)
        return look(path)

    with monkeypatch.context() as patch:
        patch.setattr(header_store, "look_into", interrupted)
        with pytest.raises(KeyboardInterrupt):
            found(tree, HeaderStore(tmp_path, KEY))
    opened.clear()
    found(tree, HeaderStore(tmp_path, KEY))
    assert len(set(opened)) == 17 + 1 - 7  # a problem is looked into again


def test_what_dcm2niix_makes_of_files_is_asked_once(tree, tmp_path, monkeypatch):
    paths = tuple(sorted((tree / "s0").iterdir()))
    asked = []
    real = dcm2niix.parts_of

    def counted(*arguments):
        asked.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(dcm2niix, "parts_of", counted)
    (first,) = HeaderStore(tmp_path, KEY).parts_of(paths, "precise")
    (again,) = HeaderStore(tmp_path, KEY).parts_of(paths, "precise")
    assert len(asked) == 1
    assert (again.name, again.shape, again.volumes) == (first.name, first.shape, first.volumes)
    np.testing.assert_array_equal(again.affine, first.affine)
    HeaderStore(tmp_path, KEY).parts_of(paths, "display")
    paths[0].touch()
    HeaderStore(tmp_path, KEY).parts_of(paths, "precise")
    assert len(asked) == 3


def test_what_is_remembered_has_the_types_of_what_was_read(real_data, tmp_path):
    """5, 5.0 and True are equal, but a count must not come back as a length."""
    paths = sorted((real_data / "reader" / "dicom2nifti").rglob("*.dcm"))
    read, remembered = HeaderStore(tmp_path, KEY)(paths), HeaderStore(tmp_path, KEY)(paths)

    def types(headers):
        return [[type(getattr(one, name)) for name in header_store.FIELDS] for one in headers]

    whole = [number for number, headers in enumerate(read) if not isinstance(headers, str)]
    assert len(whole) > 100
    assert [remembered[n] for n in whole] == [read[n] for n in whole]
    assert [types(remembered[n]) for n in whole] == [types(read[n]) for n in whole]


def test_a_missing_slice_is_named_the_second_time_too(tree, tmp_path):
    for number in (2, 3):
        (tree / "s0" / f"{number:04d}.dcm").unlink()
    first = found(tree, HeaderStore(tmp_path, KEY))
    assert "not evenly spaced" in " ".join(problem.reason for problem in first[1])
    assert found(tree, HeaderStore(tmp_path, KEY)) == first


def test_long_series_numbers_tell_series_apart(tree, tmp_path):
    for number in (0, 1):
        for path in (tree / f"s{number}").iterdir():
            image = dcmread(path)
            image.SeriesInstanceUID, image.PatientID = "1.2.3", "P"
            image.SeriesNumber = 10001001 + number
            image.save_as(path)
            path.rename(tree / f"{number}-{path.name}")
    series, _ = found(tree, HeaderStore(tmp_path, KEY))
    assert len(series) == 3
