import pytest
import torch

from medimg_gan.nets.autoencoder import Encoder
from medimg_gan.nets.residual import ResidualGenerator


@pytest.mark.parametrize("size", [32, 64])
def test_the_encoder_begins_near_the_prior(size):
    torch.manual_seed(0)
    mean, log_variance = Encoder(6, 2, size, 4, 8)(torch.rand(5, 2, size, size) * 2 - 1)
    assert mean.shape == log_variance.shape == (5, 6)
    assert mean.abs().max() < 2
    assert log_variance.abs().max() < 2


def test_the_log_variance_is_bounded_whatever_the_image():
    _, log_variance = Encoder(6, 1, 32, 4, 8)(1e6 * torch.randn(2, 1, 32, 32))
    assert log_variance.abs().max() <= 8


@pytest.mark.parametrize("spherical", [True, False])
def test_a_decoder_sees_the_length_of_its_latent(spherical):
    torch.manual_seed(0)
    generator = ResidualGenerator(6, 1, 1, 32, 4, 8, spherical=spherical)
    latent, condition = torch.randn(1, 6), torch.ones(1, 1)
    same = torch.allclose(generator(latent, condition), generator(3 * latent, condition), atol=1e-4)
    assert same is spherical
