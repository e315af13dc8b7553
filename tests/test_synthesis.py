"""Translators and generators on whole volumes and slices, in their own units."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from medimg_gan.data.chain import encode
from medimg_gan.data.chain_settings import ChainConfig
from medimg_gan.data.number import Number
from medimg_gan.data.planes import as_picture
from medimg_gan.errors import ConfigError, LabelError
from medimg_gan.imaging import Volume
from medimg_gan.modalities import Ct, Scale
from medimg_gan.modalities.nyul import StandardScale
from medimg_gan.recipes import NoiseRecipe, Spec, TranslationRecipe
from medimg_gan.synthesis import (
    CHUNK,
    Generator,
    Translator,
)


class Identity(TranslationRecipe):
    """Gives back what it is given."""

    def __init__(self, size: int) -> None:
        super().__init__(None, Spec(1, size))
        self.to_target = torch.nn.Linear(1, 1)  # holds the device

    def translate(self, image):
        return image


class Noise(NoiseRecipe):
    """Paints each image with its class and its first noise value."""

    latent = 4
    conditional = True

    def __init__(self) -> None:
        super().__init__(None, Spec(1, 32, ("a", "b")))
        self.generator = torch.nn.Linear(1, 1)

    def sample(self, noise, label=None, numbers=None):
        value = 0.5 * label.float() + 0.1 * torch.tanh(noise[:, 0])
        return value[:, None, None, None].expand(-1, 1, 32, 32)


@pytest.fixture
def generator() -> Generator:
    return Generator(Noise(), ("a", "b"), (30, 10), "mri", "signal", Scale(0.0, 500.0), 2.0)


def ct_volume(shape=(40, 30, 6)) -> Volume:
    rng = np.random.default_rng(0)
    array = np.round(rng.uniform(-1000, 1500, shape)).astype(np.float32)
    affine = np.array([[0.9, 0.1, 0, -7], [-0.1, 0.9, 0, 3], [0, 0, 2.5, 11], [0, 0, 0, 1]])
    return Volume(array, affine, modality="ct", unit="HU", stored="LPS")


def test_an_identity_translator_gives_back_every_hounsfield_unit_and_the_grid():
    volume = ct_volume()
    translator = Translator(Identity(40), "ct", "ct", "HU", Scale(*Ct().window))
    translated = translator.translate(volume)
    assert np.abs(translated.array - volume.array).max() <= 1
    assert np.array_equal(translated.affine, volume.affine)
    assert translated.stored == "LPS"


def test_a_smooth_volume_survives_the_network_size():
    i, j, k = np.meshgrid(*(np.linspace(-1, 1, n) for n in (50, 70, 3)), indexing="ij")
    array = (500 * np.cos(i) * np.cos(2 * j) - 500 + 20 * k).astype(np.float32)
    volume = Volume(array, np.diag([1.0, 1, 3, 1]), modality="ct", unit="HU")
    translator = Translator(Identity(32), "ct", "ct", "HU", Scale(*Ct().window))
    error = np.abs(translator.translate(volume).array - array)
    assert error.mean() < 5
    assert error.max() < 60


class Mean(Identity):
    """Remembers the mean of what it was shown."""

    def translate(self, image):
        self.shown = float(image[image > -0.9].mean())
        return image


CHAINS = [
    ChainConfig(plane="coronal"),
    ChainConfig(plane="sagittal", spacing=(2.0, 1.0, 1.0)),
    ChainConfig(plane="acquired", crop="body", margin=2.0, window="soft"),
    ChainConfig(spacing=(1.3, 1.3, 0.0), crop="body", window="full"),
]


@pytest.mark.parametrize("chain", CHAINS)
def test_whatever_the_chain_a_translation_lies_on_exactly_the_sources_grid(chain):
    volume = ct_volume((24, 30, 20))
    translator = Translator(Identity(32), "ct", "ct", "HU", Scale(-160, 240), chain)
    translated = translator.translate(volume)
    assert translated.array.shape == volume.array.shape
    assert translated.array.dtype == np.float32
    assert np.array_equal(translated.affine, volume.affine)
    assert np.array_equal(translated.array, np.round(translated.array))


def test_a_translated_head_has_air_around_its_crop():
    array = np.full((40, 44, 12), -1000, np.float32)
    array[10:30, 12:30, 3:9] = 40
    volume = Volume(array, np.diag([1.0, 1, 3, 1]), modality="ct", unit="HU")
    chain = ChainConfig(crop="body", margin=0.0, window="brain")
    translated = Translator(Identity(64), "ct", "ct", "HU", Scale(0, 80), chain).translate(volume)
    outside = np.ones(array.shape, bool)
    outside[9:31, 11:31, 2:10] = False
    assert (translated.array[outside] == -1000).all()
    assert np.median(translated.array[12:28, 14:28, 4:8]) == 40


def test_a_translator_sees_mr_on_the_standard_scale_of_its_training():
    rng = np.random.default_rng(0)
    array = np.zeros((32, 32, 4), np.float32)
    array[4:28, 4:28] = rng.uniform(350, 900, (24, 24, 4))
    bent = (array**2 / 900).astype(np.float32)
    chain = ChainConfig(intensity="nyul")
    shown = {}
    own = encode(array, (1, 1, 1), modality="mri", unit="signal", chain=chain, size=32).landmarks
    for name, standard in (("none", None), ("learnt", StandardScale.fit(own[None]))):
        translator = Translator(Mean(32), "mri", "ct", "HU", Scale(-1000, 1500), chain, standard)
        for kind, values in (("plain", array), ("bent", bent)):
            translator.translate(Volume(values, np.eye(4), modality="mri"))
            shown[name, kind] = translator.recipe.shown
    assert abs(shown["learnt", "plain"] - shown["learnt", "bent"]) < 0.02
    assert abs(shown["none", "plain"] - shown["none", "bent"]) > 0.1


@pytest.mark.parametrize("intensity", ["percentile", "nyul"])
def test_a_true_mr_is_held_against_what_the_training_saw_of_it(intensity):
    rng = np.random.default_rng(0)
    array = np.zeros((32, 32, 4), np.float32)
    array[4:28, 4:28] = rng.uniform(350, 900, (24, 24, 4))
    bent = (array**2 / 900).astype(np.float32)
    chain = ChainConfig(intensity=intensity)
    own = encode(array, (1, 1, 1), modality="mri", unit="signal", chain=chain, size=32).landmarks
    standard = StandardScale.fit(own[None]) if intensity == "nyul" else None
    translator = Translator(Identity(32), "ct", "mri", "signal", Scale(0, 800), chain, standard)
    made = [translator.as_made(Volume(values, np.eye(4), modality="mri", unit="signal"))
            for values in (array, 3 * array, bent)]  # fmt: skip
    assert made[1] == pytest.approx(made[0], abs=0.1)
    apart = np.abs(made[2] - made[0])[4:28, 4:28].mean()
    assert apart < 10 if intensity == "nyul" else apart > 40


def test_a_true_mr_is_held_against_what_n4_left_of_it():
    i, j, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in (64, 64, 6)), indexing="ij")
    body = i**2 + j**2 < 0.7
    shaded = (700 * body * np.exp(0.3 * i + 0.2 * j)).astype(np.float32)
    truth = Volume(shaded, np.diag([2.0, 2, 4, 1]), modality="mri", unit="signal")
    spreads = [
        Translator(Identity(64), "ct", "mri", "signal", Scale(0, 800), ChainConfig(bias_field=how))
        .as_made(truth)[body]
        .std()
        for how in ("none", "n4")
    ]
    assert spreads[1] < 0.5 * spreads[0]


def test_ct_numbers_are_what_they_are():
    truth = Volume(np.full((4, 4, 2), 40, np.float32), np.eye(4), modality="ct", unit="HU")
    translator = Translator(Identity(32), "mri", "ct", "HU", Scale(-1000, 1500))
    assert translator.as_made(truth) is truth.array


def test_a_class_gives_its_own_images(generator):
    assert (generator.sample_encoded(5, "b") > generator.sample_encoded(5, "a").max()).all()


def test_samples_are_in_the_modalitys_units(generator):
    encoded, raw = generator.sample_encoded(3, "b", 1), generator.sample(3, "b", 1)
    np.testing.assert_allclose(raw, (encoded + 1) / 2 * 500, rtol=1e-6)


def test_a_longer_set_begins_with_the_shorter(generator):
    many, few = generator.sample(CHUNK + 9, "a", 3), generator.sample(CHUNK + 2, "a", 3)
    np.testing.assert_array_equal(many[: CHUNK + 2], few)
    assert not np.array_equal(many[:5], many[CHUNK : CHUNK + 5])


def test_classes_are_drawn_as_frequent_as_in_training(generator):
    numbers = generator.draw_labels(4000, None, seed=0)
    assert numbers.mean() == pytest.approx(0.25, abs=0.03)


class Ages(Noise):
    """Paints each image with its standardised number."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, numbers=("age",))

    def sample(self, noise, label=None, numbers=None):
        assert numbers is not None
        return numbers[:, 0, None, None, None].expand(-1, 1, 32, 32)


