"""Other heads from the same few: real images varied as patients vary, for a GAN to learn as real.

Of a handful of patients a generator learns each head by heart. ``augmentations`` hide from it what
they do; this is the opposite: the generator is meant to make the varied images. So changes keep to
what another patient could look like: sides and proportions, a lean of the head, soft tissue
displaced smoothly (a coarse random field, cubic in between, as in Ronneberger 2015, sec. 3.1) and,
where values have no unit, the slope of the scanner's tones. What it cannot do is invent: folds,
vessels and lesions stay those of the patients, displaced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from medimg_gan.augmentations import BACKGROUND, bent
from medimg_gan.console import say
from medimg_gan.data.settings import AUTO, Vary

if TYPE_CHECKING:
    from medimg_gan.types import Batch
    from medimg_gan.types import Stream as StreamFunction

FEW_PATIENTS = 20
"""Training patients below which a GAN learns varied slices unless the user says otherwise."""
KNOTS = 4
"""Points along each side at which the field of displacements is drawn."""


@dataclass(frozen=True)
class Variation:
    """Random changes of every image, from a random generator of the caller's.

    At strength 1, and 256 mm across the picture: axes up to 8 % longer or shorter, 5 degrees of
    rotation, 8 mm of shift, and displacements of 3 mm (standard deviation at a knot), which fold no
    tissue over another. An adult head's length and breadth differ by about 4 % between patients
    (standard deviation), a little less than a uniform change of 8 % does.

    Attributes:
        strength: Factor on every size below; 0 changes nothing.
        mirror: Whether half of the images are flipped left to right.
        tones: Whether values are in no unit, so that their slope may vary.
        stretch: Largest change of each axis' length, as a share of it.
        degrees: Largest rotation.
        shift: Largest shift, as a share of the side.
        displacement: Standard deviation of the field at its knots, as a share of the side.
        contrast: Largest change of the slope at the background, as a share of it.
    """

    strength: float = 1.0
    mirror: bool = False
    tones: bool = False
    stretch: float = 0.08
    degrees: float = 5.0
    shift: float = 0.03
    displacement: float = 0.012
    contrast: float = 0.2

    def __call__(self, images: Tensor, random: torch.Generator) -> Tensor:
        """(N, C, H, W) in [-1, 1], on the CPU -> same shape and range, float32.

        Channels of an image are changed alike.
        """
        if not self.strength:
            return images
        above = images.float() - BACKGROUND
        # Cubic: a generator would learn the blur of linear interpolation.
        above = F.grid_sample(
            above,
            self.places(len(images), images.shape[-2], images.shape[-1], random),
            mode="bicubic",
            padding_mode="zeros",
            align_corners=False,
        ).clamp(0, 2)
        if self.tones:
            slopes = self._even(random, len(images), 1, 1, 1) * math.log1p(self.contrast)
            above = bent(above, slopes.exp())
        return above + BACKGROUND

    def places(self, count: int, height: int, width: int, random: torch.Generator) -> Tensor:
        """Where each pixel comes from: (N, H, W, 2) as x, y in [-1, 1] of the picture."""
        stretch = (self._even(random, count, 2) * math.log1p(self.stretch)).exp()
        angle = self._even(random, count) * math.radians(self.degrees)
        cosine, sine, aspect = angle.cos(), angle.sin(), height / width
        turn = torch.stack([cosine, -sine * aspect, sine / aspect, cosine], dim=1).view(-1, 2, 2)
        shift = 2 * self.shift * self._even(random, count, 2, 1)
        matrices = torch.cat([turn * stretch[:, None], shift], dim=2)
        if self.mirror:
            sides = torch.rand(count, generator=random) < 0.5
            matrices[:, 0] *= torch.where(sides, -1.0, 1.0)[:, None]
        plain = F.affine_grid(matrices, [count, 1, height, width], align_corners=False)
        knots = torch.randn(count, 2, KNOTS, KNOTS, generator=random)
        field = F.interpolate(knots, (height, width), mode="bicubic", align_corners=True)
        return plain + 2 * self.strength * self.displacement * field.permute(0, 2, 3, 1)

    def _even(self, random: torch.Generator, *shape: int) -> Tensor:
        """Uniform in [-strength, strength]."""
        return self.strength * (2 * torch.rand(*shape, generator=random) - 1)


def variation_for(vary: Vary, patients: int | None, *, mirror: bool, tones: bool) -> Variation:
    """How training slices are varied, which is said where the data decided it.

    Args:
        vary: The strength, or "auto": 1 for fewer than :data:`FEW_PATIENTS` patients, else 0.
        patients: Of training; None where nothing names them.
        mirror: As for :class:`Variation`.
        tones: As for :class:`Variation`.
    """
    if vary != AUTO:
        return Variation(vary, mirror, tones)
    if patients is None or patients >= FEW_PATIENTS:
        return Variation(0.0, mirror, tones)
    say(
        f"  {patients} training patients are few: their slices are varied as heads and bodies of "
        "others would look, for the GAN not to learn them by heart (--vary 0: as they are)"
    )
    return Variation(1.0, mirror, tones)


@dataclass(frozen=True)
class VariedStream:
    """A stream whose images are varied: like the stream, a pure function of the position.

    Attributes:
        stream: Position -> batch with ``image``.
        variation: What happens to the images.
        seed: Of the variation's draws.
    """

    stream: StreamFunction
    variation: Variation
    seed: int

    def __call__(self, position: int) -> Batch:
        """The batch at ``position``, as CPU tensors."""
        batch = self.stream(position)
        drawn = np.random.SeedSequence([self.seed, position]).generate_state(1, np.uint64)
        random = torch.Generator().manual_seed(int(drawn[0] >> 1))
        return batch | {"image": self.variation(batch["image"], random)}
