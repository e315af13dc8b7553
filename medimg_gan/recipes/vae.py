"""A class-conditional variational autoencoder: what stands beside the GANs for comparison.

==================  =====================================================
here                papers
==================  =====================================================
``encoder``         q(z|x) (Kingma & Welling 2014)
``generator``       p(x|z, y), the decoder
``loss``            -ELBO = -log p(x|z, y) + beta KL(q(z|x) || N(0, 1)) (eq. 3)
``kl_weight``       beta, which rises from 0 to 1 (Bowman 2016, sec. 3.1)
==================  =====================================================

The width of p(x|z, y) is fitted (sigma-VAE, Rybkin 2021), so no weight is to be tuned. Departs from
the papers: convolutional networks (the decoder is the generator of ``cgan``), a decoder that knows
the class, training images that are moved a little, and mirrored where the anatomy allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medimg_gan.augmentations import DiffAugment
from medimg_gan.nets.autoencoder import Encoder
from medimg_gan.nets.residual import ResidualGenerator
from medimg_gan.recipes.base import Adam, Phase, Spec
from medimg_gan.recipes.conditional import ConditionalRecipe
from medimg_gan.recipes.variational import calibrated_error, divergence_from_prior, drawn

if TYPE_CHECKING:
    from medimg_gan.types import Batch, Logs


@dataclass(frozen=True)
class VaeConfig:
    """Settings of :class:`Vae`."""

    latent: int = 64
    """Length of the latent."""
    width: int = 16
    """Feature channels at half the image's size; doubles with every halving, up to ``widest``."""
    widest: int = 96
    """The most feature channels."""
    learning_rate: float = 1e-3
    """Adam's step, for both networks."""
    beta: float = 1.0
    """Weight of the KL divergence once it is warm; 1 is the ELBO."""
    warm_up: float = 0.25
    """Part of the training in which the weight of the KL divergence rises from 0."""
    augment: float = 0.5
    """Chance that a training image is moved a little; the samples show such moves, too."""


class Vae(ConditionalRecipe):
    """Images of an asked class from noise, without a critic."""

    Config = VaeConfig

    def __init__(self, config: VaeConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.latent = config.latent
        shape = (spec.channels, spec.size, config.width, config.widest)
        self.encoder = Encoder(config.latent, *shape)
        self.generator = ResidualGenerator(
            config.latent, self._condition_length, *shape, spherical=False
        )
        self.augmentation = DiffAugment(
            config.augment, spec.mirror, shift=0.03, zoom=0.03, degrees=3.0
        )
        self.register_buffer("kl_weight", torch.tensor(config.beta))
        self.kl_weight: Tensor

    def phases(self) -> list[Phase]:
        """Both networks at once."""
        return [Phase("autoencoder", ("encoder", "generator"), self.loss)]

    def begin_step(self, progress: float) -> None:
        """Warm the KL divergence up."""
        self.kl_weight.fill_(self.config.beta * min(1.0, progress / max(self.config.warm_up, 1e-9)))

    def adam(self, net: str) -> Adam:
        """The usual betas."""
        return Adam(self.config.learning_rate, (0.9, 0.99))

    def learning_rate_factor(self, progress: float) -> float:
        """Constant, then linear to a tenth in the second half."""
        return 1.0 if progress < 0.5 else 1.0 - 1.8 * (progress - 0.5)

    def loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """-ELBO in nats per value of an image."""
        images = self.augmentation(batch["image"])
        error, divergence, values = self._bound(images, self._condition(batch))
        loss = (error + self.kl_weight * divergence) / values
        return loss, {"vae/error": error.detach(), "vae/kl": divergence.detach()}

    @torch.no_grad()
    def scores(self, batch: Batch) -> Logs:
        """The ELBO's terms: far worse on held-out images means that training images are learnt."""
        error, divergence, _ = self._bound(batch["image"], self._condition(batch))
        return {"vae/error": error, "vae/kl": divergence, "vae/elbo": -(error + divergence)}

    def _bound(self, images: Tensor, condition: Tensor) -> tuple[Tensor, Tensor, int]:
        """-log p(x|z, y) and KL in nats per image, and the values in an image."""
        mean, log_variance = self.encoder(images)
        found = self.generator(drawn(mean, log_variance), condition)
        divergence = divergence_from_prior(mean, log_variance)
        return calibrated_error(found, images), divergence, images[0].numel()
