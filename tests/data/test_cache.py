import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from medimg_gan.data import cache as cache_module
from medimg_gan.data.cache import build_cache
from medimg_gan.data.chain_settings import ChainConfig
from medimg_gan.data.index import build_index
from medimg_gan.data.settings import DataConfig
from medimg_gan.data.transforms import STORED_MAX
from medimg_gan.errors import DataError
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


def test_decoding_happens_once(index, tmp_path, monkeypatch):
    first = build_cache(index, 32, tmp_path / "cache")
    monkeypatch.setattr(cache_module, "_decode_all", lambda *_: pytest.fail("decoded again"))
    again = build_cache(index, 32, tmp_path / "cache")
    assert np.array_equal(first.pictures, again.pictures)
    assert isinstance(again.pictures, np.memmap)


def test_changed_files_or_settings_make_another_cache(index, tmp_path):
    key = cache_module.cache_key(index, 32)
    assert cache_module.cache_key(index, 64) != key
    assert cache_module.cache_key(index, 32, ChainConfig(crop="body")) != key
    os.utime(index.scans[0].series.paths[0], (1, 1))
    assert cache_module.cache_key(index, 32) != key


def test_a_killed_build_leaves_nothing_that_is_read(index, tmp_path, monkeypatch):
    def killed(index, size, chain, folder):
        (folder / "slices.int16").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "_decode_all", killed)
        with pytest.raises(KeyboardInterrupt):
            build_cache(index, 32, tmp_path / "cache")
    assert len(build_cache(index, 32, tmp_path / "cache").rows) == 90


def test_processes_that_build_at_once_agree(index, tmp_path):
    few = replace(index, scans=index.scans[:4])
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        jobs = [pool.submit(_build, few, 32, tmp_path / "cache") for _ in range(2)]
    assert [job.result() for job in jobs] == [20, 20]
    places = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert len(places) == 1


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
    with pytest.raises(DataError, match="2 scans"):
        build_cache(index, 32, tmp_path / "cache", strict=True)


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
