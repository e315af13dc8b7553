import pytest
import torch
from torch import nn

from medimg_gan.engine.ema import Ema, decay
from medimg_gan.recipes.base import Recipe, Spec


class Two(Recipe):
    averaged = ("generator",)

    def __init__(self):
        super().__init__(None, Spec())
        self.generator = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
        self.critic = nn.Linear(1, 1)
        self.register_buffer("pool", torch.zeros(2))


def test_half_a_half_life_of_images_keeps_the_square_root_of_a_half():
    assert decay(batch_size=50, half_life=100, images_seen=1e9) == pytest.approx(0.5**0.5)


def test_the_half_life_ramps_up_with_the_images_seen():
    # 0.05 * 1000 = 50 images, shorter than 5000: one batch of 25 is half a half-life
    assert decay(batch_size=25, half_life=5000, images_seen=1000) == pytest.approx(0.5**0.5)
    assert decay(batch_size=16, half_life=5000, images_seen=0) == 0.0


def test_the_average_is_the_weighted_sum_of_old_and_new():
    recipe = Two()
    ema = Ema(recipe)
    weight = ema.recipe.generator[0].weight
    weight.fill_(2.0)
    with torch.no_grad():
        recipe.generator[0].weight.fill_(10.0)
    recipe.generator[1].running_mean.fill_(7.0)
    ema.update(dict(recipe.named_children()), 0.75)
    assert weight.item() == pytest.approx(0.75 * 2 + 0.25 * 10)
    assert ema.recipe.generator[1].running_mean.item() == 7.0  # statistics are copied
    ema.update(dict(recipe.named_children()), 0.0)
    assert weight.item() == 10.0


def test_refresh_brings_critics_and_buffers_but_not_averages():
    recipe = Two()
    ema = Ema(recipe)
    with torch.no_grad():
        for weight in recipe.parameters():
            weight.fill_(5.0)
    recipe.pool.fill_(3.0)
    ema.refresh(recipe, dict(recipe.named_children()))
    assert ema.recipe.critic.weight.item() == 5.0
    assert ema.recipe.pool.tolist() == [3.0, 3.0]
    assert ema.recipe.generator[0].weight.item() != 5.0
    recipe.pool.fill_(4.0)
    assert ema.recipe.pool.tolist() == [3.0, 3.0]  # a copy, not the same tensor


def test_the_average_needs_no_gradient_and_is_in_eval_mode():
    ema = Ema(Two())
    assert not any(weight.requires_grad for weight in ema.recipe.parameters())
    assert not any(module.training for module in ema.recipe.modules())
