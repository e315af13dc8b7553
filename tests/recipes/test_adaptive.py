"""Adaptive augmentation: p follows the critic's overfitting by the paper's formula."""

import json
from dataclasses import replace

import pytest
import torch

from medimg_gan.apps.common import TrainingConfig
from medimg_gan.apps.options import parse_options
from medimg_gan.apps.training import spec_of
from medimg_gan.engine.loop import Engine
from medimg_gan.engine.runtime import make_fabric
from medimg_gan.engine.settings import EngineConfig, Plan
from medimg_gan.errors import ConfigError
from medimg_gan.recipes import RECIPES, Spec
from medimg_gan.recipes.adaptive import AugmentedRecipe
from medimg_gan.recipes.cgan import Cgan, CganConfig

SPEC = Spec(size=32, classes=("a", "b"), mirror=True, calibrated=False)
SMALL = {"width": 4, "widest": 4}
ENGINE = EngineConfig(accelerator="cpu", precision="32-true", log_every=1)
AUGMENTED = [name for name, kind in RECIPES.items() if issubclass(kind, AugmentedRecipe)]
SURE, LOST = torch.ones(4), torch.tensor([1.0, -1.0, 1.0, -1.0])


def adaptive(spec=SPEC, **settings) -> Cgan:
    """Over 16 images a step, p goes from 0 to 1 in 1,000 images."""
    torch.manual_seed(0)
    config = CganConfig(**SMALL, **{"augment": 0.1, "ada": 0.6, "ada_images": 1000} | settings)
    recipe = Cgan(config, spec)
    recipe.images_per_step = 16
    return recipe


def steps(recipe, margins, count):
    """What p was at the start of each step, in which the critic judged by these margins."""
    seen = []
    for _ in range(count):
        recipe.begin_step(0.0)
        seen.append(recipe.probability.item())
        recipe.judged(margins)
    return seen


def test_p_rises_by_the_paper_s_step_every_four_steps():
    seen = steps(adaptive(), SURE, 9)
    expected = [0.1] * 4 + [0.1 + 16 * 4 / 1000] * 4 + [0.1 + 2 * 16 * 4 / 1000]
    assert seen == pytest.approx(expected)


def test_p_falls_while_the_critic_is_lost_and_stays_at_the_target():
    assert steps(adaptive(), LOST, 5)[-1] == pytest.approx(0.1 - 16 * 4 / 1000)
    at_target = torch.tensor([1.0, 1.0, 1.0, -1.0])  # r_t = 0.5
    assert steps(adaptive(ada=0.5), at_target, 9) == pytest.approx([0.1] * 9)


def test_the_mean_of_four_steps_decides():
    recipe = adaptive()
    for margins in (SURE, SURE, SURE, LOST):  # r_t = 0.75
        steps(recipe, margins, 1)
    recipe.begin_step(0.0)
    assert recipe.probability > 0.1
    assert recipe.verdicts.tolist() == [0, 0]


def test_p_is_kept_between_nothing_and_what_would_leak():
    assert steps(adaptive(), LOST, 20)[-1] == 0
    assert steps(adaptive(), SURE, 80)[-1] == pytest.approx(0.8)


def test_without_a_target_the_chance_is_constant():
    recipe = adaptive(ada=0.0)
    assert steps(recipe, SURE, 9) == pytest.approx([0.1] * 9)
    assert recipe.augmentation.probability == 0.1


def test_margins_count_by_their_sign_alone():
    recipe = adaptive()
    assert recipe.judged(torch.tensor([1e-6, 100.0, 3.0, -1e9]))["augment/overfitting"] == 0.5


def test_two_processes_move_p_as_one_with_both_batches():
    margins = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, -1.0]])  # r_t = 1, 0.5; 0.75
    parts, whole = [adaptive(), adaptive()], adaptive()
    for _ in range(5):
        whole.begin_step(0.0)
        whole.judged(margins.flatten())
        for part, own in zip(parts, margins, strict=True):
            part.begin_step(0.0)
            part.judged(own)
        agreed = torch.stack([part.verdicts for part in parts]).mean(dim=0)  # as the engine does
        for part in parts:
            part.verdicts = agreed.clone()
    assert whole.probability.item() == pytest.approx(0.1 + 16 * 4 / 1000)
    for part in parts:
        assert torch.equal(part.probability, whole.probability)
        assert torch.equal(part.verdicts, whole.verdicts)


def test_steering_never_reads_a_value_from_the_device():
    recipe = adaptive()
    for name in ("probability", "verdicts"):  # reading from "meta" is an error
        setattr(recipe, name, getattr(recipe, name).to("meta"))
    for _ in range(5):
        recipe.begin_step(0.0)
        recipe.judged(torch.ones(4, device="meta"))
    assert recipe.probability.device.type == "meta"


def batch_of(position, count=4):
    random = torch.Generator().manual_seed(position)
    image = torch.rand(count, 1, 32, 32, generator=random) * 2 - 1
    return {"image": image, "label": torch.arange(count) % 2}


