import contextlib
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import nibabel
import numpy as np
import psutil
import pytest

from medimg_gan.data import decode, slice_file
from medimg_gan.data.cache import build_cache
from medimg_gan.data.chain_settings import ChainConfig
from medimg_gan.data.index import build_index
from medimg_gan.data.settings import DataConfig
from medimg_gan.data.slice_file import JOURNAL, PICTURES
from medimg_gan.data.transforms import STORED_MAX
from medimg_gan.errors import DataError, UnreadableError
from medimg_gan.imaging import read_series
from medimg_gan.modalities import MODALITIES

MASK = "{patient}/{visit}_Mask.nii.gz"


@pytest.fixture
def index(nifti_folder, tmp_path):
    return build_index(DataConfig(data=nifti_folder, mask=MASK, cache=tmp_path / "cache"))


def test_slices_are_those_of_the_volume(index, tmp_path):
    cache = build_cache(index, 20, tmp_path / "cache")
    assert cache.pictures.shape == (18 * 5, 20, 20)
    volume = read_series(index.scans[3].series)
    scale = MODALITIES["mri"].fit(volume.array, "signal")
    rows = cache.rows[cache.rows["scan"] == 3]
    picture = cache.pictures[rows.index[2]] / np.float32(STORED_MAX)
    expected = scale.encode(volume.array[::-1, ::-1, 2].T)
    np.testing.assert_allclose(picture[:, 2:18], expected, atol=1 / 32767)
    assert (picture[:, :2] == -1).all()
    row = rows.iloc[2]
    assert (row["low"], row["high"]) == pytest.approx((scale.low, scale.high))
    assert row["pixel_mm"] == pytest.approx(2.0)


