"""What binds an unpaired translation to its source's anatomy, beside any cycle.

===================  ===================================================================
here                 paper
===================  ===================================================================
``gradient_weight``  lambda of the gradient consistency (Hiasa 2018, eq. 2)
``mind_weight``      lambda of the MIND loss (Yang 2018, eq. 4; theirs is 5)
``body_weight``      lambda of the mask loss (after Phan 2023, MaskGAN)
``depth_weight``     ours: values as in a real image at equal depths (``depth_loss``)
``augment``          chance of T, DiffAugment (Zhao 2020), in the critics' and generators' loss
===================  ===================================================================

Departs from the papers: contrasts of either sign count as one boundary, as bone is dark in MR and
bright in CT (see ``structure_losses``); the body's mask comes from a threshold, not from a network
or a file; the augmentation moves images and leaves their values alone, which carry meaning (HU).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medimg_gan import structure_losses
from medimg_gan.depth_loss import depth_difference, depth_layers
from medimg_gan.errors import ConfigError
from medimg_gan.recipes.base import TranslatorConfig

if TYPE_CHECKING:
    from medimg_gan.losses import Terms
    from medimg_gan.types import Batch


@dataclass(frozen=True)
class AnatomyConfig(TranslatorConfig):
    """Settings of recipes with :func:`anatomy_terms`."""

    gradient_weight: float = 1.0
    """Weight of edges in equal places."""
    mind_weight: float = 1.0
    """Weight of equal self-similarity (MIND) around every pixel."""
    body_weight: float = 5.0
    """Weight of the body's outline."""
    body_threshold: float = -0.8
    """Encoded value between air and skin: -750 HU in the default window, a tenth of MR's range."""
    depth_weight: float = 10.0
    """Weight of values as in the real image drawn beside it, at equal depths below the skin."""
    augment: float = 0.3
    """Chance that the critics see an image moved, turned or zoomed."""

    def __post_init__(self) -> None:
        """Refuse what no training could follow.

        Raises:
            ConfigError: As of every translator, or if the chance is none, or all or nothing would
                be body.
        """
        super().__post_init__()
        if not 0 <= self.augment <= 1:
            raise ConfigError(f"--set augment={self.augment:g}: a chance lies in [0, 1]")
        if not -1 < self.body_threshold < 1:
            raise ConfigError(
                f"--set body_threshold={self.body_threshold:g}: encoded values lie in [-1, 1]"
            )


def anatomy_terms(
    config: AnatomyConfig, batch: Batch, fake_target: Tensor, fake_source: Tensor | None = None
) -> Terms:
    """Gradient consistency, MIND, mask and depth, of both directions if there are two.

    Args:
        config: The weights; what has none is left out.
        batch: ``source`` (N, S * k, H, W) and ``target`` (N, k, H, W), not of one patient.
        fake_target: The source's translation (N, k, H, W).
        fake_source: The target's (N, S * k, H, W).
    """
    source, target = batch["source"], batch["target"]
    pairs = [structure_losses.same_slices(source, fake_target)]
    if fake_source is not None:
        pairs.append(structure_losses.same_slices(target, fake_source))
    body = partial(structure_losses.body_difference, threshold=config.body_threshold)
    parts = {
        "gradient": (config.gradient_weight, structure_losses.gradient_difference),
        "mind": (config.mind_weight, structure_losses.self_similarity_difference),
        "body": (config.body_weight, body),
    }
    terms = {
        name: (weight, torch.stack([difference(*pair) for pair in pairs]).sum())
        for name, (weight, difference) in parts.items()
        if weight
    }
    if config.depth_weight:
        # The body is where any of the source's sequences shows one.
        seen = source.unflatten(1, (-1, target.shape[1])).amax(dim=1)
        of_source, of_target = (
            depth_layers(images, config.body_threshold) for images in (seen, target)
        )
        apart = depth_difference(fake_target, target, of_source, of_target)
        if fake_source is not None:
            apart = apart + depth_difference(fake_source, source, of_target, of_source)
        terms["depth"] = (config.depth_weight, apart)
    return terms
