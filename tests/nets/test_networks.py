import copy
import math

import pytest
import torch
from torch import nn

from medimg_gan.errors import ConfigError
from medimg_gan.nets.blocks import (
    MinibatchDeviation,
    MinibatchDiscrimination,
    channel_ladder,
    doublings,
    pixel_norm,
)
from medimg_gan.nets.convolutional import ConvolutionalCritic, ConvolutionalGenerator
from medimg_gan.nets.residual import ProjectionCritic, ResidualGenerator
from medimg_gan.nets.spectral import spectrally_normalised
from medimg_gan.nets.translation import PatchCritic, ResnetGenerator

SIZES = [32, 64, 128]
NORMS_OVER_THE_BATCH = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@pytest.mark.parametrize(("size", "expected"), [(16, 2), (32, 3), (64, 4), (256, 6)])
def test_doublings(size, expected):
    assert doublings(size) == expected


@pytest.mark.parametrize("size", [0, 8, 48, 100])
def test_a_size_that_is_no_power_of_two_is_refused(size):
    with pytest.raises(ConfigError, match="power of two"):
        doublings(size)


def test_channels_double_as_the_side_halves_up_to_the_limit():
    assert channel_ladder(128, 32, 160) == [160, 160, 128, 64, 32]  # at 4, 8, 16, 32, 64


def test_pixel_norm_gives_every_pixel_a_unit_mean_square():
    features = pixel_norm(torch.randn(2, 8, 3, 3) * 50)
    torch.testing.assert_close(features.square().mean(dim=1), torch.ones(2, 3, 3))


def test_minibatch_deviation_in_closed_form():
    features = torch.zeros(8, 2, 3, 3)
    features[:2] = 2.0  # first group of 4: half 2, half 0, deviation 1; second group: all alike
    extended = MinibatchDeviation()(features)
    assert extended.shape == (8, 3, 3, 3)
    torch.testing.assert_close(extended[:, :2], features)
    torch.testing.assert_close(extended[:4, 2], torch.ones(4, 3, 3))
    torch.testing.assert_close(extended[4:, 2], torch.zeros(4, 3, 3), atol=2e-4, rtol=0)


def test_minibatch_deviation_of_an_odd_batch_is_one_group():
    channel = MinibatchDeviation()(torch.randn(6, 2, 3, 3))[:, 2]
    assert len(channel.unique()) == 1


def test_minibatch_discrimination_by_hand():
    layer = MinibatchDiscrimination(2, measures=1, directions=2, group=2)
    with torch.no_grad():
        layer.tensor.copy_(torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]]]))  # M = (a, 2 b)
    features = torch.tensor([[0.0, 0.0], [0.5, 0.25], [9.0, 9.0], [9.0, 9.0]])
    near = layer(features)
    assert torch.equal(near[:, :2], features)
    # |0 - 0.5| + |0 - 2 * 0.25| = 1; the second group holds two equal images.
    torch.testing.assert_close(near[:, 2], torch.tensor([math.exp(-1), math.exp(-1), 1.0, 1.0]))


def test_minibatch_discrimination_does_not_depend_on_the_size_of_a_group_or_where_it_is_cut():
    torch.manual_seed(0)
    layer, alike = MinibatchDiscrimination(8), torch.randn(1, 8)
    for count in (5, 8, 16):
        torch.testing.assert_close(layer(alike.expand(count, -1))[:, 8:], torch.ones(count, 16))
    features = torch.randn(16, 8)
    halves = torch.cat([layer(features[:8]), layer(features[8:])])
    torch.testing.assert_close(layer(features), halves)
    assert torch.equal(layer(features[:1])[:, 8:], torch.zeros(1, 16))  # nobody to be near to