def test_mask_areas_are_in_square_millimetres(index, tmp_path):
    rows = build_cache(index, 32, tmp_path / "cache").rows
    areas = rows.groupby("scan")["area"].apply(list)
    assert areas[2] == [0, 0, 100, 100, 0]  # patient 01: 5 x 5 voxels of 2 x 2 mm
    assert areas[0] == [0] * 5  # patient 00 has none


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Paths of the scans that are decoded, in this process."""
    paths: list[str] = []
    real = decode.slicing_pipeline

    def noted(*args, **more):
        pipeline = real(*args, **more)

        def one(item):
            paths.append("/".join(item["image"][0].split("/")[-2:]))
            return pipeline(item)

        return one

    monkeypatch.setattr(decode, "slicing_pipeline", noted)
    monkeypatch.setattr(decode, "WORTH_WORKERS", 10**9)
    return paths


def test_decoding_happens_once(index, tmp_path, decoded):
    first = build_cache(index, 32, tmp_path / "cache")
    assert len(decoded) == 18
    again = build_cache(index, 32, tmp_path / "cache")
    assert len(decoded) == 18
    assert np.array_equal(first.pictures, again.pictures)
    assert isinstance(again.pictures, np.memmap)
    build_cache(index, 48, tmp_path / "cache")
    assert len(decoded) == 36
    build_cache(index, 32, tmp_path / "cache", chain=ChainConfig(crop="body"))
    assert len(decoded) == 54


def test_only_new_and_changed_scans_are_decoded(index, nifti_folder, tmp_path, decoded):
    build_cache(replace(index, scans=index.scans[4:]), 32, tmp_path / "cache")
    decoded.clear()
    path = nifti_folder / "05" / "Pre_Scan_T1.nii.gz"
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(image.get_fdata()[::-1], image.affine), path)
    grown = build_cache(index, 32, tmp_path / "cache")
    assert decoded == [*(scan.path for scan in index.scans[:4]), "05/Pre_Scan_T1.nii.gz"]
    assert slices_of(grown) == slices_of(build_cache(index, 32, tmp_path / "fresh"))


def slices_of(cache) -> list[tuple]:
    """Everything that a reader of a cache sees, row by row."""
    facts = cache.rows.drop(columns="picture").fillna(-1).itertuples(index=False)
    pictures = cache.pictures[cache.rows["picture"]]
    return [(*fact, picture.tobytes()) for fact, picture in zip(facts, pictures, strict=True)]


def test_a_mask_or_modality_is_part_of_what_is_cached(index, tmp_path, decoded):
    build_cache(index, 32, tmp_path / "cache")
    decoded.clear()
    without = replace(index, scans=[replace(scan, mask=None) for scan in index.scans])
    assert build_cache(without, 32, tmp_path / "cache").rows["area"].isna().all()
    assert len(decoded) == 18
    labelled = replace(index, scans=[replace(scan, label="x") for scan in index.scans])
    assert set(build_cache(labelled, 32, tmp_path / "cache").rows["label"]) == {"x"}
    assert len(decoded) == 18


def test_an_interrupted_build_goes_on_where_it_stopped(index, tmp_path, monkeypatch, decoded):
    real = decode._Scans.__getitem__

    def interrupted(self, number):
        if number == 7:
            raise KeyboardInterrupt
        return real(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(decode._Scans, "__getitem__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build_cache(index, 32, tmp_path / "cache")
    assert len(decoded) == 7
    cache = build_cache(index, 32, tmp_path / "cache")
    assert len(decoded) == 18
    assert slices_of(cache) == slices_of(build_cache(index, 32, tmp_path / "fresh"))


@pytest.mark.parametrize("torn", ["pictures", "journal", "half a picture"])
def test_what_a_kill_left_half_written_is_not_read(index, tmp_path, torn):
    expected = slices_of(build_cache(index, 32, tmp_path / "cache"))
    (place,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    pictures, journal = place / PICTURES, place / JOURNAL
    if torn == "pictures":  # journaled, but cut off: a disk that lied
        os.truncate(pictures, 40 * 32 * 32 * 2)
    elif torn == "journal":
        os.truncate(journal, journal.stat().st_size - 10)
    else:
        with pictures.open("ab") as file:
            file.write(b"half")
        os.truncate(journal, journal.read_bytes()[:-1].rindex(b"\n") + 1)
    assert slices_of(build_cache(index, 32, tmp_path / "cache")) == expected
    assert pictures.stat().st_size == 90 * 32 * 32 * 2


def test_a_killed_process_leaves_a_cache_that_can_be_completed(index, tmp_path):
    process = multiprocessing.get_context("spawn").Process(
        target=_build_and_die, args=(index, 32, tmp_path / "cache")
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    cache = build_cache(index, 32, tmp_path / "cache")
    assert slices_of(cache) == slices_of(build_cache(index, 32, tmp_path / "fresh"))


def _build_and_die(index, size, folder) -> None:
    slice_file.KEPT_AFTER_SECONDS = 0
    decode.WORTH_WORKERS = 10**9
    real = decode._Scans.__getitem__

    def killed(self, number):
        if number == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, number)

    decode._Scans.__getitem__ = killed
    build_cache(index, size, folder)


def test_processes_that_build_at_once_agree(index, tmp_path):
    few = replace(index, scans=index.scans[:4])
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        jobs = [pool.submit(_build, few, 32, tmp_path / "cache") for _ in range(2)]
    assert [job.result() for job in jobs] == [20, 20]
    (pictures,) = (tmp_path / "cache").rglob(PICTURES)
    assert pictures.stat().st_size == 20 * 32 * 32 * 2  # decoded by one of them only


def _build(index, size, folder) -> int:
    return len(build_cache(index, size, folder).rows)


def test_bad_scans_cost_a_line_each(nifti_folder, tmp_path, capsys):
    path = nifti_folder / "03" / "Pre_Scan_T1.nii.gz"
    image = nibabel.load(path)
    values = image.get_fdata()
    values[3, 3, 3] = np.nan
    nibabel.save(nibabel.Nifti1Image(values, image.affine), path)
    mask = nifti_folder / "04" / "Pre_Mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4)), np.eye(4)), mask)
    index = build_index(DataConfig(data=nifti_folder, mask=MASK, cache=tmp_path / "cache"))
    cache = build_cache(index, 32, tmp_path / "cache")
    reasons = {problem["path"]: problem["reason"] for problem in cache.problems}
    assert reasons.keys() == {"03/Pre_Scan_T1.nii.gz", "04/Pre_Scan_T1.nii.gz"}
    assert "NaN" in reasons["03/Pre_Scan_T1.nii.gz"]
    assert "another grid" in reasons["04/Pre_Scan_T1.nii.gz"]
    assert "03/Pre_Scan_T1.nii.gz" in capsys.readouterr().out
    again = build_cache(index, 32, tmp_path / "cache")
    assert again.problems == cache.problems
    for path in (tmp_path / "cache").rglob("*.*"):
        assert not path.is_file() or b"Scan_T1" not in path.read_bytes()
    with pytest.raises(DataError, match="2 scans"):
        build_cache(index, 32, tmp_path / "cache", strict=True)


def test_a_reason_quotes_neither_paths_nor_values(index):
    (path,) = index.scans[0].series.paths
    error = UnreadableError(f"{path}: damaged", observed="ValueError: could not read 'DOE^JANE'")
    refusal = decode._refusal(error, index.scans[0])
    assert refusal.reason == "damaged; ValueError: could not read '...'"


def test_a_disk_that_fails_is_asked_again(index, tmp_path, monkeypatch):
    hidden = tmp_path / "hidden"
    path = index.scans[2].series.paths[0]
    stamp = path.stat()
    path.rename(hidden)
    cache = build_cache(index, 32, tmp_path / "cache")
    assert [problem["path"] for problem in cache.problems] == [index.scans[2].path]
    hidden.rename(path)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert build_cache(index, 32, tmp_path / "cache").problems == []


def test_memory_does_not_grow_with_the_number_of_scans(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    shape, few, many = (192, 192, 40), 16, 64
    peaks = []
    for run, count in enumerate((few, few, many)):  # the first run also warms the allocators up
        data = tmp_path / f"{run}"
        data.mkdir()
        for number in range(count):
            values = np.random.default_rng(number).integers(1, 1000, shape).astype(np.int16)
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), data / f"{number}_t1.nii")
        index = build_index(DataConfig(data=data, cache=tmp_path / "cache"))
        peaks.append(peak_memory_of(lambda one=index: build_cache(one, 32, tmp_path / "cache")))
    one_volume = 4 * np.prod(shape)
    assert peaks[2] - max(peaks[:2]) < (many - few) * one_volume / 4


def peak_memory_of(work) -> float:
    """Bytes of this process and its children while they work, shared pages counted once."""
    peak, done = 0, threading.Event()

    def watch():
        nonlocal peak
        me = psutil.Process()
        while not done.wait(0.05):
            with contextlib.suppress(psutil.Error):
                family = [me, *me.children(recursive=True)]
                peak = max(peak, sum(one.memory_full_info().pss for one in family))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return peak


def test_blank_padding_is_left_out_and_said(nifti_folder, tmp_path, capsys):
    path = nifti_folder / "00" / "Pre_Scan_T1.nii.gz"
    image = nibabel.load(path)
    values = image.get_fdata()
    values[:, :, 4] = 0
    nibabel.save(nibabel.Nifti1Image(values, image.affine), path)
    index = build_index(DataConfig(data=nifti_folder, mask=MASK, cache=tmp_path / "cache"))
    cache = build_cache(index, 32, tmp_path / "cache")
    assert len(cache.rows) == 89
    assert "1 blank" in capsys.readouterr().out
