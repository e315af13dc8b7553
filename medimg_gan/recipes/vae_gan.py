"""VAE-GAN (Larsen 2016), class-conditional: an autoencoder that a critic's features compare.

==================  =====================================================
here                paper
==================  =====================================================
``encoder``         Enc
``generator``       Dec, which is Gen as well
``critic``          Dis; its features at 16x16 pixels are Dis_l (sec. 2.2)
``encoder_loss``    L_prior + L_llike^Dis_l (Algorithm 1)
``generator_loss``  gamma L_llike^Dis_l - L_GAN
``critic_loss``     L_GAN, with fakes from the encoder's latents and from the prior's
==================  =====================================================

Departs from the paper: classes, the non-saturating loss for Dec, lazy R1, DiffAugment before the
critic, fitted width of L_llike (sigma-VAE, Rybkin 2021), KL warm-up, no batch norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medimg_gan import losses
from medimg_gan.nets.autoencoder import Encoder
from medimg_gan.nets.lightweight import DescribingCritic
from medimg_gan.nets.residual import ResidualGenerator
from medimg_gan.recipes.adaptive import AugmentConfig, AugmentedRecipe
from medimg_gan.recipes.base import Adam, Phase, Spec
from medimg_gan.recipes.conditional import ConditionalRecipe
from medimg_gan.recipes.variational import calibrated_error, divergence_from_prior, drawn

if TYPE_CHECKING:
    from medimg_gan.types import Batch, Logs


@dataclass(frozen=True)
class VaeGanConfig(AugmentConfig):
    """Settings of :class:`VaeGan`."""

    latent: int = 64
    """Length of the latent."""
    width: int = 16
    """Feature channels at half the image's size; doubles with every halving, up to ``widest``."""
    widest: int = 96
    """The most feature channels."""
    learning_rate: float = 4e-4
    """Adam's step, for all networks."""
    likeness: float = 0.5
    """gamma: weight of the likeness of features beside the game, for the generator."""
    beta: float = 1.0
    """Weight of the KL divergence once it is warm."""
    warm_up: float = 0.1
    """Part of the training in which the weight of the KL divergence rises from 0."""
    gamma: float = 0.1
    """Weight of R1 at 64 pixels; grows with the number of pixels."""
    penalty_every: int = 16
    """Steps between penalties; the weight is scaled up by it."""


class VaeGan(AugmentedRecipe, ConditionalRecipe):
    """Images of an asked class from noise; the encoder keeps every training image in reach."""

    Config = VaeGanConfig

    def __init__(self, config: VaeGanConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.latent = config.latent
        shape = (spec.channels, spec.size, config.width, config.widest)
        self.encoder = Encoder(config.latent, *shape)
        self.generator = ResidualGenerator(
            config.latent, self._condition_length, *shape, spherical=False
        )
        self.critic = DescribingCritic(self._condition_length, *shape)
        self.register_buffer("kl_weight", torch.tensor(config.beta))
        self.kl_weight: Tensor

    def phases(self) -> list[Phase]:
        """Critic, its lazy penalty, encoder, generator."""
        return [
            Phase("critic", ("critic",), self.critic_loss),
            Phase("penalty", ("critic",), self.penalty_loss, every=self.config.penalty_every),
            Phase("encoder", ("encoder",), self.encoder_loss),
            Phase("generator", ("generator",), self.generator_loss),
        ]

    def begin_step(self, progress: float) -> None:
        """Warm the KL divergence up."""
        super().begin_step(progress)
        self.kl_weight.fill_(self.config.beta * min(1.0, progress / max(self.config.warm_up, 1e-9)))

    def adam(self, net: str) -> Adam:
        """No momentum, as for ``cgan``."""
        return Adam(self.config.learning_rate, (0.0, 0.99))

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """softplus(-D(x)) + softplus(D(Dec(z))) / 2 + softplus(D(Dec(Enc(x)))) / 2."""
        with torch.no_grad():
            fakes = (self._fake(batch), self._reconstructed(batch))
        real, fake = self._both_scored(batch, *fakes)
        loss = losses.non_saturating_critic(real, fake)
        return loss, {"critic/loss": loss.detach(), **self.judged(real)}

    def penalty_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """R1 = gamma / 2 |grad D(x)|^2, times the steps that it is skipped on."""
        condition, images = self._condition(batch), self.augment(batch["image"])
        penalty = losses.zero_centred_penalty(
            lambda real: self.critic(real, condition).scores, images
        )
        gamma = self.config.gamma * (self.spec.size / 64) ** 2
        return self.config.penalty_every * gamma / 2 * penalty, {"critic/r1": penalty.detach()}

    def encoder_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """L_prior + L_llike, in nats per feature."""
        condition = self._condition(batch)
        mean, log_variance = self.encoder(batch["image"])
        found = self.generator(drawn(mean, log_variance), condition)
        divergence = divergence_from_prior(mean, log_variance)
        error, values = self._unlikeness(found, batch, condition)
        loss = error + self.kl_weight * divergence / values
        return loss, {"encoder/kl": divergence.detach(), "encoder/error": error.detach()}

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """Gamma L_llike + softplus(-D(Dec(z))) / 2 + softplus(-D(Dec(Enc(x)))) / 2."""
        condition = self._condition(batch)
        found = self._reconstructed(batch)
        error, _ = self._unlikeness(found, batch, condition)
        scores = [
            self.critic(self.augment(images), condition).scores
            for images in (self._fake(batch), found)
        ]
        game = losses.non_saturating_generator(torch.cat(scores))
        return self.config.likeness * error + game, {"generator/loss": game.detach()}

    @torch.no_grad()
    def scores(self, batch: Batch) -> Logs:
        """Mean scores of real images and of fakes from the prior, and the share ranked right."""
        return losses.summary(*self._both_scored(batch, self._fake(batch)))

    def _reconstructed(self, batch: Batch) -> Tensor:
        """Dec(Enc(x)), without gradient for Enc."""
        with torch.no_grad():
            latent = drawn(*self.encoder(batch["image"]))
        return self.generator(latent, self._condition(batch))

    def _unlikeness(self, found: Tensor, batch: Batch, condition: Tensor) -> tuple[Tensor, int]:
        """-log p(Dis_l(x)|z) in nats per feature, and the number of features."""
        with torch.no_grad():
            wanted = self.critic(batch["image"], condition).fine
        values = wanted[0].numel()
        return calibrated_error(self.critic(found, condition).fine, wanted) / values, values

    def _both_scored(self, batch: Batch, *fakes: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the real images (N,) and of all fakes, none compared with another kind."""
        condition = self._condition(batch)
        real, *made = [
            self.critic(self.augment(images), condition).scores
            for images in (batch["image"], *fakes)
        ]
        return real, torch.cat(made)