def test_numbers_are_asked_for_in_their_own_unit_or_drawn_by_class(generator):
    age = Number("age", 20.0, 80.0, ((20.0,) * 11, (50.0,) * 11))
    old = replace(generator, recipe=Ages(), numbers=(age,))
    assert (old.sample_encoded(3, numbers={"age": 65.0}) == 0.5).all()
    assert (old.sample_encoded(3, "a") == -1).all()
    assert (old.sample_encoded(3, "b") == 0).all()
    labels = old.draw_labels(CHUNK + 9, None, 4)
    found = old.sample_encoded(CHUNK + 9, None, 4)[:, 0, 0, 0]
    np.testing.assert_array_equal(found, np.array([-1.0, 0.0])[labels])
    with pytest.raises(ConfigError, match="did you mean age"):
        old.sample(1, numbers={"agee": 50})


def test_an_unknown_class_is_named(generator):
    with pytest.raises(LabelError, match="a, b"):
        generator.sample(1, "c")


def test_a_slice_becomes_a_volume_that_looks_the_same(generator):
    image = np.arange(32 * 32, dtype=np.float32).reshape(1, 32, 32)
    volume = generator.as_volume(image)
    assert volume.array.shape == (32, 32, 1)
    np.testing.assert_array_equal(volume.array[::-1, ::-1, 0].T, image[0])
    assert volume.spacing == (2.0, 2.0, 1.0)
    centre = volume.affine @ [15.5, 15.5, 0, 1]
    np.testing.assert_allclose(centre[:3], 0, atol=1e-9)


@pytest.mark.parametrize(
    ("plane", "axis", "codes"), [("coronal", 1, "RSA"), ("sagittal", 0, "ASR")]
)
def test_a_slice_lies_in_the_plane_of_its_training(generator, plane, axis, codes):
    image = np.arange(32 * 32, dtype=np.float32).reshape(1, 32, 32)
    volume = replace(generator, chain=ChainConfig(plane=plane)).as_volume(image)
    assert volume.array.shape[axis] == 1
    assert volume.spacing[axis] == 1
    assert volume.stored == codes
    np.testing.assert_array_equal(as_picture(volume.array), image[0])
    middle = [(count - 1) / 2 for count in volume.array.shape]
    np.testing.assert_allclose((volume.affine @ [*middle, 1])[:3], 0, atol=1e-9)
