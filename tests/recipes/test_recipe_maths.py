"""What each recipe promises: its losses, its labels, its schedule."""

import dataclasses

import pytest
import torch
from torch import nn

from medimg_gan.nets.heads import Judgement
from medimg_gan.recipes import RECIPES, Spec
from medimg_gan.recipes.cgan import Cgan, CganConfig
from medimg_gan.recipes.cyclegan import CycleGan, CycleGanConfig
from medimg_gan.recipes.dcgan import Dcgan, DcganConfig
from medimg_gan.recipes.wgan_gp import WganGp, WganGpConfig

SMALL = Spec(channels=1, size=32, classes=("healthy", "tumor"), mirror=True)


class LinearCritic(nn.Module):
    """A critic whose gradient is its weight everywhere."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, images):
        return self.slope * images.flatten(1).sum(dim=1)


class LinearJudge(LinearCritic):
    """The same, as the recipes with a game ask for it."""

    def forward(self, images, claim):
        return Judgement(super().forward(images), images.flatten(1))


class Constant(nn.Module):
    """A generator of one grey level."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(level))

    def forward(self, noise, label=None):
        return self.level.expand(len(noise), 1, 32, 32)


def batch(level=0.0, count=4):
    image = torch.full((count, 1, 32, 32), level)
    return {"image": image, "label": torch.arange(count) % 2}


def test_wgan_critic_loss_in_closed_form():
    recipe = WganGp(WganGpConfig(width=4, augment=0.0), SMALL)
    recipe.critic, recipe.generator = LinearCritic(0.5), Constant(-0.5)
    loss, logs = recipe.critic_loss(batch(0.25))
    # 1024 pixels: scores 128 and -256; |grad| = 0.5 * 32 = 16, penalty 15^2.
    assert logs["critic/gap"].item() == pytest.approx(384)
    assert loss.item() == pytest.approx(10 * 225 - 384)


def test_wgan_takes_five_steps_of_the_critic():
    critic, generator = WganGp(WganGpConfig(width=4), SMALL).phases()
    assert (critic.repeats, generator.repeats) == (5, 1)


@pytest.mark.parametrize(
    ("recipe", "every"),
    [(Dcgan(DcganConfig(width=4, gamma=0.1, augment=0.0), SMALL), 16),
     (Cgan(CganConfig(width=4, widest=8, gamma=0.1, augment=0.0, penalty_every=4), SMALL), 4)],
)  # fmt: skip
def test_lazy_penalty_is_scaled_by_the_steps_it_is_skipped_on(recipe, every):
    critic = LinearJudge if isinstance(recipe, Cgan) else LinearCritic
    recipe.critic, recipe.generator = critic(0.5), Constant(0.0)
    penalty = next(phase for phase in recipe.phases() if phase.name == "penalty")
    loss, _ = penalty.loss(batch())
    gamma = 0.1 * (32 / 64) ** 2
    # |grad|^2 = 256; dcgan has R1 alone, cgan R1 + R2, each with gamma / 2.
    terms = 2 if isinstance(recipe, Cgan) else 1
    assert penalty.every == every
    assert loss.item() == pytest.approx(every * gamma / 2 * 256 * terms)


def test_cgan_generator_wants_what_its_critic_does_not():
    recipe = Cgan(CganConfig(width=4, widest=8, augment=0.0), SMALL)
    recipe.critic, recipe.generator = LinearJudge(0.001), Constant(-0.5)
    critic, _ = recipe.critic_loss(batch(0.5))
    generator, _ = recipe.generator_loss(batch(0.5))
    gap = torch.tensor(0.001 * 1024)  # real ahead of fake
    assert critic.item() == pytest.approx(nn.functional.softplus(-gap).item(), rel=1e-5)
    assert generator.item() == pytest.approx(nn.functional.softplus(gap).item(), rel=1e-5)


def test_the_label_changes_a_cgan_sample_and_only_the_label():
    recipe = Cgan(CganConfig(width=4, widest=8), SMALL)
    noise = torch.randn(3, recipe.latent)
    healthy = recipe.sample(noise, torch.tensor([0, 0, 0]))
    mixed = recipe.sample(noise, torch.tensor([0, 1, 1]))
    torch.testing.assert_close(healthy[0], mixed[0])
    assert (healthy[1:] - mixed[1:]).abs().mean() > 1e-3


def test_a_cgan_with_classes_needs_a_label():
    with pytest.raises(ValueError, match="label"):
        Cgan(CganConfig(width=4, widest=8), SMALL).sample(torch.randn(2, 64))


def test_a_cgan_without_classes_needs_none():
    recipe = Cgan(CganConfig(width=4, widest=8), Spec(size=32))
    assert recipe.sample(torch.randn(2, 64)).shape == (2, 1, 32, 32)
    for phase in recipe.phases():
        assert phase.loss({"image": torch.zeros(2, 1, 32, 32)})[0].isfinite()
    assert recipe.preview({}, 0)["samples"].shape == (64, 1, 32, 32)


def test_cgan_preview_has_rows_of_a_class_with_shared_noise():
    recipe = Cgan(CganConfig(width=4, widest=8), SMALL)
    samples = recipe.preview({}, 0)["samples"]
    assert samples.shape == (64, 1, 32, 32)
    assert not torch.allclose(samples[:32], samples[32:], atol=1e-3)
    nn.init.zeros_(recipe.generator.embed.weight)
    same = recipe.preview({}, 0)["samples"]
    torch.testing.assert_close(same[:32], same[32:])  # without an embedding the classes are equal


