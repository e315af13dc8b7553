"""One bad file costs a line; a full disk, a forbidden or a vanished file costs nothing else."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import seeds

from medimg_gan.data.cache import build_cache
from medimg_gan.data.index import build_index
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import DataError
from medimg_gan.imaging import find_series, read_volumes, write_dicom, write_nifti

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pytest forgets our own filter


@pytest.fixture
def scans(tmp_path) -> Path:
    for number in range(4):
        write_nifti(seeds.phantom("mri", 20), tmp_path / "scans" / f"p{number}" / "a.nii")
    return tmp_path / "scans"


def cached(folder: Path, **options):
    cache = folder.parent / "cache"
    index = build_index(DataConfig(data=folder, modality="mri", cache=cache, **options))
    return index, build_cache(index, 16, cache, strict=bool(options.get("strict")))


def test_one_bad_file_among_many_costs_one_line(tmp_path):
    folder = tmp_path / "scans"
    for number in range(300):
        write_dicom(seeds.phantom("mri", 4, 1), folder / f"{number:03d}")
    bad = folder / "117" / "0001.dcm"
    bad.write_bytes(bad.read_bytes()[:500])
    found, (problem,) = find_series(folder)
    assert len(found) == 299
    assert problem.path == bad
    index = build_index(DataConfig(data=folder, modality="mri", cache=tmp_path / "cache"))
    table = index.table()
    (row,) = table[table["problem"] != ""].to_dict("records")
    assert row["path"] == "117/0001.dcm"
    with pytest.raises(DataError, match="1 problems"):
        build_index(DataConfig(data=folder, modality="mri", cache=tmp_path / "cache", strict=True))


def refuse(path: Path, code: int, monkeypatch) -> None:
    """Let one file fail as the system would (root passes every permission)."""
    own = Path.open

    def opened(self, *args, **options):
        if self == path:
            raise OSError(code, os.strerror(code), str(self))
        return own(self, *args, **options)

    monkeypatch.setattr(Path, "open", opened)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("name", ["a.nii", "0001.dcm"])
def test_a_file_that_cannot_be_opened_is_said_in_the_systems_words(
    tmp_path, monkeypatch, code, name
):
    if name.endswith("dcm"):
        write_dicom(seeds.phantom("mri", 4, 1), tmp_path / "bad")
    else:
        write_nifti(seeds.phantom("mri"), tmp_path / "bad" / name)
    write_nifti(seeds.phantom("mri"), tmp_path / "good.nii")
    refuse(tmp_path / "bad" / name, code, monkeypatch)
    volumes, (problem,) = read_volumes(tmp_path)
    assert len(volumes) == 1
    assert os.strerror(code) in problem.reason


@pytest.mark.parametrize("fault", ["removed", "emptied", "changed", "replaced"])
def test_a_file_that_changes_between_index_and_reading_costs_its_own_line(scans, fault):
    cache = scans.parent / "cache"
    index = build_index(DataConfig(data=scans, modality="mri", cache=cache))
    victim = scans / "p2" / "a.nii"
    if fault == "removed":
        victim.unlink()
    elif fault == "emptied":
        victim.write_bytes(b"")
    elif fault == "changed":
        os.truncate(victim, 600)
    else:
        victim.write_text("not a scan any more")
    slices = build_cache(index, 16, cache)
    assert set(slices.rows["scan"]) == {0, 1, 3}
    (problem,) = slices.problems
    assert problem["path"] == "p2/a.nii"
    assert problem["reason"]
    assert np.isfinite(slices.pictures).all()


LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from medimg_gan.errors import MedimgError
from medimg_gan.imaging import Volume, write_dicom, write_nifti, write_picture

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
folder = Path(sys.argv[1])
array = np.random.default_rng(0).normal(0, 300, (64, 64, 9)).astype(np.float32)
volume = Volume(array, np.eye(4), "mri", "signal")
wide = Volume(np.tile(array, (2, 2, 1)), np.eye(4), "mri", "signal")
written = (
    lambda: write_nifti(volume, folder / "a.nii"),
    lambda: write_nifti(volume, folder / "a.nii.gz"),
    lambda: write_dicom(wide, folder / "d"),
    lambda: write_picture(np.random.default_rng(0).random((256, 256)), folder / "a.png"),
)
for write in written:
    try:
        write()
        print("written")
    except MedimgError as error:
        print(error)
"""


def test_a_disk_that_ends_leaves_no_half_file(tmp_path):
    """A limit of the system stands in for the full disk: the same failing writes."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("cannot be written") == 4, done.stdout
    assert done.stdout.count("fix: free some space") == 4
    assert list(tmp_path.rglob("*")) == []


def test_a_disk_that_fills_while_slices_are_cached_leaves_a_cache_that_goes_on(scans, monkeypatch):
    from medimg_gan.data.slice_file import SliceWriter

    add, calls = SliceWriter.add, []

    def full(self, *args, **options):
        calls.append(1)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return add(self, *args, **options)

    monkeypatch.setattr(SliceWriter, "add", full)
    with pytest.raises(OSError, match="No space left"):
        cached(scans)
    monkeypatch.undo()
    _, slices = cached(scans)
    assert set(slices.rows["scan"]) == {0, 1, 2, 3}
    assert slices.problems == []
