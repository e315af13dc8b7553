"""What the recipes for pairs minimise, and what their critics see."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from medimg_gan import losses
from medimg_gan.nets.registration import warped
from medimg_gan.recipes import RECIPES, Spec, TranslationRecipe
from medimg_gan.recipes.pix2pix import Pix2Pix, Pix2PixConfig
from medimg_gan.recipes.reggan import RegGan, RegGanConfig

PAIRED = ["pix2pix", "reggan", "regression"]


def pairs(count=2):
    return {name: torch.rand(count, 1, 32, 32) * 2 - 1 for name in ("source", "target")}


def test_who_needs_pairs():
    kinds = {name: kind for name, kind in RECIPES.items() if issubclass(kind, TranslationRecipe)}
    assert {name for name, kind in kinds.items() if kind.paired} == set(PAIRED)


@pytest.mark.parametrize("name", PAIRED)
def test_a_preview_shows_the_truth_beside_the_translation(name):
    recipe, batch = RECIPES[name](RECIPES[name].Config(width=4), Spec(size=32)), pairs()
    pictures = recipe.preview(batch, 0)
    assert list(pictures) == ["source", "translated", "target"]
    assert torch.equal(pictures["target"], batch["target"])


def test_reggan_compares_what_was_moved():
    recipe, batch = RegGan(RegGanConfig(width=4), Spec(size=32)), pairs()
    nn.init.constant_(recipe.registration.field.bias, 3.0)
    with torch.no_grad():
        fake = recipe.translate(batch["source"])
        moved = warped(fake, torch.full((2, 2, 32, 32), 3.0))
        fool = losses.least_squares(recipe.critic(fake), 1.0)
    expected = fool + 20 * (moved - batch["target"]).abs().mean()
    loss, logs = recipe.generator_loss(batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert logs["generator/smoothness"].item() == 0


def test_the_critic_of_pix2pix_sees_the_source():
    recipe, batch = Pix2Pix(Pix2PixConfig(width=4), Spec(size=32, source_channels=2)), pairs()
    batch["source"] = torch.rand(2, 2, 32, 32)
    seen = []
    recipe.critic.register_forward_pre_hook(lambda _, images: seen.append(images[0]))
    recipe.generator_loss(batch)
    later = {"source": -batch["source"], "target": -batch["target"]}
    recipe.critic_loss(later)
    judged, real, fake = seen
    assert torch.equal(judged[:, :2], batch["source"])
    assert torch.equal(real, torch.cat([later["source"], later["target"]], dim=1))
    assert torch.equal(fake, judged)  # the fake beside the source that it was made from


def test_pix2pix_losses_by_hand():
    recipe, batch = Pix2Pix(Pix2PixConfig(width=4), Spec(size=32)), pairs()
    recipe.critic = nn.Conv2d(2, 1, 1)
    nn.init.zeros_(recipe.critic.weight)
    nn.init.constant_(recipe.critic.bias, 1.5)
    loss, logs = recipe.generator_loss(batch)
    score, softplus = torch.tensor(1.5), F.softplus
    assert logs["generator/fool"].item() == pytest.approx(softplus(-score).item())
    expected = logs["generator/fool"] + 100 * logs["generator/l1"]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    critic, _ = recipe.critic_loss(batch)
    expected = (softplus(-score) + softplus(score)) / 2
    assert critic.item() == pytest.approx(expected.item(), rel=1e-5)