def test_cgan_preview_shows_one_noise_a_row_from_a_low_number_to_a_high_one():
    recipe = Cgan(CganConfig(width=4, widest=8), dataclasses.replace(SMALL, numbers=("a", "b")))
    rows = recipe.preview({}, 0)["samples"].unflatten(0, (8, 8))
    noise = torch.randn(4, recipe.latent, generator=torch.Generator().manual_seed(0))
    ends = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    low, high = recipe.sample(noise[:1].repeat(2, 1), torch.tensor([1, 1]), ends)
    torch.testing.assert_close(rows[4, 0], low)
    torch.testing.assert_close(rows[4, -1], high)
    assert not torch.allclose(rows[4], rows[5], atol=1e-3)


@pytest.mark.parametrize("name", [name for name in RECIPES if RECIPES[name].conditional])
def test_a_number_changes_a_sample_and_only_the_number(name):
    torch.manual_seed(0)
    spec = Spec(size=32, numbers=("position",))
    recipe = RECIPES[name](RECIPES[name].Config(width=4, widest=8), spec)
    noise = torch.randn(3, recipe.latent)
    low = recipe.sample(noise, None, torch.tensor([[-0.5], [-0.5], [-0.5]]))
    mixed = recipe.sample(noise, None, torch.tensor([[-0.5], [0.5], [0.5]]))
    torch.testing.assert_close(low[0], mixed[0])
    assert (low[1:] - mixed[1:]).abs().mean() > 1e-3
    with pytest.raises(ValueError, match="position"):
        recipe.sample(noise)
    batch_of_low = {"image": noise, "numbers": torch.full((3, 1), -0.5)}
    torch.testing.assert_close(recipe.sample_like(batch_of_low, noise), low)


@pytest.mark.parametrize("name", ["cgan", "dcgan", "wgan-gp"])
@pytest.mark.parametrize("mirror", [True, False])
def test_mirror_follows_the_data(name, mirror):
    recipe = RECIPES[name](RECIPES[name].Config(), Spec(size=32, mirror=mirror))
    assert recipe.augmentation.mirror is mirror


def test_no_network_of_a_noise_recipe_has_batch_norm():
    for name in ("cgan", "dcgan", "wgan-gp"):
        recipe = RECIPES[name](RECIPES[name].Config(), SMALL)
        assert not any("BatchNorm" in type(part).__name__ for part in recipe.modules())


def cycle_gan():
    return CycleGan(CycleGanConfig(width=4), Spec(size=32))


def unpaired(count=2):
    return {name: torch.rand(count, 1, 32, 32) * 2 - 1 for name in ("source", "target")}


def test_identity_generators_give_zero_cycle_and_identity_loss():
    recipe = cycle_gan()
    recipe.to_target, recipe.to_source = nn.Identity(), nn.Identity()
    loss, logs = recipe.generators_loss(unpaired())
    assert logs["generators/cycle"].item() == 0
    assert logs["generators/identity"].item() == 0
    assert loss.item() == pytest.approx(logs["generators/fool"].item())


def test_cycle_and_identity_have_their_weights():
    recipe = cycle_gan()
    loss, logs = recipe.generators_loss(unpaired())
    fool, cycle, identity = (logs[f"generators/{n}"] for n in ("fool", "cycle", "identity"))
    assert loss.item() == pytest.approx((fool + 10 * cycle + 5 * identity).item(), rel=1e-5)


def test_critics_see_the_fakes_that_the_generators_just_made():
    recipe, seen = cycle_gan(), []
    calls = []
    recipe.to_target.register_forward_hook(lambda *_: calls.append("to_target"))
    recipe.generators_loss(unpaired())
    made = recipe._fakes
    assert made is not None
    before = len(calls)
    recipe.target_critic.register_forward_pre_hook(lambda _, images: seen.append(images[0]))
    recipe.critics_loss(unpaired())
    assert len(calls) == before  # nothing was generated again
    assert torch.equal(seen[0][2:], made[0])  # behind two real images
    assert recipe._fakes is None
    assert recipe.target_count.item() == recipe.source_count.item() == 2


def test_learning_rate_is_constant_then_linear_to_zero():
    factors = [cycle_gan().learning_rate_factor(progress) for progress in (0, 0.25, 0.5, 0.75, 1)]
    assert factors == [1, 1, 1, 0.5, 0]


def test_translate_and_preview_agree():
    recipe, images = cycle_gan().eval(), unpaired()
    pictures = recipe.preview(images, 0)
    assert torch.equal(pictures["source"], images["source"])
    assert torch.equal(pictures["translated"], recipe.translate(images["source"]))
    assert torch.equal(pictures["back"], recipe.to_source(pictures["translated"]))


@pytest.mark.parametrize(
    ("size", "blocks", "layers"), [(32, 6, 1), (64, 6, 2), (128, 6, 3), (256, 9, 3)]
)
def test_cyclegan_nets_follow_the_size(size, blocks, layers):
    recipe = CycleGan(CycleGanConfig(width=4), Spec(size=size))
    assert sum("Resnet" in type(p).__name__ for p in recipe.to_target.modules()) == blocks + 1
    strides = [p.stride for p in recipe.target_critic.modules() if isinstance(p, nn.Conv2d)]
    assert strides.count((2, 2)) == layers


def test_adjacent_slices_are_channels():
    recipe = CycleGan(CycleGanConfig(width=4), Spec(channels=3, size=32))
    assert recipe.translate(torch.zeros(1, 3, 32, 32)).shape == (1, 3, 32, 32)
