"""Shared fixtures: small volumes, folders of them, and the real data where they are at hand."""

import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True, scope="session")
def few_threads():
    """Test processes share the machine; many threads each would only fight."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real scans; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("MEDIMG_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set MEDIMG_DATA")
    return folder


@pytest.fixture
def nifti_folder(tmp_path: Path) -> Path:
    """Nine patients of two visits each, T1 with masks, every third patient without a tumour."""
    folder = tmp_path / "scans"
    rng = np.random.default_rng(0)
    for patient in range(9):
        for visit in ("Pre", "Post"):
            scan = rng.uniform(50, 100, (16, 20, 5)).astype(np.float32)
            scan[:2], scan[:, :2] = 0, 0
            mask = np.zeros_like(scan)
            if patient % 3:
                mask[5:10, 5:10, 2:4] = 1
            path = folder / f"{patient:02d}"
            path.mkdir(parents=True, exist_ok=True)
            affine = np.diag([-2.0, -2.0, 5.0, 1.0])
            nibabel.save(nibabel.Nifti1Image(scan, affine), path / f"{visit}_Scan_T1.nii.gz")
            nibabel.save(nibabel.Nifti1Image(mask, affine), path / f"{visit}_Mask.nii.gz")
    return folder


@pytest.fixture
def class_folder(tmp_path: Path) -> Path:
    """Pictures in folders named by class: 12 of cat, 6 of dog."""
    folder = tmp_path / "pictures"
    rng = np.random.default_rng(0)
    for label, count in (("cat", 12), ("dog", 6)):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            picture = rng.integers(0, 255, (32, 32), dtype=np.uint8)
            Image.fromarray(picture).save(folder / label / f"{number}.png")
    return folder