def test_spectral_norm_leaves_the_largest_singular_value_at_one():
    torch.manual_seed(0)
    critic = ProjectionCritic(2, 1, 32, 4, 8)
    with torch.no_grad():
        critic.image.weight.mul_(50)
    spectrally_normalised(critic)
    layers = [part for part in critic.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    assert len(layers) == 1 + 2 * 3 + 3  # the image, two blocks, the head
    for layer in layers:
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
        assert largest.item() == pytest.approx(1, abs=0.05)


def test_spectral_norm_iterates_only_while_its_weight_is_trained():
    torch.manual_seed(0)
    layer = spectrally_normalised(nn.Linear(5, 3))
    norm = layer.parametrizations.weight[0]

    def look():
        before = norm.left.clone()
        layer(torch.randn(2, 5))
        return not torch.equal(before, norm.left)

    with torch.no_grad():
        layer.parametrizations.weight.original.add_(torch.randn(3, 5))
    layer.requires_grad_(False)
    assert not look()
    layer.requires_grad_(True)
    assert not copy.deepcopy(layer).eval()(torch.zeros(1, 5)).isnan().any()
    assert look()
    layer.eval()
    assert not look()


def test_spectral_norm_bears_two_looks_before_the_backward_pass_and_a_second_derivative():
    torch.manual_seed(0)
    layer = spectrally_normalised(nn.Linear(4, 1, bias=False))
    images = torch.randn(3, 4, requires_grad=True)
    first, second = layer(images), layer(2 * images)
    (gradient,) = torch.autograd.grad((first + second).sum(), images, create_graph=True)
    assert gradient.norm(dim=1).tolist() == pytest.approx([3.0] * 3, rel=1e-4)  # |W / sigma| = 1
    gradient.square().sum().backward()
    # That is the same for any weight: its gradient is there, and zero.
    assert layer.parametrizations.weight.original.grad.abs().max() < 1e-4


@pytest.mark.parametrize("size", SIZES)
def test_convolutional_pair_by_size(size):
    generator = ConvolutionalGenerator(10, 2, size, 4, 16)
    images = generator(torch.randn(3, 10))
    assert images.shape == (3, 2, size, size)
    assert ConvolutionalCritic(2, size, 4, 16)(images).shape == (3,)


@pytest.mark.parametrize("size", SIZES)
def test_residual_pair_by_size(size):
    condition = torch.eye(2)[[0, 1, 1]]
    images = ResidualGenerator(10, 2, 3, size, 4, 16)(torch.randn(3, 10), condition)
    assert images.shape == (3, 3, size, size)
    assert ProjectionCritic(2, 3, size, 4, 16)(images, condition).scores.shape == (3,)


@pytest.mark.parametrize("size", SIZES)
def test_resnet_generator_by_size(size):
    images = ResnetGenerator(2, 3, 4, 1)(torch.randn(2, 2, size, size))
    assert images.shape == (2, 3, size, size)


@pytest.mark.parametrize(("layers", "patch"), [(1, 16), (2, 34), (3, 70)])
def test_patch_critic_sees_the_patch_that_it_promises(layers, patch):
    critic = PatchCritic(1, 4, layers)
    convolutions = nn.Sequential(*(part for part in critic.layers if isinstance(part, nn.Conv2d)))
    for part in convolutions:
        nn.init.constant_(part.weight, 1.0)
    images = torch.zeros(1, 1, 128, 128, requires_grad=True)
    scores = convolutions(images)
    centre = scores.shape[-1] // 2
    scores[0, 0, centre, centre].backward()
    assert images.grad is not None
    rows = images.grad[0, 0].abs().sum(dim=1) > 0
    assert int(rows.sum()) == patch


def test_generators_begin_with_images_in_range_and_alive():
    torch.manual_seed(0)
    for images in (
        ConvolutionalGenerator(10, 1, 64, 8, 64)(torch.randn(16, 10)),
        ResidualGenerator(10, 1, 1, 64, 8, 64)(torch.randn(16, 10), torch.ones(16, 1)),
    ):
        assert images.abs().max() <= 1
        assert 0.02 < images.std() < 0.9
        assert images.std(dim=0).mean() > 0.01  # noise matters from the start


def test_critics_begin_with_scores_of_order_one():
    torch.manual_seed(0)
    images, condition = torch.rand(32, 1, 64, 64) * 2 - 1, torch.ones(32, 1)
    for scores in (
        ConvolutionalCritic(1, 64, 16, 128)(images),
        ProjectionCritic(1, 1, 64, 16, 128)(images, condition).scores,
    ):
        assert 0.005 < scores.std() < 20


def test_no_critic_norms_over_the_batch():
    for critic in (
        ConvolutionalCritic(1, 32, 4, 8), ProjectionCritic(2, 1, 32, 4, 8), PatchCritic(1, 4, 2),
    ):  # fmt: skip
        assert not any(isinstance(part, NORMS_OVER_THE_BATCH) for part in critic.modules())


def test_score_of_an_image_does_not_depend_on_its_batch():
    critic = ProjectionCritic(2, 1, 32, 4, 8)
    images, condition = torch.randn(6, 1, 32, 32), torch.eye(2).repeat(3, 1)
    together, alone = critic(images, condition), critic(images[:1], condition[:1])
    torch.testing.assert_close(together.scores[:1], alone.scores)


def test_the_condition_moves_image_and_score():
    noise, (zero, one) = torch.randn(1, 10), torch.eye(2).split(1)
    generator, critic = ResidualGenerator(10, 2, 1, 32, 4, 8), ProjectionCritic(2, 1, 32, 4, 8)
    assert not torch.allclose(generator(noise, zero), generator(noise, one), atol=1e-3)
    image = generator(noise, zero)
    assert not torch.allclose(critic(image, zero).scores, critic(image, one).scores, atol=1e-4)
