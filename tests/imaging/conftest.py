from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medimg_gan.imaging import Volume


def rotation(degrees_x: float, degrees_z: float) -> np.ndarray:
    x, z = np.radians([degrees_x, degrees_z])
    about_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    about_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    return np.array(about_x) @ np.array(about_z)


@pytest.fixture(scope="session")
def make_volume():
    """A small scan with unlike axes, so that every mix-up of axes shows."""

    def make(modality="ct", unit="", shape=(7, 6, 5), tilt=(0.0, 0.0), stored="RAS", seed=0):
        rng = np.random.default_rng(seed)
        unit = unit or ("HU" if modality == "ct" else "signal")
        low, high = (-1024, 3071) if unit == "HU" else (0, 255 if unit == "display" else 4000)
        array = rng.integers(low, high, shape).astype(np.float32)
        affine = np.eye(4)
        affine[:3, :3] = rotation(*tilt) * (0.7, 0.8, 2.5)
        affine[:3, 3] = -31.25, -17.123456789, -40.5
        return Volume(array, affine, modality, unit, stored)

    return make


@pytest.fixture(scope="session")
def reader_data(real_data: Path) -> Path:
    """The real files of other readers' projects; see the README of the data."""
    return real_data / "reader"
