"""CUT (Park, Efros, Zhang & Zhu 2020): unpaired translation in one direction, by patches.

====================  =====================================================
here                  paper
====================  =====================================================
``source, target``    X, Y
``encoder, decoder``  G_enc, G_dec; the translator is one after the other
``critic``            D
``head``              H_l, one perceptron for each of 5 feature maps
``contrast_weight``   lambda_X = lambda_Y = 1 (their mean, as in its code)
``temperature``       tau = 0.07
``patches``           256 places of each feature map
====================  =====================================================

What is at a place of the translation must be recognisable, among the places of the source, as what
was there. The same is asked of translated targets (the identity term), which are to stay as they
are.

Departs from the paper: strided convolutions in place of filtered ones, nearest upsampling, half its
width by default (for a CPU), the critic's patch shrinks with images below 128 pixels, and samples
come from a moving average of the generator. Where a source has more channels than a target (several
sequences), the encoder is given the translation once for each of them, and there is no identity
term, as no target is a source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medimg_gan import losses
from medimg_gan.errors import ConfigError
from medimg_gan.nets.contrastive import PatchHead, encoder_and_decoder
from medimg_gan.nets.translation import PatchCritic, critic_layers, residual_blocks
from medimg_gan.recipes.base import Phase, Spec, TranslatorConfig, require_at_least
from medimg_gan.recipes.one_way import OneWayGan

if TYPE_CHECKING:
    from medimg_gan.types import Batch, Logs

HEAD = 256
"""Length of the vectors that are compared."""


@dataclass(frozen=True)
class CutConfig(TranslatorConfig):
    """Settings of :class:`Cut`."""

    contrast_weight: float = 1.0
    """Weight of each place being recognisable."""
    temperature: float = 0.07
    """How much closer than all others the right place must be; less is stricter."""
    patches: int = 256
    """Places of a feature map that are compared with each other."""

    def __post_init__(self) -> None:
        """Refuse what no training could follow.

        Raises:
            ConfigError: As of every translator, or if nothing could be told apart.
        """
        super().__post_init__()
        require_at_least(self, patches=2)
        if self.temperature <= 0:
            raise ConfigError(f"--set temperature={self.temperature:g}: must be above 0")


class Cut(OneWayGan):
    """Images of a source modality -> target modality, without pairs and without a way back."""

    Config = CutConfig
    averaged = ("encoder", "decoder")

    def __init__(self, config: CutConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        width = config.width
        self.encoder, self.decoder = encoder_and_decoder(
            spec.inputs, spec.channels, width, residual_blocks(spec.size)
        )
        self.head = PatchHead((spec.inputs, 2 * width, *[4 * width] * 3), HEAD)
        self.critic = PatchCritic(spec.channels, width, critic_layers(spec.size))

    def phases(self) -> list[Phase]:
        """The generator with the heads, then the critic on the fakes just made."""
        return [
            Phase("generator", ("encoder", "decoder", "head"), self.generator_loss),
            Phase("critic", ("critic",), self.critic_loss),
        ]

    def translate(self, image: Tensor) -> Tensor:
        """Target-like images (N, C, H, W) for source images (N, inputs, H, W), in [-1, 1]."""
        return self.decoder(self.encoder(image)[-1])

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """L_GAN + L_PatchNCE(X) + L_PatchNCE(Y) (eq. 5), sources and targets in one pass."""
        source, target = batch["source"], batch["target"]
        images = torch.cat([source, target]) if source.shape == target.shape else source
        features = self.encoder(images)
        made = self.decoder(features[-1])
        fake = made[: len(source)]
        fool = losses.least_squares(self.critic(fake), 1.0)
        contrast = self._contrast(features, self.encoder(self._as_source(made)))
        terms = {"fool": (1.0, fool), "contrast": (self.config.contrast_weight, contrast)}
        return self._generators(source, fake, terms)

    def _contrast(self, given: list[Tensor], made: list[Tensor]) -> Tensor:
        """PatchNCE between equal places, which all images share; the mean over feature maps."""
        places = [self._some_places(feature) for feature in given]
        with torch.no_grad():
            keys = self.head(given, places)
        queries = self.head(made, places)
        terms = [
            losses.patch_nce(query, key, self.config.temperature)
            for query, key in zip(queries, keys, strict=True)
        ]
        return torch.stack(terms).mean()

    def _some_places(self, feature: Tensor) -> Tensor:
        """(P,) different places of a feature map, in random order."""
        order = torch.rand(feature[0, 0].numel(), device=feature.device).argsort()
        return order[: self.config.patches]

    def _as_source(self, image: Tensor) -> Tensor:
        """A target (N, C, H, W) in as many channels as a source: its own, over and over."""
        channels = torch.arange(self.spec.inputs, device=image.device) % self.spec.channels
        return image[:, channels]
