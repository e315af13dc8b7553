"""What conditional recipes share: conditions, and fakes that have those of real images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from medimg_gan.nets.conditions import as_condition, condition_length
from medimg_gan.recipes.base import NoiseRecipe

if TYPE_CHECKING:
    from medimg_gan.nets.blocks import Readers
    from medimg_gan.types import Batch


class ConditionalRecipe(NoiseRecipe):
    """Images of an asked class and numbers from noise; without classes, the same with one class.

    Subclasses have ``latent`` and ``generator(noise, condition)``, with its ``style``,
    ``from_style`` and ``readers``.
    """

    conditional = True
    generator: Any

    def sample(
        self, noise: Tensor, label: Tensor | None = None, numbers: Tensor | None = None
    ) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of the classes and numbers asked for.

        Raises:
            ValueError: If there are classes and no label, or numbers and none are given.
        """
        if self.spec.classes and label is None:
            raise ValueError("a class-conditional recipe needs a label for every sample")
        if self.spec.numbers and numbers is None:
            raise ValueError(f"every sample needs its numbers: {', '.join(self.spec.numbers)}")
        return self._sampled(noise, self._as_condition(noise, label, numbers))

    def style_like(self, batch: Batch, noise: Tensor) -> Tensor:
        """What noise and condition have become before the generator's first block."""
        known = self._as_condition(noise, batch.get("label"), batch.get("numbers"))
        return self.generator.style(noise, known)

    def from_style(self, style: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1], as users are to see them."""
        return self.generator.from_style(style)

    def readers(self) -> Readers:
        """The generator's own."""
        return self.generator.readers()

    @property
    def _condition_length(self) -> int:
        return condition_length(len(self.spec.classes), len(self.spec.numbers))

    def _condition(self, batch: Batch) -> Tensor:
        """The conditions of the batch's images (N, D)."""
        return self._as_condition(batch["image"], batch.get("label"), batch.get("numbers"))

    def _as_condition(self, each: Tensor, label: Tensor | None, numbers: Tensor | None) -> Tensor:
        """(N, D) for N items of ``each``, from what this recipe is conditioned on."""
        if not self.spec.classes:
            label = None
        if numbers is None or not self.spec.numbers:
            numbers = each.flatten(1)[:, :0]
        return as_condition(label, numbers, len(self.spec.classes))

    def _generated(self, noise: Tensor, condition: Tensor) -> Tensor:
        """The generator's images, as the critic is to see them."""
        return self.generator(noise, condition)

    def _sampled(self, noise: Tensor, condition: Tensor) -> Tensor:
        """The generator's images, as users are to see them."""
        return self._generated(noise, condition)

    def _fake(self, batch: Batch) -> Tensor:
        """A fake for every real image, of its condition."""
        return self._generated(self.noise_for(batch), self._condition(batch))
