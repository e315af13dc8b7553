"""What the later recipes promise: reconstruction, the evidence bound, growth."""

import math

import pytest
import torch
from torch import nn

from medimg_gan.engine.checkpoint import load_weights, save_weights
from medimg_gan.errors import ConfigError
from medimg_gan.recipes import RECIPES, Spec
from medimg_gan.recipes.fastgan import FastGan, FastGanConfig
from medimg_gan.recipes.progressive import Progressive, ProgressiveConfig
from medimg_gan.recipes.vae import Vae, VaeConfig
from medimg_gan.recipes.vae_gan import VaeGan, VaeGanConfig
from medimg_gan.recipes.variational import calibrated_error, divergence_from_prior, drawn

SMALL = Spec(channels=1, size=32, classes=("healthy", "tumor"), mirror=True)
CONDITIONAL = [name for name in RECIPES if name != "cgan" and RECIPES[name].conditional]


def batch(count=4):
    return {"image": torch.rand(count, 1, 32, 32) * 2 - 1, "label": torch.arange(count) % 2}


@pytest.mark.parametrize("name", CONDITIONAL)
def test_the_label_changes_a_sample_and_only_the_label(name):
    torch.manual_seed(0)
    recipe = RECIPES[name](RECIPES[name].Config(width=4, widest=8), SMALL)
    noise = torch.randn(3, recipe.latent)
    healthy = recipe.sample(noise, torch.tensor([0, 0, 0]))
    mixed = recipe.sample(noise, torch.tensor([0, 1, 1]))
    torch.testing.assert_close(healthy[0], mixed[0])
    assert (healthy[1:] - mixed[1:]).abs().mean() > 1e-3
    with pytest.raises(ValueError, match="label"):
        recipe.sample(noise)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_no_batch_norm_and_no_mirror_that_the_anatomy_forbids(name):
    recipe = RECIPES[name](RECIPES[name].Config(width=4, widest=8), Spec(size=32, mirror=False))
    assert not any("BatchNorm" in type(part).__name__ for part in recipe.modules())
    assert recipe.augmentation.mirror is False


def test_fastgan_reconstructs_what_it_sees():
    class Looks(nn.Module):
        """Decoders that know the answer: features are the image at 16 and at 8 pixels."""

        def forward(self, fine, coarse):
            return fine, coarse

    recipe = FastGan(FastGanConfig(width=4, widest=8), SMALL)
    recipe.descriptions = Looks()
    images = torch.randn(2, 1, 32, 32)
    halved = nn.functional.avg_pool2d(images, 2)
    for seed in range(8):  # whichever quadrant is drawn
        torch.manual_seed(seed)
        assert recipe._reconstruction(images, images, halved).item() == 0
        torch.manual_seed(seed)
        assert recipe._reconstruction(images, images, halved + 0.5).item() == pytest.approx(0.5)


def test_fastgan_reconstruction_has_its_weight_and_ema_its_decay():
    found = []
    for weight in (0.0, 2.0):
        torch.manual_seed(0)
        config = FastGanConfig(width=4, widest=8, reconstruction=weight, augment=0.0)
        recipe, data = FastGan(config, SMALL), batch()
        found.append(recipe.critic_loss(data))
    (game, logs), (both, _) = found
    assert both.item() == pytest.approx(game.item() + 2 * logs["critic/reconstruction"].item())
    assert 0.5 ** (16 / recipe.ema_half_life(16)) == pytest.approx(0.995)


def test_divergence_from_the_prior_is_torchs_own():
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(divergence_from_prior(mean, log_variance), expected.sum(1).mean())
    many = drawn(torch.full((20_000, 1), 3.0), torch.full((20_000, 1), math.log(4.0)))
    assert many.mean().item() == pytest.approx(3.0, abs=0.1)
    assert many.std().item() == pytest.approx(2.0, abs=0.1)


def test_calibrated_error_is_the_likelihood_at_its_best_width():
    wanted, found = torch.zeros(2, 1, 4, 4), torch.full((2, 1, 4, 4), 0.3)
    likelihood = [
        torch.distributions.Normal(found, width).log_prob(wanted).sum().item() / 2
        for width in (0.25, 0.3, 0.35)
    ]
    assert max(likelihood) == likelihood[1]
    assert calibrated_error(found, wanted).item() == pytest.approx(-likelihood[1], rel=1e-3)


def test_vae_loss_is_the_bound_and_warms_up():
    recipe = Vae(VaeConfig(width=4, widest=8, warm_up=0.5, augment=0.0), SMALL)
    for progress, expected in ((0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (0.9, 1.0)):
        recipe.begin_step(progress)
        assert recipe.kl_weight.item() == pytest.approx(expected)
    recipe.begin_step(0.25)
    loss, logs = recipe.loss(batch())
    bound = logs["vae/error"] + 0.5 * logs["vae/kl"]
    assert loss.item() == pytest.approx(bound.item() / 1024, rel=1e-5)


def test_vae_gan_has_its_kl_weight_and_its_likeness():
    recipe = VaeGan(VaeGanConfig(width=4, widest=8, warm_up=0.5, likeness=0.0), SMALL)
    data = batch()
    recipe.begin_step(0.0)
    loss, logs = recipe.encoder_loss(data)
    assert loss.item() == pytest.approx(logs["encoder/error"].item())
    loss, logs = recipe.generator_loss(data)
    assert loss.item() == pytest.approx(logs["generator/loss"].item())


def test_progressive_grows_in_equal_times_that_fade_and_stay():
    recipe = Progressive(ProgressiveConfig(width=4, widest=8, grown_at=0.6), SMALL)
    assert recipe.stage == 3.0  # fresh weights are sampled at the full size
    stages = []
    for progress in (0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.45, 0.5, 0.6, 1.0):
        recipe.begin_step(progress)
        stages.append(recipe.stage)
    assert stages == pytest.approx([1, 1, 1, 1.5, 2, 2, 2.5, 3, 3, 3], abs=1e-6)


def test_weights_of_a_pair_that_has_not_grown_are_sampled_as_they_were(tmp_path):
    torch.manual_seed(0)
    young, loaded = (Progressive(ProgressiveConfig(width=4, widest=8), SMALL) for _ in range(2))
    young.begin_step(0.2)
    save_weights(tmp_path / "weights.pt", young)
    load_weights(tmp_path / "weights.pt", loaded)
    assert loaded.stage == pytest.approx(young.stage)
    noise, label = torch.randn(2, 64), torch.tensor([0, 1])
    torch.testing.assert_close(loaded.sample(noise, label), young.sample(noise, label))


@pytest.mark.parametrize("part", [0.0, -1.0, 2.0])
def test_a_pair_that_would_never_be_whole_is_refused(part):
    with pytest.raises(ConfigError, match="grown_at"):
        Progressive(ProgressiveConfig(width=4, widest=8, grown_at=part), SMALL)


def test_progressive_trains_small_and_shows_the_full_size():
    recipe = Progressive(ProgressiveConfig(width=4, widest=8), SMALL)
    recipe.begin_step(0.0)
    assert recipe._fake(batch()).shape == (4, 1, 8, 8)
    assert recipe.sample(torch.randn(2, 64), torch.tensor([0, 1])).shape == (2, 1, 32, 32)
    for phase in recipe.phases():
        assert phase.loss(batch())[0].isfinite()
