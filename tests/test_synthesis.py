from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from medimg_gan.data.chain import encode
from medimg_gan.data.chain_settings import ChainConfig
from medimg_gan.data.number import Number
from medimg_gan.data.planes import as_picture
from medimg_gan.engine.checkpoint import Checkpoints, save_weights
from medimg_gan.errors import CheckpointError, ConfigError, LabelError, RunError
from medimg_gan.imaging import Volume
from medimg_gan.modalities import Ct, Scale
from medimg_gan.modalities.nyul import StandardScale
from medimg_gan.recipes import NoiseRecipe, Spec, TranslationRecipe
from medimg_gan.runs import write_json
from medimg_gan.synthesis import (
    CHUNK,
    Generator,
    Translator,
    build_recipe,
    load_critic,
    load_run,
)

FACTS = {
    "verb": "train-gan",
    "finished": True,
    "recipe": "cgan",
    "options": {"width": 8, "widest": 16},
    "spec": {"channels": 1, "size": 32, "classes": ["a", "b"], "mirror": False},
    "modality": "mri",
    "unit": "signal",
    "scale": {"low": 0.0, "high": 500.0, "pixel_mm": 2.0},
    "class_counts": [30, 10],
}


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


@pytest.fixture
def trained():
    torch.manual_seed(1)
    return build_recipe(FACTS)


@pytest.fixture
def run(tmp_path, trained):
    write_json(tmp_path / "manifest.json", FACTS)
    save_weights(tmp_path / "weights.pt", trained)
    return tmp_path


def test_a_run_is_loaded_with_its_weights(run, trained):
    generator = load_run(run)
    assert isinstance(generator, Generator)
    found = generator.recipe.generator.state_dict()
    for name, value in trained.generator.state_dict().items():
        assert torch.equal(found[name], value)
    assert generator.sample(2, "a").shape == (2, 1, 32, 32)


def test_a_run_brings_its_own_chain_and_standard_scale(run):
    assert load_run(run).chain == ChainConfig()
    chain = {"plane": "coronal", "spacing": [0.0, 0.0, 2.0], "intensity": "nyul"}
    facts = {**FACTS, "transform": chain}
    write_json(run / "manifest.json", facts)
    expected = ChainConfig(plane="coronal", spacing=(0.0, 0.0, 2.0), intensity="nyul")
    assert load_run(run).chain == expected
    landmarks = np.linspace(-0.8, 0.8, 11).tolist()
    facts |= {
        "recipe": "cyclegan",
        "options": {"width": 8},
        "spec": {**FACTS["spec"], "classes": []},
        "source": "mri",
        "target": "ct",
        "standard": landmarks,
    }
    write_json(run / "manifest.json", facts)
    save_weights(run / "weights.pt", build_recipe(facts))
    translator = load_run(run)
    assert isinstance(translator, Translator)
    assert translator.chain == expected
    assert translator.standard == StandardScale(tuple(landmarks))


def test_a_run_brings_its_numbers(run):
    facts = {**FACTS, "spec": {**FACTS["spec"], "numbers": ["age"]}}
    known = Number("age", 20.0, 80.0, ((20.0,) * 11,) * 2, whole=True)
    facts["numbers"] = [asdict(known)]
    write_json(run / "manifest.json", facts)
    with pytest.raises(CheckpointError, match="set of conditions"):
        load_run(run)  # the weights are of a GAN without numbers
    save_weights(run / "weights.pt", build_recipe(facts))
    generator = load_run(run)
    assert isinstance(generator, Generator)
    assert generator.numbers == (known,)
    one, other = (generator.sample_encoded(2, "a", numbers={"age": age}) for age in (20, 80))
    assert np.abs(one - other).mean() > 1e-4


def test_an_unfinished_run_and_another_verbs_are_refused(run):
    write_json(run / "manifest.json", {**FACTS, "finished": False})
    with pytest.raises(RunError, match="not finished"):
        load_run(run)
    write_json(run / "manifest.json", {"verb": "index", "finished": True})
    with pytest.raises(RunError, match="'index'"):
        load_run(run)
    with pytest.raises(RunError, match="not found"):
        load_run(run / "nowhere")


def test_the_best_weights_are_used_unless_the_last_are_asked_for(run, trained):
    torch.manual_seed(2)
    best = build_recipe(FACTS)
    save_weights(run / "weights_best.pt", best, {"step": 1})
    for weights, expected in (("best", best), ("last", trained)):
        found = load_run(run, weights=weights).recipe.generator.state_dict()
        for name, value in expected.generator.state_dict().items():
            assert torch.equal(found[name], value)


# --- the critic ---


def finished_run(folder, **facts):
    """A run folder whose training kept its critic."""
    facts = {**FACTS, **facts}
    recipe = build_recipe(facts)
    write_json(folder / "manifest.json", facts)
    if hasattr(recipe, "critic"):
        state = {"nets": {"critic": recipe.critic.state_dict()}}
        Checkpoints(folder / "checkpoints", keep=1).save(5, state)
    return recipe


def test_a_loaded_critic_scores_slices_for_their_class_as_the_training_did(tmp_path):
    recipe = finished_run(tmp_path).eval()
    images = np.random.default_rng(0).uniform(-1, 1, (70, 1, 32, 32)).astype(np.float32)
    critic = load_critic(tmp_path)
    found = critic(images, 1)
    with torch.inference_mode():
        claim = torch.tensor([[0.0, 1.0]]).expand(70, -1)
        expected = recipe.critic(torch.from_numpy(images), claim).scores.numpy()
    assert found == pytest.approx(expected, abs=1e-5)
    assert not np.allclose(found, critic(images, 0), atol=1e-4)
    assert critic(images[:0], 1).shape == (0,)


def test_a_critic_that_was_told_numbers_judges_each_slice_at_the_one_that_suits_it(tmp_path):
    number = Number("position", 0.0, 1.0, (tuple(np.linspace(0, 1, 11).tolist()),) * 2)
    spec = {**FACTS["spec"], "numbers": ["position"]}
    finished_run(tmp_path, spec=spec, numbers=[asdict(number)])
    critic = load_critic(tmp_path)
    images = np.random.default_rng(0).uniform(-1, 1, (3, 1, 32, 32)).astype(np.float32)
    batch = {"image": torch.from_numpy(images), "label": torch.zeros(3, dtype=torch.long)}
    with torch.inference_mode():
        each = [
            critic.recipe.scores_of({**batch, "numbers": torch.full((3, 1), float(value))})
            for value in np.linspace(-1, 1, 40)
        ]
    found, possible = critic(images, 0), torch.stack(each).numpy()
    assert (found <= possible.max(axis=0) + 1e-4).all()
    assert (found >= np.median(possible, axis=0)).all()


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"recipe": "vae", "options": {}}, "vae has no critic"),
        ({"options": {**FACTS["options"], "pack": 2}}, "judges several slices together"),
        ({"options": {**FACTS["options"], "minibatch": "deviation"}}, "judges several slices"),
    ],
)
def test_a_critic_that_cannot_judge_one_slice_is_refused(tmp_path, facts, message):
    finished_run(tmp_path, **facts)
    with pytest.raises(RunError, match=message):
        load_critic(tmp_path)


def test_a_run_without_checkpoints_has_no_critic(tmp_path):
    write_json(tmp_path / "manifest.json", FACTS)
    with pytest.raises(RunError, match="no checkpoint is left"):
        load_critic(tmp_path)
