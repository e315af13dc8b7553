import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medimg_gan.data.chain import decode, encode, modality_of
from medimg_gan.data.chain_settings import ChainConfig
from medimg_gan.errors import ConfigError, UnreadableError
from medimg_gan.modalities.ct import WINDOWS

SPACING = (1.0, 1.2, 2.5)
AIR = -1000.0


def head(shape=(48, 40, 16)) -> np.ndarray:
    """A CT head of smooth tissue with a bright rim, in air, off the middle of the field."""
    i, j, k = np.indices(shape)
    radius = np.sqrt(((i - 20) / 14) ** 2 + ((j - 22) / 12) ** 2 + ((k - 8) / 6) ** 2)
    tissue = 30 + 20 * np.cos(i / 8) * np.cos(j / 9)
    rim = 900 * np.exp(-(((radius - 0.85) / 0.12) ** 2))
    return np.where(radius < 1, tissue + rim, AIR).astype(np.float32)


def there_and_back(array, chain, size, modality="ct", unit="HU"):
    encoded = encode(array, SPACING, modality=modality, unit=unit, chain=chain, size=size)
    return decode(encoded.pictures, encoded, encoded.scale, unit)


@settings(deadline=None, max_examples=40)
@given(
    plane=st.sampled_from(["axial", "coronal", "sagittal", "acquired"]),
    crop=st.sampled_from(["none", "body"]),
    margin=st.floats(0, 30),
)
def test_every_voxel_comes_back_where_nothing_was_resampled(plane, crop, margin):
    array = head()
    chain = ChainConfig(plane=plane, crop=crop, margin=margin)
    encoded = encode(array, (1.0, 1.0, 1.0), modality="ct", unit="HU", chain=chain, size=64)
    # In a picture as large as the plane, resizing is nothing either.
    size = max(encoded.frame.rows, encoded.frame.columns)
    encoded = encode(array, (1.0, 1.0, 1.0), modality="ct", unit="HU", chain=chain, size=size)
    back = decode(encoded.pictures, encoded, encoded.scale, "HU")
    np.testing.assert_allclose(back, array, atol=2e-3)  # air was cropped away, and is air again


@pytest.mark.parametrize(
    "chain",
    [
        ChainConfig(spacing=(1.0, 1.0, 1.0)),
        ChainConfig(spacing=(0.0, 0.0, 1.0), plane="coronal"),
        ChainConfig(spacing=(1.5, 1.5, 2.0), plane="sagittal", crop="body"),
        ChainConfig(crop="body", margin=3.0),
        ChainConfig(plane="acquired", window="full"),
    ],
)
def test_every_chain_gives_the_scan_back_within_interpolation(chain):
    array = head()
    back = there_and_back(array, chain, size=96)
    assert back.shape == array.shape
    error = np.abs(back - array)
    edge = np.max([np.abs(np.gradient(array, axis=axis)) for axis in range(3)], axis=0) > 60
    assert error[~edge].mean() < 15
    assert error.mean() < 60


def test_outside_the_crop_there_is_air():
    array = head()
    array[:4] = 55  # a table, say: not the body, cropped away
    chain = ChainConfig(crop="body", margin=0.0, window="brain")
    back = there_and_back(array, chain, size=96)
    assert (back[:4] == AIR).all()
    full = there_and_back(array, ChainConfig(crop="body", margin=0.0, window="full"), size=96)
    assert (full[:4] == AIR).all()


@pytest.mark.parametrize("window", [*WINDOWS, "-1300,-700"])
def test_the_border_of_a_picture_is_air_in_every_window(window):
    chain = ChainConfig(window=window)
    encoded = encode(head(), SPACING, modality="ct", unit="HU", chain=chain, size=64)
    border, corner = encoded.pictures[:, 0, 0], encoded.pictures[:, 8, 63]
    np.testing.assert_allclose(border, encoded.background, atol=1e-6)
    np.testing.assert_allclose(corner, encoded.background, atol=1e-6)


def test_a_narrow_window_keeps_what_lies_in_it_and_clips_the_rest():
    array = head()
    chain = ChainConfig(window="brain")
    encoded = encode(array, (1, 1, 1), modality="ct", unit="HU", chain=chain, size=48)
    back = decode(encoded.pictures, encoded, encoded.scale, "HU")
    np.testing.assert_allclose(back, np.clip(array, *WINDOWS["brain"]), atol=1e-3)


