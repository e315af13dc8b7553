"""Physics of the phantom: the signal equation, the tissue tables, the noise."""

from __future__ import annotations

import numpy as np
import pytest

from medimg_gan.imaging.phantom_signal import (
    CT_NOISE,
    SEQUENCES,
    Sequence,
    Weighting,
    bias_field,
    ct_image,
    mr_image,
    spin_echo,
)
from medimg_gan.imaging.phantom_tissue import TISSUES, Tissue


def only(tissue: Tissue, size: tuple[int, int, int] = (24, 24, 6)) -> np.ndarray:
    fractions = np.zeros((len(Tissue), *size), np.float32)
    fractions[tissue] = 1
    return fractions


def test_spin_echo_at_values_worked_out_by_hand():
    # PD 0.8, TR = T1: 1 - 1/e; TE = T2 ln 2: half is left.
    signal = spin_echo(0.8, 500, 100, Sequence(500, 100 * np.log(2)))
    assert signal == pytest.approx(0.8 * 0.6321206 * 0.5, abs=1e-6)
    # White matter, T1 weighted: 0.77 (1 - exp(-1)) exp(-12/70) = 0.41006
    white = TISSUES[Tissue.WHITE]
    signal = spin_echo(white.density, white.t1, white.t2, SEQUENCES["t1"])
    assert signal == pytest.approx(0.41006, abs=1e-4)


def test_spin_echo_tends_to_proton_density_and_to_nothing():
    assert spin_echo(0.9, 800, 80, Sequence(1e6, 0)) == pytest.approx(0.9)
    assert spin_echo(0.9, 800, 80, Sequence(1e6, 1e5)) == pytest.approx(0)
    assert spin_echo(0.9, 800, 80, Sequence(0, 0)) == 0


def test_t1_and_t2_weighting_order_the_tissues_as_every_radiologist_expects():
    def signal(tissue: Tissue, weighting: Weighting) -> float:
        properties = TISSUES[tissue]
        return spin_echo(properties.density, properties.t1, properties.t2, SEQUENCES[weighting])

    by_t1 = [Tissue.FAT, Tissue.WHITE, Tissue.GREY, Tissue.FLUID, Tissue.AIR]
    by_t2 = [Tissue.FLUID, Tissue.OEDEMA, Tissue.GREY, Tissue.WHITE, Tissue.AIR]
    orders: dict[Weighting, list[Tissue]] = {"t1": by_t1, "t2": by_t2}
    for weighting, order in orders.items():
        signals = [signal(tissue, weighting) for tissue in order]
        assert signals == sorted(signals, reverse=True)


@pytest.mark.parametrize("tissue", [t for t in Tissue if t != Tissue.AIR])
def test_ct_mean_of_a_pure_tissue_is_its_table_value(tissue: Tissue):
    image = ct_image(only(tissue), np.random.default_rng(tissue))
    # 3456 correlated voxels of sd 8: the mean is good to about 0.4 HU.
    assert image.mean() == pytest.approx(TISSUES[tissue].hounsfield, abs=2)
    assert 0.5 * CT_NOISE < image.std() < 1.2 * CT_NOISE


def test_ct_noise_is_correlated_between_neighbours_but_not_across_slices():
    image = ct_image(only(Tissue.WHITE, (64, 64, 8)), np.random.default_rng(0)) - 30
    across = np.corrcoef(image[1:].ravel(), image[:-1].ravel())[0, 1]
    along = np.corrcoef(image[..., 1:].ravel(), image[..., :-1].ravel())[0, 1]
    assert across > 0.1
    assert abs(along) < 0.05


def test_ct_mixes_a_voxel_by_volume():
    half = 0.5 * only(Tissue.BONE) + 0.5 * only(Tissue.FAT)
    assert ct_image(half, np.random.default_rng(0)).mean() == pytest.approx(555, abs=2)


def test_ct_values_are_whole_and_within_the_range_of_a_scanner():
    for tissue in (Tissue.AIR, Tissue.BONE):
        image = ct_image(only(tissue), np.random.default_rng(1))
        assert np.array_equal(image, np.rint(image))
        assert image.min() >= -1024
        assert image.max() <= 3071


def test_mr_background_is_rayleigh():
    image = mr_image(only(Tissue.AIR, (48, 48, 12)), np.random.default_rng(2), "t1")
    # Mean / sd of a Rayleigh variable is sqrt(pi / (4 - pi)) = 1.913, whatever its scale.
    assert image.mean() / image.std() == pytest.approx(1.913, rel=0.03)


def test_mr_ratio_of_two_tissues_is_that_of_their_signals():
    images = [
        mr_image(only(tissue, (32, 32, 8)), np.random.default_rng(3), "t1")
        for tissue in (Tissue.WHITE, Tissue.GREY)
    ]
    white, grey = TISSUES[Tissue.WHITE], TISSUES[Tissue.GREY]
    expected = spin_echo(white.density, white.t1, white.t2, SEQUENCES["t1"]) / spin_echo(
        grey.density, grey.t1, grey.t2, SEQUENCES["t1"]
    )
    assert images[0].mean() / images[1].mean() == pytest.approx(expected, rel=0.01)


def test_bias_field_is_smooth_positive_and_differs_between_patients():
    field = bias_field((32, 40, 8), np.random.default_rng(4))
    assert np.median(field) == pytest.approx(1, abs=1e-3)
    assert field.min() > 0.2
    assert np.abs(np.diff(field, axis=0)).max() < 0.1
    assert not np.allclose(field, bias_field((32, 40, 8), np.random.default_rng(5)))
