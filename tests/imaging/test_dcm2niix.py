from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging import ReadOptions, dcm2niix, find_series, read_series, write_dicom


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    """Conversions of this test alone; nothing remembered from another."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    dcm2niix._converted.cache_clear()
    yield
    dcm2niix._converted.cache_clear()


@pytest.fixture
def paths(make_volume, tmp_path):
    return tuple(write_dicom(make_volume("mri"), tmp_path / "Jane Doe"))


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a shell script in the program's place."""

    def put(text: str) -> None:
        script = tmp_path / "program"
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
        monkeypatch.setattr(dcm2niix.dcm2niix, "bin", str(script))

    return put


def test_both_engines_read_a_regular_series_alike(make_volume, paths):
    volume = make_volume("mri")
    (part,) = dcm2niix.parts_of(paths, "precise")
    read = dcm2niix.read_part(paths, part.name, None, "precise")
    assert (part.name, part.shape, part.volumes) == ("", volume.array.shape, 1)
    np.testing.assert_allclose(part.affine, volume.affine, atol=1e-4)
    np.testing.assert_array_equal(read.array, volume.array)
    np.testing.assert_allclose(read.affine, volume.affine, atol=1e-4)


def test_a_conversion_serves_all_volumes_and_is_removed(reader_data, tmp_path):
    folder = reader_data / "dcm_qa_enh" / "In" / "Siemens"
    found, _ = find_series(folder, options=ReadOptions(volume="all"))
    assert len(found) == 4
    dcm2niix._converted.cache_clear()
    volumes = [read_series(one).array for one in found]
    assert dcm2niix._converted.cache_info().misses == 1
    assert all((volumes[0] != volume).any() for volume in volumes[1:])
    dcm2niix._converted.cache_clear()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_changed_file_is_converted_anew(paths):
    dcm2niix.parts_of(paths, "precise")
    paths[0].touch()
    dcm2niix.parts_of(paths, "precise")
    assert dcm2niix._converted.cache_info().misses == 2


def test_a_part_that_is_gone_is_told(paths):
    with pytest.raises(UnreadableError, match="files changed since they were indexed"):
        dcm2niix.read_part(paths, "_e7", None, "precise")


def convert(paths):
    dcm2niix.parts_of(paths, "precise")


def test_a_worker_process_leaves_nothing_behind(paths, tmp_path):
    worker = multiprocessing.get_context("fork").Process(target=convert, args=(paths,))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 0
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_the_program_says_is_not_quoted(paths, program):
    program("echo CANARY; echo CANARY >&2; exit 3")
    with pytest.raises(UnreadableError) as caught:
        dcm2niix.parts_of(paths, "precise")
    assert "CANARY" not in str(caught.value)
    assert "exit status 3" in str(caught.value)


def test_the_program_sees_no_name_of_a_file_or_folder(paths, program, tmp_path):
    program(f'echo "$@" > {tmp_path}/words; exit 3')
    with pytest.raises(UnreadableError):
        dcm2niix.parts_of(paths, "precise")
    assert "Jane" not in (tmp_path / "words").read_text()


def test_a_program_that_hangs_is_stopped(paths, program, monkeypatch, tmp_path):
    monkeypatch.setattr(dcm2niix, "LEAST_SECONDS", 0.2)
    program("exec sleep 60")
    with pytest.raises(UnreadableError, match="does not come to an end"):
        dcm2niix.parts_of(paths, "precise")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_program_is_limited_in_memory(paths, program, tmp_path):
    program(f"ulimit -v > {tmp_path}/limit; exit 3")
    with pytest.raises(UnreadableError):
        dcm2niix.parts_of(paths, "precise")
    assert int((tmp_path / "limit").read_text()) == dcm2niix.LEAST_MEMORY // 1024


def test_old_leftovers_go_and_new_ones_stay(paths, tmp_path):
    old, new = (tmp_path / "tmp" / f"medimg-gan-{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir()
    os.utime(old, (time.time() - 2 * dcm2niix.STALE_SECONDS,) * 2)
    dcm2niix.parts_of(paths, "precise")
    assert not old.exists()
    assert new.exists()


def test_philips_values_come_in_either_scale(reader_data):
    folder = reader_data / "dcm_qa_enh" / "In" / "Philips"
    scaled = {}
    for scaling in ("precise", "display"):
        found, _ = find_series(folder, options=ReadOptions(philips_scaling=scaling))
        scaled[scaling] = read_series(found[0]).array
    body = scaled["display"] > 0
    ratio = scaled["precise"][body] / scaled["display"][body]
    # 1 / (Rescale Slope x Scale Slope) of the file's private header.
    np.testing.assert_allclose(ratio, 1 / (1.27985347985347 * 8.44864e-06), rtol=1e-4)


def test_a_missing_program_is_told(paths, monkeypatch):
    monkeypatch.setattr(dcm2niix.dcm2niix, "bin", str(Path("nowhere") / "dcm2niix"))
    with pytest.raises(UnreadableError):
        dcm2niix.parts_of(paths, "precise")