def test_pixels_that_are_too_flat_are_refused_with_what_helps():
    with pytest.raises(UnreadableError, match=r"plane acquired") as caught:
        encode(head(), (5.0, 0.8, 0.8), modality="ct", unit="HU", chain=ChainConfig(), size=32)
    assert "0.8" in caught.value.observed
    for chain in (ChainConfig(plane="acquired"), ChainConfig(spacing=(1.0, 1.0, 1.0))):
        encode(head(), (5.0, 0.8, 0.8), modality="ct", unit="HU", chain=chain, size=32)


def test_pictures_are_turned_as_a_radiologist_looks_at_them():
    spots = {"right": (44, 20, 20), "front": (24, 36, 20), "top": (24, 20, 36)}
    seen = {
        ("axial", "right"): "left",
        ("axial", "front"): "top",
        ("coronal", "right"): "left",
        ("coronal", "top"): "top",
        ("sagittal", "front"): "left",
        ("sagittal", "top"): "top",
    }
    for (plane, spot), side in seen.items():
        array = np.full((48, 40, 40), AIR, np.float32)
        i, j, k = spots[spot]
        array[i - 3 : i + 3, j - 3 : j + 3, k - 3 : k + 3] = 500
        chain = ChainConfig(plane=plane)
        encoded = encode(array, (1, 1, 1), modality="ct", unit="HU", chain=chain, size=48)
        rows, columns = np.nonzero(encoded.pictures.max(axis=0) > 0)
        if side == "left":
            assert columns.mean() < 16
            assert 18 < rows.mean() < 30
        else:
            assert rows.mean() < 16
            assert 18 < columns.mean() < 30


def test_bias_is_corrected_in_mr_alone():
    i = np.linspace(-1, 1, 48)[:, None, None]
    shaded = np.where(head() > AIR, 500 * np.exp(0.3 * i), 0).astype(np.float32)
    chain = ChainConfig(bias_field="n4")

    inside = shaded[:, :, 8] > 0
    inside[:, :18] = inside[:, 26:] = False  # away from the surface

    def spread(chain):
        encoded = encode(
            shaded, (1.0, 1.0, 2.5), modality="mri", unit="signal", chain=chain, size=48
        )
        values = decode(encoded.pictures, encoded, encoded.scale, "signal")[:, :, 8][inside]
        return values.std() / values.mean()

    assert spread(chain) < 0.5 * spread(ChainConfig())
    ct = [
        encode(head(), SPACING, modality="ct", unit="HU", chain=each, size=48).pictures
        for each in (chain, ChainConfig())
    ]
    assert np.array_equal(*ct)


def test_landmarks_are_kept_for_mr_alone_and_only_where_asked_for():
    signal = np.where(head() > AIR, head() + 400, 0).astype(np.float32)
    nyul = ChainConfig(intensity="nyul")

    def landmarks(array, modality, unit, chain):
        return encode(array, SPACING, modality=modality, unit=unit, chain=chain, size=48).landmarks

    assert landmarks(signal, "mri", "signal", nyul).shape == (11,)
    assert landmarks(signal, "mri", "signal", ChainConfig()).size == 0
    assert landmarks(head(), "ct", "HU", nyul).size == 0


def test_the_windows_of_a_chain_reach_ct_alone():
    chain = ChainConfig(window="-50,150")
    assert modality_of("ct", chain).fit(np.array([-1000.0]), "HU").high == 150
    assert modality_of("mri", chain) is modality_of("mri", ChainConfig())


@pytest.mark.parametrize("wrong", [{"window": "brian"}, {"spacing": (1, -1, 1)}, {"margin": -1.0}])
def test_settings_that_no_scan_could_satisfy_are_refused(wrong):
    with pytest.raises(ConfigError):
        ChainConfig(**wrong)


@pytest.mark.parametrize(
    ("asked", "modalities", "flag"),
    [
        ({"bias_field": "n4"}, {"ct"}, "--transform.bias-field n4"),
        ({"intensity": "nyul"}, {"ct", "xray"}, "--transform.intensity nyul"),
        ({"window": "lung"}, {"mri"}, "--transform.window lung"),
    ],
)
def test_a_setting_for_a_modality_that_is_not_there_is_refused(asked, modalities, flag):
    with pytest.raises(ConfigError, match=flag) as caught:
        ChainConfig(**asked).refuse_what_does_nothing(modalities)
    assert caught.value.cause
    ChainConfig(**asked).refuse_what_does_nothing({"mri", "ct"})


def test_a_chain_survives_a_manifest():
    chain = ChainConfig(plane="coronal", spacing=(1.0, 0.0, 2.0), window="bone", crop="body")
    plain = {**vars(chain), "spacing": list(chain.spacing), "of_a_later_version": 1}
    assert ChainConfig.from_plain(plain) == chain
    assert ChainConfig.from_plain({}) == ChainConfig()
