"""CycleGAN (Zhu, Park, Isola & Efros 2017): unpaired translation.

==================  =====================================================
here                paper
==================  =====================================================
``source, target``  X, Y
``to_target``       G: X -> Y
``to_source``       F: Y -> X
``target_critic``   D_Y
``source_critic``   D_X
``cycle_weight``    lambda = 10
``identity_weight`` 0.5 lambda (sec. 5.2, L_identity)
==================  =====================================================

Departs from the paper: nearest upsampling + convolution instead of transposed convolution (no
checkerboards), half its width by default (for a CPU), the critic's patch shrinks with images
below 128 pixels, and samples come from a moving average of the generators. Images of k channels
are k adjacent slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medimg_gan import losses
from medimg_gan.nets.translation import (
    PatchCritic,
    ResnetGenerator,
    critic_layers,
    residual_blocks,
)
from medimg_gan.recipes.base import Adam, Phase, Spec, TranslationRecipe, TranslatorConfig
from medimg_gan.recipes.replay import replayed

if TYPE_CHECKING:
    from medimg_gan.types import Batch, Logs

REPLAY = 50
"""Fakes kept per domain (Zhu 2017, sec. 4)."""


@dataclass(frozen=True)
class CycleGanConfig(TranslatorConfig):
    """Settings of :class:`CycleGan`."""

    cycle_weight: float = 10.0
    """Weight of coming back to the image one started from."""
    identity_weight: float = 5.0
    """Weight of leaving alone what is already in the wanted domain."""


class CycleGan(TranslationRecipe):
    """Images of a source modality -> target modality, learnt without pairs."""

    Config = CycleGanConfig
    averaged = ("to_target", "to_source")

    target_pool: Tensor
    target_count: Tensor
    source_pool: Tensor
    source_count: Tensor

    def __init__(self, config: CycleGanConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        blocks, layers = residual_blocks(spec.size), critic_layers(spec.size)
        source, target = spec.inputs, spec.channels
        self.to_target = ResnetGenerator(source, target, config.width, blocks)
        self.to_source = ResnetGenerator(target, source, config.width, blocks)
        self.target_critic = PatchCritic(target, config.width, layers)
        self.source_critic = PatchCritic(source, config.width, layers)
        for domain, channels in (("target", target), ("source", source)):
            pool = torch.zeros(REPLAY, channels, spec.size, spec.size)
            self.register_buffer(f"{domain}_pool", pool)
            self.register_buffer(f"{domain}_count", torch.zeros((), dtype=torch.int64))
        self._fakes: tuple[Tensor, Tensor] | None = None

    def phases(self) -> list[Phase]:
        """Both generators, then both critics on the fakes just made."""
        return [
            Phase("generators", ("to_target", "to_source"), self.generators_loss),
            Phase("critics", ("target_critic", "source_critic"), self.critics_loss),
        ]

    def adam(self, net: str) -> Adam:
        """The reference implementation's."""
        return Adam(self.config.learning_rate, (0.5, 0.999))

    def learning_rate_factor(self, progress: float) -> float:
        """1 for the first half, then linear to 0 (Zhu 2017, sec. 4)."""
        return min(1.0, 2 * (1 - progress))

    def generators_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """L_GAN(G) + L_GAN(F) + lambda L_cyc + lambda / 2 L_identity (eq. 3 and sec. 5.2)."""
        source, target = batch["source"], batch["target"]
        fake_target, same_target = self._translated(self.to_target, source, target)
        fake_source, same_source = self._translated(self.to_source, target, source)
        self._fakes = (fake_target.detach(), fake_source.detach())
        fool = losses.least_squares(self.target_critic(self.augment(fake_target)), 1.0)
        fool = fool + losses.least_squares(self.source_critic(self.augment(fake_source)), 1.0)
        cycle = F.l1_loss(self.to_source(fake_target), source)
        cycle = cycle + F.l1_loss(self.to_target(fake_source), target)
        terms: losses.Terms = {"fool": (1.0, fool), "cycle": (self.config.cycle_weight, cycle)}
        if same_target is not None and same_source is not None:
            identity = F.l1_loss(same_target, target) + F.l1_loss(same_source, source)
            terms["identity"] = (self.config.identity_weight, identity)
        terms |= self.structure_terms(batch, fake_target, fake_source)
        loss, logs = losses.weighted(terms)
        return loss, {f"generators/{name}": value for name, value in logs.items()}

    def critics_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """Half of (D(y) - 1)^2 + D(G(x))^2, for both domains, on replayed fakes."""
        fake_target, fake_source = self._take_fakes(batch)
        fake_target = replayed(fake_target, self.target_pool, self.target_count)
        fake_source = replayed(fake_source, self.source_pool, self.source_count)
        on_target = self._critic_loss(self.target_critic, batch["target"], fake_target)
        on_source = self._critic_loss(self.source_critic, batch["source"], fake_source)
        logs = {"critic/target": on_target.detach(), "critic/source": on_source.detach()}
        return on_target + on_source, logs

    def augment(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) as the critics are to see them: here, as they are."""
        return images

    def structure_terms(
        self, batch: Batch, fake_target: Tensor, fake_source: Tensor
    ) -> losses.Terms:
        """More parts of the generators' loss, from the batch and its translations: here, none."""
        return {}

    @torch.no_grad()
    def scores(self, batch: Batch) -> Logs:
        """What the target critic thinks of real targets and of translated sources."""
        fake = self.to_target(batch["source"])
        return losses.summary(self.target_critic(batch["target"]), self.target_critic(fake))

    def translate(self, image: Tensor) -> Tensor:
        """Target-like images (N, C, H, W) for source images (N, inputs, H, W), in [-1, 1]."""
        return self.to_target(image)

    @torch.no_grad()
    def preview(self, batch: Batch, seed: int) -> dict[str, Tensor]:
        """``source``, ``translated`` and ``back`` of the batch; nothing random in it."""
        source = batch["source"]
        translated = self.to_target(source)
        return {"source": source, "translated": translated, "back": self.to_source(translated)}

    def _translated(
        self, network: nn.Module, images: Tensor, wanted: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """``network`` of images to translate, and of images ``wanted`` that it shall leave alone.

        Both go through in one call, which changes nothing, as every norm is an image's own. None
        for the latter where they have no weight, or the domains differ in channels, so that the
        network cannot be given both.
        """
        if not self.config.identity_weight or images.shape[1:] != wanted.shape[1:]:
            return network(images), None
        translated, same = network(torch.cat([images, wanted])).split([len(images), len(wanted)])
        return translated, same

    def _take_fakes(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The fakes that the generators made in this step; new ones if they did not run."""
        fakes, self._fakes = self._fakes, None
        if fakes is not None:
            return fakes
        with torch.no_grad():
            return self.to_target(batch["source"]), self.to_source(batch["target"])

    def _critic_loss(self, critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """Least squares; halved, which slows the critic relative to the generator (Zhu 2017)."""
        images = torch.cat([self.augment(real), self.augment(fake)])
        real_scores, fake_scores = critic(images).split([len(real), len(fake)])
        return losses.least_squares_critic(real_scores, fake_scores)
