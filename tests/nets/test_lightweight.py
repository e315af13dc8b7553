import pytest
import torch
from torch import nn

from medimg_gan.nets.lightweight import (
    DescribingCritic,
    Descriptions,
    LightweightGenerator,
    SkipLayerExcitation,
)


def test_excitation_scales_whole_channels_of_the_fine_features():
    skip = SkipLayerExcitation(3, 2)
    nn.init.zeros_(skip.excite.weight)
    with torch.no_grad():
        skip.excite.bias.copy_(torch.tensor([0.0, 100.0]))
    fine = torch.randn(2, 2, 16, 16)
    excited = skip(torch.randn(2, 3, 4, 4), fine)
    torch.testing.assert_close(excited[:, 0], fine[:, 0] / 2)  # sigmoid(0)
    torch.testing.assert_close(excited[:, 1], fine[:, 1])


@pytest.mark.parametrize(("size", "gap"), [(32, 2), (64, 3), (128, 4), (512, 4)])
def test_one_rule_for_all_sizes(size, gap):
    generator = LightweightGenerator(8, 2, 1, size, 2, 8)
    assert generator.skip == gap
    with torch.no_grad():
        condition = torch.tensor([[0.0, 1.0]])
        images = generator(torch.randn(1, 8), condition)
        critic = DescribingCritic(2, 1, size, 2, 8)
        scores, _, fine, coarse = critic(images, condition)
        part, whole = Descriptions(1, size, 2, 8)(fine[..., :8, :8], coarse)
    assert images.shape == (1, 1, size, size)
    assert scores.shape == (1,)
    assert (fine.shape[-1], coarse.shape[-1]) == (16, 8)
    assert part.shape == whole.shape == (1, 1, size // 2, size // 2)


def test_every_excitation_matters():
    torch.manual_seed(0)
    generator = LightweightGenerator(8, 1, 1, 64, 4, 8)
    noise, condition = torch.randn(1, 8), torch.ones(1, 1)
    before = generator(noise, condition)
    for skip in generator.excitations:
        with torch.no_grad():
            skip.excite.bias[::2] += 2.0
        after = generator(noise, condition)
        assert not torch.allclose(before, after, atol=1e-4)
        before = after


def test_the_critic_compares_scores_but_describes_each_image_by_itself():
    torch.manual_seed(0)
    critic = DescribingCritic(1, 1, 32, 4, 8)
    image, condition = torch.randn(1, 1, 32, 32), torch.ones(4, 1)
    alike = critic(image.expand(4, -1, -1, -1), condition)
    mixed = critic(torch.cat([image, torch.randn(3, 1, 32, 32)]), condition)
    for features, others in zip(alike[2:], mixed[2:], strict=True):
        torch.testing.assert_close(features[0], others[0])
    assert not torch.allclose(alike.scores[0], mixed.scores[0], atol=1e-3)