def engine(recipe, folder, stream=batch_of, count=6, batch_size=4):
    plan = Plan(steps=count, minutes=None, seed=0, batch_size=batch_size)
    return Engine(make_fabric(ENGINE), recipe, stream, plan, folder, ENGINE)


def after_training_the_critic(recipe, folder, stream, count):
    """What p is when the critic alone has trained, against a generator that stays as it was."""
    training = engine(recipe, folder, stream)
    critic = training.phases[0]
    assert critic.trains == ("critic",)
    for _ in range(count):
        recipe.begin_step(0.0)
        training.run_phase(critic)
    assert recipe.images_per_step == 4  # told by the engine
    return recipe.probability


def test_p_rises_for_a_critic_that_learns_the_images_by_heart(tmp_path):
    recipe = adaptive(learning_rate=2e-3)
    assert after_training_the_critic(recipe, tmp_path, lambda _: batch_of(0), 80) > 0.2


def test_p_falls_for_a_critic_that_cannot_tell_real_from_fake(tmp_path):
    recipe = adaptive(learning_rate=0.0, augment=0.5)
    source = adaptive()  # equal weights

    def own_images(position):
        noise = torch.randn(4, 64, generator=torch.Generator().manual_seed(position))
        label = torch.arange(4) % 2
        with torch.no_grad():
            return {"image": source.sample(noise, label), "label": label}

    assert after_training_the_critic(recipe, tmp_path, own_images, 40) < 0.42


def small(name):
    fields = RECIPES[name].Config.__dataclass_fields__
    config = RECIPES[name].Config(**{key: value for key, value in SMALL.items() if key in fields})
    torch.manual_seed(0)
    return RECIPES[name](replace(config, ada=0.6, ada_images=200, augmentations="all"), SPEC)


@pytest.mark.parametrize("name", AUGMENTED)
def test_it_resumes_between_two_moves_of_p_with_the_same_bits_and_says_p(name, tmp_path):
    undisturbed = engine(small(name), tmp_path / "a")
    undisturbed.fit()
    stopped = engine(small(name), tmp_path / "b")
    for _ in range(3):
        stopped.run_step()
    stopped.save()
    resumed = engine(small(name), tmp_path / "b")
    resumed.fit()
    one, other = resumed.recipe.state_buffers(), undisturbed.recipe.state_buffers()
    assert one.keys() >= {"probability", "verdicts"}
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert one["probability"] != pytest.approx(0.3)
    assert (tmp_path / "a/weights.pt").read_bytes() == (tmp_path / "b/weights.pt").read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "a/metrics.jsonl").read_text().splitlines()]
    assert rows[0]["augment/probability"] == pytest.approx(0.3)
    assert rows[-1]["augment/probability"] == pytest.approx(one["probability"].item())
    assert all(-1 <= row["augment/overfitting"] <= 1 for row in rows)


@pytest.mark.parametrize("name", AUGMENTED)
def test_the_data_say_which_operations_there_are(name):
    def operations(**facts):
        recipe = small(name)
        recipe.spec = Spec(size=32, classes=("a", "b"), **facts)
        return recipe.augmentation

    ct, chest = operations(mirror=True, calibrated=True), operations(calibrated=False)
    assert (ct.brightness, ct.contrast) == (0, 0)
    assert ct.cutout > 0
    assert ct.mirror
    assert chest.brightness > 0
    assert chest.contrast > 0
    assert not chest.mirror


@pytest.mark.parametrize(
    ("modality", "unit", "mirror", "calibrated"),
    [
        ("ct", "HU", True, True),
        ("ct", "display", True, False),
        ("mri", "signal", True, False),
        ("xray", "signal", False, False),
        ("picture", "display", False, False),
    ],
)
def test_a_training_tells_its_recipe_what_the_modality_bears(modality, unit, mirror, calibrated):
    spec = spec_of(TrainingConfig(), modality, unit, ("a",))
    assert (spec.mirror, spec.calibrated) == (mirror, calibrated)


def test_hounsfield_units_are_only_moved_and_cut_out():
    recipe = adaptive(replace(SPEC, calibrated=True), augmentations="all", ada=0.0, augment=1.0)
    still = replace(recipe.augmentation, shift=0.0, zoom=0.0, degrees=0.0, mirror=False)
    levels = torch.tensor([-1.0, 0.0, 0.04, 0.5])
    images = levels[torch.randint(4, (100, 1, 16, 16))]
    assert torch.equal(still(images).mul(1e4).round().unique(), levels.mul(1e4).round())


@pytest.mark.parametrize("setting", ["ada=1.5", "ada=-0.2", "augment=2", "ada_images=0"])
def test_settings_that_mean_nothing_are_refused(setting):
    with pytest.raises(ConfigError, match=setting.split("=")[0]):
        parse_options(CganConfig, (setting,), "cgan")


def test_a_start_above_what_ada_sets_is_refused():
    with pytest.raises(ConfigError, match=r"augment=0\.9"):
        parse_options(CganConfig, ("ada=0.6", "augment=0.9"), "cgan")
    assert parse_options(CganConfig, ("ada=0.6", "augment=0.8"), "cgan").augment == 0.8
    assert parse_options(CganConfig, ("augment=0.9",), "cgan").augment == 0.9
