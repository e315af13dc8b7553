import numpy as np
import pytest

from medimg_gan.errors import ConfigError, ModalityError
from medimg_gan.modalities import DISPLAY, Ct, Mri, Scale, XRay
from medimg_gan.modalities.ct import WINDOWS, window_of
from medimg_gan.recipes.anatomy import AnatomyConfig


def test_the_window_becomes_the_network_range():
    scale = Ct().fit(np.array([-1000.0, 3000.0]), "HU")
    np.testing.assert_allclose(scale.encode([-1000, 250, 1500]), [-1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(scale.encode([-2000, 3000]), [-1, 1])


def test_hounsfield_units_survive_a_round_trip_to_half_a_unit():
    hounsfield = np.arange(-1000, 1501).astype(np.float32)
    scale = Ct().fit(hounsfield, "HU")
    stored = np.round(scale.encode(hounsfield) * 32767).astype(np.int16)
    assert np.abs(scale.decode(stored / 32767) - hounsfield).max() < 0.5


def test_ct_that_was_never_rescaled_is_refused():
    with pytest.raises(ModalityError, match="never rescaled"):
        Ct().fit(np.array([0.0, 4095.0]), "HU")


def test_padding_does_not_move_an_mr_scale():
    rng = np.random.default_rng(0)
    head = rng.uniform(400, 1000, 5000)
    padded = np.concatenate([head, np.zeros(50_000)])
    assert Mri().fit(padded, "signal").high == pytest.approx(Mri().fit(head, "signal").high)


def test_an_mr_scale_follows_the_gain():
    rng = np.random.default_rng(0)
    head = rng.uniform(0, 1000, 5000)
    one, tenfold = Mri().fit(head, "signal"), Mri().fit(10 * head, "signal")
    np.testing.assert_allclose(tenfold.encode(10 * head), one.encode(head), atol=1e-5)


@pytest.mark.parametrize("modality", [Mri(), XRay()])
def test_a_constant_image_is_refused(modality):
    with pytest.raises(ModalityError):
        modality.fit(np.zeros(100), "signal")


@pytest.mark.parametrize("modality", [Ct(), Mri(), XRay()])
def test_display_pictures_keep_their_grey_levels(modality):
    assert modality.fit(np.array([3.0, 77.0]), "display") == DISPLAY


def test_a_scale_inverts_inside_its_range():
    scale = Scale(-50.0, 350.0)
    values = np.linspace(-50, 350, 99)
    np.testing.assert_allclose(scale.decode(scale.encode(values)), values, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "level", "width"),
    [("brain", 40, 80), ("soft", 40, 400), ("bone", 500, 2000), ("lung", -600, 1500)],
)
def test_a_named_window_has_its_level_and_width(name, level, width):
    assert WINDOWS[name] == (level - width / 2, level + width / 2)


@pytest.mark.parametrize("text", [*WINDOWS, "-3000,500"])
def test_air_is_outside_the_body_for_translators_in_every_window(text):
    low, high = window_of(text)
    assert (low, high) == (max(low, -1024), high)
    air = Scale(low, high).encode(np.array(-1000.0))
    assert air < AnatomyConfig().body_threshold - 0.1


def test_values_below_what_twelve_bits_hold_take_nothing_from_the_range():
    assert window_of("lung") == (-1024, 150)
    with pytest.raises(ConfigError, match="above air"):
        window_of("-3000,-1500")


def test_the_full_window_holds_what_twelve_bits_hold_and_the_wide_one_is_the_default():
    assert window_of("full") == (-1024, -1024 + 2**12 - 1)
    assert Ct().window == window_of("wide") == (-1000, 1500)


def test_a_window_may_be_given_by_its_ends():
    assert window_of("-160,240") == (-160, 240)


@pytest.mark.parametrize("text", ["brian", "80", "80,0", "5,5", "1,2,3", "nan,4", "0,inf", ""])
def test_a_window_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="CT window"):
        window_of(text)


def test_a_ct_picture_without_units_is_not_windowed():
    with pytest.raises(ModalityError, match="HU were lost"):
        Ct(window=window_of("brain")).fit(np.array([3.0, 77.0]), "display")


@pytest.mark.parametrize(
    ("modality", "unit"), [(Ct(), "HU"), (Mri(), "signal"), (XRay(), "display")]
)
def test_foreground_is_the_body_without_the_air(modality, unit):
    rng = np.random.default_rng(0)
    air, tissue = (-1000, 40) if unit == "HU" else (0, 200)
    raw = np.where(np.arange(1000) < 700, air, tissue) + np.abs(rng.normal(0, 5, 1000))
    assert np.array_equal(modality.foreground(raw, unit), np.arange(1000) >= 700)
