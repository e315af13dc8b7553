"""What a trained run brings when it is loaded, and when it is refused."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from medimg_gan.data.chain_settings import ChainConfig
from medimg_gan.data.number import Number
from medimg_gan.engine.checkpoint import Checkpoints, save_weights
from medimg_gan.errors import CheckpointError, RunError
from medimg_gan.modalities.nyul import StandardScale
from medimg_gan.runs import write_json
from medimg_gan.synthesis import (
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
