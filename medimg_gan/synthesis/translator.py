"""A trained translator, as a plain function from volume to volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from medimg_gan.data.chain import Encoded, decode, encode, fit, modality_of
from medimg_gan.data.chain_settings import DEFAULT_CHAIN, ChainConfig
from medimg_gan.data.placing import ONE_GRID_MM
from medimg_gan.data.planes import FAINTEST
from medimg_gan.errors import DataError
from medimg_gan.imaging import Volume
from medimg_gan.imaging.orientation import furthest_apart
from medimg_gan.modalities import Scale
from medimg_gan.modalities.body import without_holes
from medimg_gan.modalities.ct import AIR
from medimg_gan.modalities.nyul import StandardScale
from medimg_gan.recipes import TranslationRecipe
from medimg_gan.recipes.base import device_of
from medimg_gan.synthesis.blocks import translate_stack
from medimg_gan.synthesis.uncertainty import MOVES, Spread, moved

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

CT_STORED = (-1024.0, 3071.0)
"""The range of 12-bit CT numbers."""


@dataclass(frozen=True)
class Translator:
    """A trained translator of volumes; made by :func:`load_run`.

    Attributes:
        recipe: Networks with averaged weights, in evaluation mode.
        source, target: Modalities.
        unit: Unit of the target's values.
        scale: Raw target values of -1 and 1.
        chain: How the training scans became pictures.
        standard: MR's standard scale, where the training learnt one.
        adjacent: Slices that the network sees, and makes, at once (2.5D).
        sequences: MR sequences that are its input, in this order; () for any scan of ``source``.
        target_sequence: MR sequence that it makes; "" where the modality is all that is known.
    """

    recipe: TranslationRecipe
    source: str
    target: str
    unit: str
    scale: Scale
    chain: ChainConfig = DEFAULT_CHAIN
    standard: StandardScale | None = None
    adjacent: int = 1
    sequences: tuple[str, ...] = ()
    target_sequence: str = ""

    @property
    def source_name(self) -> str:
        """``mri``, ``t1`` or ``t1+t2``, as ``--src``."""
        return "+".join(self.sequences) or self.source

    @property
    def target_name(self) -> str:
        """``ct`` or ``t2``, as ``--tgt``."""
        return self.target_sequence or self.target

    def seen(self, volume: Volume | Sequence[Volume]) -> list[FloatArray]:
        """The pictures that the network sees of a source, as :meth:`translate` takes it.

        Returns:
            One (K, size, size) in [-1, 1] for each sequence, of the K slices on which something
            is to be seen; [] if there is none.
        """
        encoded, _ = self._encoded(volume)
        return self._stacks(encoded)[0]

    def translate(self, volume: Volume | Sequence[Volume]) -> Volume:
        """A target-like volume on exactly the source's grid.

        Slices go through the network in blocks, whose size bounds the memory; blocks leave no
        seam (:func:`translate_stack`). A slice on which nothing is to be seen, on which no
        training was done either, becomes air. CT is rounded to whole HU and clipped to the stored
        range [-1024, 3071]; what is air in the source is air (-1000 HU) also where the training's
        window does not reach so low.

        Args:
            volume: The source; of a translator of several sequences one volume each, in the order
                of ``sequences``, all on one grid.

        Raises:
            DataError: If the number of volumes is wrong, or their grids differ.
            ModalityError: If the values cannot be of the source modality.
            UnreadableError: If the chain cannot make pictures of it.
        """
        encoded, first = self._encoded(volume)
        return self._volume(self._pictures(encoded, self.recipe.translate), encoded[0], first)

    def translate_with_spread(self, volume: Volume | Sequence[Volume]) -> tuple[Volume, Volume]:
        """As :meth:`translate`, and how unsure the translator is of each voxel.

        Returns:
            The same volume as :meth:`translate` gives, and the standard deviation, in ``unit``,
            over translations of the shifted and, where anatomy allows, mirrored source.
        """
        encoded, first = self._encoded(volume)
        made = self._pictures(encoded, self.recipe.translate)
        spread = Spread(made.shape)
        spread.add(made)
        for move in MOVES:
            if self.recipe.spec.mirror or not move.mirrors:
                spread.add(self._pictures(encoded, moved(self.recipe.translate, move)))
        # A deviation has no lowest value to be added: the scale without its offset.
        width = Scale(0.0, self.scale.high - self.scale.low)
        deviation = decode(spread.deviation() - 1, encoded[0], width, "signal")
        # Without a modality: nobody is to take it for a scan.
        unsure = first.with_array(deviation, modality="", unit=self.unit)
        return self._volume(made, encoded[0], first), unsure

    def as_made(self, truth: Volume) -> FloatArray:
        """A true target scan's values as this translator's would be, (I, J, K).

        CT numbers and grey levels are what they are. MR of arbitrary units goes through what the
        training did to it (N4, its own percentiles, the standard scale), and to the run's scale.

        Raises:
            ModalityError: If the values cannot be of the target's modality.
        """
        if truth.unit in ("HU", "display") or self.target == "ct":
            return truth.array
        array, own, _, landmarks = fit(
            truth.array, truth.spacing, modality=self.target, unit=truth.unit, chain=self.chain
        )
        encoded = own.encode(array)
        if self.standard is not None and landmarks.size:
            images, rows = torch.from_numpy(encoded[None]), torch.from_numpy(landmarks[None])
            encoded = self.standard.apply(images, rows)[0].numpy()
        return self.scale.decode(encoded)

    def _encoded(self, volume: Volume | Sequence[Volume]) -> tuple[list[Encoded], Volume]:
        volumes = [volume] if isinstance(volume, Volume) else list(volume)
        wanted = max(1, len(self.sequences))
        if len(volumes) != wanted:
            raise DataError(
                f"{len(volumes)} source volumes",
                observed=f"this translator takes {wanted}: {self.source_name}",
            )
        first = volumes[0]
        for other in volumes[1:]:
            shape = first.array.shape
            same = other.array.shape == shape
            if not same or furthest_apart(first.affine, other.affine, shape) > ONE_GRID_MM:
                raise DataError(
                    f"the sequences {' and '.join(self.sequences)} do not lie on one grid",
                    fix="resample those of a visit to one grid",
                )
        encoded = [
            encode(
                each.array,
                each.spacing,
                modality=self.source,
                unit=each.unit,
                chain=self.chain,
                size=self.recipe.spec.size,
            )
            for each in volumes
        ]
        return encoded, first

    @torch.inference_mode()
    def _pictures(
        self, encoded: list[Encoded], translate: Callable[[Tensor], Tensor]
    ) -> FloatArray:
        """Translated pictures (K, size, size) in [-1, 1].

        A target on the standard scale needs no way back: the typical volume's landmarks, to which
        ``scale`` belongs, are the standard's own.
        """
        air = float(self.scale.encode(np.array(AIR if self.unit == "HU" else self.scale.low)))
        made = np.full(encoded[0].pictures.shape, air, np.float32)
        stacks, shown = self._stacks(encoded)
        if stacks:
            device = device_of(self.recipe)
            made[shown] = translate_stack(translate, stacks, self.adjacent, device)
        return made

    def _stacks(self, encoded: list[Encoded]) -> tuple[list[FloatArray], np.ndarray]:
        """The slices that show something, on the standard scale, and which these are.

        The neighbour of a slice is the next one that shows something, almost as in training,
        which leaves out slices of less than a hundredth, and those that one sequence lacks.
        """
        shown = np.any([_shows_something(each) for each in encoded], axis=0)
        return [self._on_standard_scale(each, shown) for each in encoded if shown.any()], shown

    def _on_standard_scale(self, encoded: Encoded, shown: np.ndarray) -> FloatArray:
        pictures = encoded.pictures if shown.all() else encoded.pictures[shown]
        if self.standard is None or not encoded.landmarks.size:
            return pictures
        own = torch.from_numpy(encoded.landmarks)[None]
        mapped = [self.standard.apply(torch.from_numpy(each[None]), own)[0] for each in pictures]
        return torch.stack(mapped).numpy()

    def _volume(self, pictures: FloatArray, encoded: Encoded, source: Volume) -> Volume:
        values = decode(pictures, encoded, self.scale, self.unit)
        if self.unit == "HU":
            if self.scale.low > AIR:
                kind = modality_of(self.source, self.chain)
                values[~without_holes(kind.foreground(source.array, source.unit))] = AIR
            np.clip(np.rint(values, out=values), *CT_STORED, out=values)
        return source.with_array(values, modality=self.target, unit=self.unit)


def _shows_something(encoded: Encoded) -> np.ndarray:
    """Which of the K slices have a pixel that differs from the background: (K,) bool."""
    background = encoded.background
    return np.array([np.abs(each - background).max() > FAINTEST for each in encoded.pictures])
