import pytest
import torch

from medimg_gan.metrics.equivariance import moved_by, translation_equivariance
from medimg_gan.nets.alias_free import AliasFreeGenerator
from medimg_gan.nets.blocks import SMALLEST
from medimg_gan.nets.convolutional import ConvolutionalGenerator

LATENT = 16


@pytest.mark.parametrize("size", [16, 32, 64, 512])
def test_one_rule_for_all_sizes(size):
    torch.manual_seed(0)
    generator = AliasFreeGenerator(LATENT, 2, 1, size, 4, 8)
    with torch.no_grad():
        images = generator(torch.randn(1, LATENT), torch.tensor([[0.0, 1.0]]))
    assert images.shape == (1, 1, size, size)
    assert 0.02 < images.std() < 0.9


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("pixels", [(0.5, 0.5), (2.3, -1.7)])
@torch.no_grad()
def test_it_moves_with_its_input_where_the_dcgan_generator_does_not(seed, pixels):
    """DCGAN has no position to move but its first feature map's: that moves by parts of a cell."""
    torch.manual_seed(seed)
    size, condition = 64, torch.ones(4, 1)
    noise = torch.randn(4, LATENT)
    ours = AliasFreeGenerator(LATENT, 1, 1, size, 8, 16)
    shift = (pixels[0] / size, pixels[1] / size)
    images, shifted = ours(noise, condition), ours(noise, condition, shift=shift)
    found = translation_equivariance(images, shifted, pixels)
    layers = ConvolutionalGenerator(LATENT, 1, size, 8, 16).layers
    first, rest = layers[:3](noise[:, :, None, None]), layers[3:]
    cells = (pixels[0] * SMALLEST / size, pixels[1] * SMALLEST / size)
    still, moved = torch.tanh(rest(first)), torch.tanh(rest(moved_by(first, cells)))
    assert found > 40
    assert found > 20 + translation_equivariance(still, moved, pixels)
