"""Lightweight GAN, "FastGAN" (Liu 2021), class-conditional: quick to learn from few images.

==================  =====================================================
here                paper
==================  =====================================================
``generator``       G, with skip-layer excitation (eq. 2)
``critic``          D, whose features f1 (16x16) and f2 (8x8) are decoded
``descriptions``    the two decoders of D
``reconstruction``  L_recons (eq. 3): a quadrant from f1, the whole image from f2, real ones only
==================  =====================================================

Departs from the paper: classes (a projection critic, an embedding beside the noise), the
relativistic loss of ``cgan`` with R1 and R2 every 4 steps for the hinge loss, a critic that sees
the deviation within its batch, an L1 distance for a perceptual one (its network knows photographs,
not scans), pixel norm for batch norm, no noise inside the generator (a sample is a function of
noise and condition alone), an EMA decay of .995. Gamma is not cgan's: in trials at 32 pixels, on
some 600 axial heads, .02 at every 16th step let the samples of a class become alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from medimg_gan import losses
from medimg_gan.nets.lightweight import (
    DescribingCritic,
    Description,
    Descriptions,
    LightweightGenerator,
)
from medimg_gan.recipes.base import Adam, Phase, Spec
from medimg_gan.recipes.game import Comparison, GameConfig, GameRecipe


@dataclass(frozen=True)
class FastGanConfig(GameConfig):
    """Settings of :class:`FastGan`."""

    latent: int = 64
    """Length of the noise."""
    width: int = 16
    """Feature channels at half the image's size; doubles with every halving, up to ``widest``."""
    widest: int = 96
    """The most feature channels."""
    learning_rate: float = 4e-4
    """Adam's step, for all networks."""
    minibatch: Comparison = "deviation"
    """How the critic compares the images of a batch, which shows it a generator that collapses."""
    reconstruction: float = 0.3
    """Weight of the critic's reconstruction of real images."""


class FastGan(GameRecipe):
    """Images of an asked class from noise; the critic learns to describe what it judges."""

    Config = FastGanConfig
    EMA_DECAY = 0.995

    def __init__(self, config: FastGanConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.latent = config.latent
        image, widths = (spec.channels, spec.size), (config.width, config.widest)
        self.generator = LightweightGenerator(
            config.latent, self._condition_length, *image, *widths
        )
        critic = DescribingCritic(*self._pack_shape, *widths, minibatch=config.minibatch)
        self.critic = self._regular(critic)
        self.descriptions = Descriptions(*self._pack_shape[1:], *widths)

    def phases(self) -> list[Phase]:
        """As the others, but the critic's decoders learn with it."""
        critic, *rest = super().phases()
        return [Phase(critic.name, ("critic", "descriptions"), critic.loss), *rest]

    def adam(self, net: str) -> Adam:
        """No momentum, as for ``cgan``."""
        return Adam(self.config.learning_rate, (0.0, 0.99))

    def ema_half_life(self, batch_size: int) -> float:
        """A decay of .995 a step, in images."""
        return batch_size * math.log(0.5) / math.log(self.EMA_DECAY)

    def _own_terms(self, seen: Tensor, of_real: Description) -> losses.Terms:
        """L_recons of the real images."""
        reconstruction = self._reconstruction(seen, of_real.fine, of_real.coarse)
        return {"critic/reconstruction": (self.config.reconstruction, reconstruction)}

    def _reconstruction(self, images: Tensor, fine: Tensor, coarse: Tensor) -> Tensor:
        """L1 distance of a random quadrant and of the halved whole from what D's features tell."""
        down, right = torch.randint(2, (2,)).tolist()
        part, whole = self.descriptions(_quadrant(fine, down, right), coarse)
        return F.l1_loss(part, _quadrant(images, down, right)) + F.l1_loss(
            whole, F.avg_pool2d(images, 2)
        )


def _quadrant(images: Tensor, down: int, right: int) -> Tensor:
    """One of the four quarters of (N, C, H, W)."""
    height, width = images.shape[-2] // 2, images.shape[-1] // 2
    return images[:, :, down * height :, right * width :][:, :, :height, :width]
