"""A trained GAN from noise, as plain functions: slices in the modality's own units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from medimg_gan.data.chain_settings import DEFAULT_CHAIN, ChainConfig
from medimg_gan.data.geometry import AXES
from medimg_gan.data.number import Number, draw_numbers, standardised
from medimg_gan.data.planes import as_volume
from medimg_gan.errors import LabelError
from medimg_gan.imaging import Volume
from medimg_gan.modalities import Scale
from medimg_gan.recipes import NoiseRecipe
from medimg_gan.recipes.base import device_of
from medimg_gan.recipes.knobs import AT_REST, Knobs, TurnedKnobs

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

CHUNK = 64
"""Images made at once; also what the noise is drawn by, so a longer set begins with a shorter."""

STORED_AXES = {"axial": "RAS", "coronal": "RSA", "sagittal": "ASR"}
"""Axis order of a written slice: the slice's own axis last."""


@dataclass(frozen=True)
class Generator:
    """A trained generator of slices; made by :func:`load_run`.

    Attributes:
        recipe: Networks with averaged weights, in evaluation mode.
        classes: Class names; empty for an unconditional GAN.
        class_counts: Training slices of each class.
        modality, unit: What the values are.
        scale: Raw values of -1 and 1 (for MR and X-ray the training scans' median).
        pixel_mm: Typical side of a pixel in the training slices.
        chain: How the training scans became pictures.
        numbers: What slices are conditioned on besides the class.
    """

    recipe: NoiseRecipe
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    modality: str
    unit: str
    scale: Scale
    pixel_mm: float
    chain: ChainConfig = DEFAULT_CHAIN
    numbers: tuple[Number, ...] = ()

    def sample(
        self,
        count: int,
        label: str | None = None,
        seed: int = 0,
        numbers: Mapping[str, float] | None = None,
        knobs: Knobs = AT_REST,
    ) -> FloatArray:
        """Synthetic slices in the modality's own units.

        Args:
            count: How many.
            label: A class name; None draws classes as frequent as in training.
            seed: Equal seeds give equal slices, and a larger count begins with the same ones.
            numbers: Name -> value of those in ``self.numbers`` that are to be the same for all
                slices, in the column's own unit (``{"position": 0.5}``); others are drawn.
            knobs: Truncation and moves along directions.

        Returns:
            float32 (count, C, size, size); in the axial plane row 0 is the patient's front and
            column 0 the right side.

        Raises:
            LabelError: If the class is unknown.
            ConfigError: If a number is unknown, or was never so in training.
        """
        return self.scale.decode(self.sample_encoded(count, label, seed, numbers, knobs))

    def sample_encoded(
        self,
        count: int,
        label: str | None = None,
        seed: int = 0,
        numbers: Mapping[str, float] | None = None,
        knobs: Knobs = AT_REST,
    ) -> FloatArray:
        """The same in the network's range [-1, 1]."""
        labels = self.draw_labels(count, label, seed)
        values = draw_numbers(self.numbers, labels, seed, numbers)
        told = standardised(self.numbers, values)
        noise, turned = self.draw_noise(count, seed), TurnedKnobs(self.recipe, knobs)
        chunks = [
            self._images(
                turned, labels[start:][:CHUNK], told[start:][:CHUNK], noise[start:][:CHUNK]
            )
            for start in range(0, count, CHUNK)
        ]
        spec = self.recipe.spec
        shape = (0, spec.channels, spec.size, spec.size)
        return np.concatenate(chunks) if chunks else np.zeros(shape, np.float32)

    def draw_labels(self, count: int, label: str | None, seed: int) -> np.ndarray:
        """(count,) class numbers: all ``label``, or drawn as frequent as in training.

        Raises:
            LabelError: If the class is unknown.
        """
        if label is None:
            asked = self.classes and self.recipe.conditional
            weights = np.array(self.class_counts, float) if asked else np.ones(1)
            rng = np.random.default_rng([seed, 1])
            return rng.choice(len(weights), size=count, p=weights / weights.sum())
        return np.full(count, self.class_number(label))

    def class_number(self, label: str) -> int:
        """Its place among the classes.

        Raises:
            LabelError: If the class is unknown.
        """
        if label not in self.classes or not self.recipe.conditional:
            known = ", ".join(self.classes) if self.recipe.conditional else "none"
            raise LabelError(
                f"class {label!r}: this GAN cannot make it",
                observed=f"classes it was trained to make: {known}",
                fix="leave --label away, or train with --recipe cgan on labelled data",
            )
        return self.classes.index(label)

    def draw_noise(self, count: int, seed: int) -> Tensor:
        """The noise (count, latent) of as many slices; a longer one begins with the same rows."""
        chunks = [
            torch.randn(
                CHUNK,
                self.recipe.latent,
                generator=torch.Generator().manual_seed(seed * 1_000_003 + chunk),
            )
            for chunk in range(-(-count // CHUNK))
        ]
        return torch.cat(chunks)[:count] if chunks else torch.empty(0, self.recipe.latent)

    @torch.inference_mode()
    def _images(
        self, turned: TurnedKnobs, labels: np.ndarray, numbers: FloatArray, noise: Tensor
    ) -> FloatArray:
        device = device_of(self.recipe)
        told = {
            "label": torch.from_numpy(labels.astype(np.int64)).to(device),
            "numbers": torch.from_numpy(numbers).to(device),
        }
        images = turned.sample(told, noise.to(device))
        return images.clamp(-1, 1).float().cpu().numpy()

    def as_volume(self, image: FloatArray) -> Volume:
        """One sampled slice (1, size, size), in units, as a volume of one slice around the origin.

        It lies in the plane of the training slices (axial, where each scan had its own). Voxels
        are ``pixel_mm`` wide; the slice's thickness is nominal (1 mm).
        """
        plane = "axial" if self.chain.plane == "acquired" else self.chain.plane
        array = as_volume(image[0], plane).astype(np.float32)
        steps = np.full(3, self.pixel_mm)
        steps[AXES[plane][2]] = 1.0
        affine = np.diag([*steps, 1.0])
        affine[:3, 3] = -steps * (np.array(array.shape) - 1) / 2
        return Volume(
            array, affine, modality=self.modality, unit=self.unit, stored=STORED_AXES[plane]
        )
