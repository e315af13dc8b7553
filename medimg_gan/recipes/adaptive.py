"""What the critic sees is augmented, with a chance that may follow its overfitting (ADA).

Adaptive discriminator augmentation (Karras 2020, sec. 3.1): r_t = E[sign D(x)] on training images
is near 1 for a critic that knows them by heart and near 0 for one that is lost. Every 4 steps the
chance of augmentation p moves by a fixed amount, up if r_t is above its target, else down.

==================  =====================================================
here                paper
==================  =====================================================
``ada``             target of r_t, 0.6
``ada_images``      500 thousand images for p to go from 0 to 1
``probability``     p
``margins``         D(x)
==================  =====================================================

A relativistic or Wasserstein loss sees differences of D alone and leaves its origin open, so the
sign of D(x) means nothing there. Such recipes give D(x) - D(G(z)) over the pairs that the loss
compares: whatever may be added to D cancels. For normal scores of equal spread the paper's 0.6 (8
of 10 training images on the right side) is 0.77 over pairs.

Departs from the paper: p starts at ``augment``, not at 0, and ends at 0.8, beyond which the paper
saw augmentations leak into the samples; ``ada_images`` fits trainings of minutes; images that the
critic judges are counted, so a critic that trains 5 times a step moves p 5 times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from medimg_gan.augmentations import DiffAugment
from medimg_gan.errors import ConfigError
from medimg_gan.recipes.base import NoiseRecipe, Spec

if TYPE_CHECKING:
    from medimg_gan.types import Logs

INTERVAL = 4
"""Updates of the critic between two moves of p (Karras 2020; StyleGAN2-ADA, ada_interval)."""

LARGEST = 0.8
"""The largest p that ADA sets."""

CUTOUT, BRIGHTNESS, CONTRAST = 0.5, 0.3, 0.5
"""Sizes of the operations beside geometry; the cutout's is DiffAugment's."""


@dataclass(frozen=True)
class AugmentConfig:
    """Settings of what the critic sees, shared by every recipe with a critic and noise."""

    augment: float = 0.3
    """Chance of each operation before the critic sees an image; with ``ada``, its start."""
    augmentations: Literal["geometry", "all"] = "geometry"
    """geometry: shift, zoom, rotation, and mirror where the anatomy allows. all: what the modality
    bears, also a square cut out and, where values are not calibrated (HU), brightness, contrast."""
    ada: float = 0.0
    """Adapt the chance: the share of training images that the critic may know for real, as r_t from
    0 (half) to 1 (all); 0.6 is the paper's. 0 keeps the chance as it is."""
    ada_images: int = 50_000
    """Real images that the critic sees while ADA moves the chance from 0 to 1."""

    def __post_init__(self) -> None:
        """Refuse what no training could follow.

        Raises:
            ConfigError: If a chance, a target or a number of images is outside its range, or ADA
                would start above the largest chance that it sets.
        """
        if not 0 <= self.augment <= 1:
            raise ConfigError(f"--set augment={self.augment:g}: a chance lies in [0, 1]")
        if not 0 <= self.ada < 1:
            raise ConfigError(f"--set ada={self.ada:g}: a target lies in (0, 1); 0 turns it off")
        if self.ada and self.augment > LARGEST:
            raise ConfigError(
                f"--set augment={self.augment:g}: ADA keeps the chance at {LARGEST:g} or below",
                observed=f"found ada={self.ada:g}, which starts there",
                fix=f"--set augment={LARGEST:g} or less, or ada=0 for a constant chance",
            )
        if self.ada_images < 1:
            raise ConfigError(f"--set ada_images={self.ada_images}: must be positive")


class AugmentedRecipe(NoiseRecipe):
    """A noise recipe whose critic sees augmented images.

    Subclasses have settings that extend :class:`AugmentConfig`, pass what the critic sees through
    ``augment``, and give ``judged`` the margins of every update of the critic.

    Attributes:
        probability: p, float32 scalar.
        verdicts: Since p moved last: the sum over the critic's updates of the mean sign of their
            margins, and the number of updates; (2,) float32.
    """

    agreed = ("verdicts",)
    probability: Tensor
    verdicts: Tensor

    def __init__(self, config: AugmentConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.register_buffer("probability", torch.tensor(float(config.augment)))
        self.register_buffer("verdicts", torch.zeros(2))

    @property
    def augmentation(self) -> DiffAugment:
        """What is done to images now: the operations that the data bear, with their chance."""
        more = self.config.augmentations == "all"
        tones = more and not self.spec.calibrated
        return DiffAugment(
            self.probability if self.config.ada else self.config.augment,
            self.spec.mirror,
            brightness=BRIGHTNESS if tones else 0.0,
            contrast=CONTRAST if tones else 0.0,
            cutout=CUTOUT if more else 0.0,
        )

    def augment(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] as the critic is to see them; gradients pass."""
        return self.augmentation(images)

    def begin_step(self, progress: float) -> None:
        """Every 4 updates of the critic: p += sign(r_t - target) * images judged / ``ada_images``.

        Here, after the engine has averaged ``verdicts`` over processes, and not beside the
        critic's loss: all processes then move p alike, as one with the whole batch would.
        """
        super().begin_step(progress)
        if not self.config.ada:
            return
        signs, updates = self.verdicts.unbind()
        due = updates >= INTERVAL
        step = updates * self.images_per_step / self.config.ada_images
        moved = self.probability + (signs / updates - self.config.ada).sign() * step
        # New tensors: those that logs still hold must not change.
        self.probability = torch.where(due, moved.clamp(0, LARGEST), self.probability)
        self.verdicts = torch.where(due, 0.0, self.verdicts)

    def judged(self, margins: Tensor) -> Logs:
        """Note how the critic judged training images, and say so: p and r_t for the logs.

        Args:
            margins: (N,) of one update of the critic, positive where it takes an image for real:
                D(x), or D(x) - D(G(z)) where the loss leaves the origin of D open.
        """
        overfitting = margins.detach().float().sign().mean()
        if self.config.ada:
            self.verdicts = self.verdicts + torch.stack([overfitting, overfitting.new_ones(())])
        return {"augment/probability": self.probability, "augment/overfitting": overfitting}
