"""What every GAN is to the engine: named networks, phases, and a way to look at the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from medimg_gan.errors import ConfigError

if TYPE_CHECKING:
    from medimg_gan.nets.blocks import Readers
    from medimg_gan.types import Batch, Logs


PREVIEW_COLUMNS = 8
"""Images in a row of a preview grid."""


@dataclass(frozen=True)
class Spec:
    """What a recipe must know of the data it will see.

    Attributes:
        channels: Channels of an image (adjacent slices in 2.5D).
        size: Height and width in pixels, a power of two from 32.
        classes: Class names in index order; empty when unlabelled.
        mirror: Whether a left-right flip leaves a plausible image (axial head yes, chest no).
        calibrated: Whether intensities have a unit of their own (HU), so that nothing may change
            them.
        numbers: Names of the numbers that images are conditioned on, in the order of the columns
            of a batch's ``numbers``.
        source_channels: Channels of a translator's source image, sequence by sequence, adjacent
            slices within each; 0 for as many as the target has.
        dark_bone: Whether the target is CT in the wide window, and the source is MR, which shows
            bone dark.
    """

    channels: int = 1
    size: int = 64
    classes: tuple[str, ...] = ()
    mirror: bool = False
    calibrated: bool = True
    numbers: tuple[str, ...] = ()
    source_channels: int = 0
    dark_bone: bool = False

    @property
    def inputs(self) -> int:
        """Channels of the image that a translator is given."""
        return self.source_channels or self.channels


@dataclass(frozen=True)
class Adam:
    """Adam's settings for one network."""

    lr: float
    betas: tuple[float, float]


@dataclass(frozen=True)
class Phase:
    """One update: which networks train, on what loss.

    Attributes:
        name: Shown in logs.
        trains: Names of the recipe's networks that this phase updates; all others stay frozen.
        loss: Batch -> (scalar loss, logs). It neither calls backward nor touches an optimiser.
        repeats: Updates in a row, each on a fresh batch (n-critic).
        every: Run only on steps divisible by this (lazy regularisation).
    """

    name: str
    trains: tuple[str, ...]
    loss: Callable[[Batch], tuple[Tensor, Logs]]
    repeats: int = 1
    every: int = 1


class Recipe(nn.Module):
    """Networks (direct children) + ``phases()`` + ``preview()``; no disk, device or optimiser.

    State that is not a weight (a replay buffer, say) is a buffer of the recipe itself:
    the engine saves and restores it together with the networks.
    """

    Config: ClassVar[type[Any]]
    """The frozen dataclass of the recipe's settings; ``Config()`` is the tuned default."""

    conditional: ClassVar[bool] = False
    """Whether it makes images of an asked class, and at asked numbers."""

    averaged: ClassVar[tuple[str, ...]] = ()
    """Networks whose exponential moving average is what ``preview`` and users sample from."""

    agreed: ClassVar[tuple[str, ...]] = ()
    """Own buffers (float) that the recipe steers itself by: the engine averages them over the
    processes after every step, so that all of them steer alike."""

    sampled_with: ClassVar[tuple[str, ...]] = ()
    """Own buffers that samples depend on: kept with the averaged networks in ``weights.pt``."""

    images_per_step: int = 1
    """Images of one step over all processes; the engine tells, before the first."""

    def __init__(self, config: Any, spec: Spec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec

    def phases(self) -> list[Phase]:
        """The updates of one step, in order."""
        raise NotImplementedError

    def begin_step(self, progress: float) -> None:
        """Note in a buffer, if need be, that ``progress`` in [0, 1] of the training is done.

        Called before the phases of every step; schedules other than the learning rate's hang on it.
        """

    def adam(self, net: str) -> Adam:
        """Optimiser settings of one network."""
        raise NotImplementedError

    def learning_rate_factor(self, progress: float) -> float:
        """Factor on every learning rate at ``progress`` in [0, 1] of the training."""
        return 1.0

    def ema_half_life(self, batch_size: int) -> float:
        """Half-life of the moving average in images (StyleGAN2-ADA: 10/32 kimg per batch item)."""
        return batch_size * 10_000 / 32

    def scores(self, batch: Batch) -> Logs:
        """What the critics think of ``batch`` and of fakes made beside it, without gradient."""
        raise NotImplementedError

    def preview(self, batch: Batch, seed: int) -> dict[str, Tensor]:
        """Named image stacks (N, C, H, W) in [-1, 1] for the eye; equal seeds give equal images.

        A noise recipe gives ``{"samples": ...}`` in rows of one class; a translator gives
        ``{"source": ..., "translated": ..., ...}`` of ``batch``, with
        ``back`` where there is a way back and ``target`` where there are pairs.
        """
        raise NotImplementedError

    def state_buffers(self) -> dict[str, Tensor]:
        """The recipe's own buffers, without those of its networks."""
        return dict(self.named_buffers(recurse=False))


class NoiseRecipe(Recipe):
    """A recipe that makes images from noise, and from a class and numbers if it is conditional."""

    averaged = ("generator",)
    latent: int

    def sample(
        self, noise: Tensor, label: Tensor | None = None, numbers: Tensor | None = None
    ) -> Tensor:
        """Images (N, C, H, W) in [-1, 1].

        Args:
            noise: (N, latent).
            label: (N,) int64, where there are classes.
            numbers: (N, K) float32, standardised, where ``spec.numbers`` names K.
        """
        raise NotImplementedError

    def sample_like(self, batch: Batch, noise: Tensor) -> Tensor:
        """Images for ``noise``, each with the condition of the batch's image in its place."""
        return self.sample(
            noise,
            batch["label"] if self.conditional and self.spec.classes else None,
            batch["numbers"] if self.conditional and self.spec.numbers else None,
        )

    def style_like(self, batch: Batch, noise: Tensor) -> Tensor:
        """What noise and condition have become before the generator's first block.

        StyleGAN's w, (N, length); without a mapping network, the coarsest features (N, c, 4, 4).

        Args:
            batch: ``label`` (N,) and ``numbers`` (N, K), as far as the recipe is conditioned.
            noise: (N, latent).
        """
        raise NotImplementedError

    def from_style(self, style: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of :meth:`style_like`'s result: ``sample_like``'s own."""
        raise NotImplementedError

    def readers(self) -> Readers:
        """The weights that read the noise or the style first."""
        raise NotImplementedError

    def noise_for(self, batch: Batch) -> Tensor:
        """Fresh noise (N, latent) for as many images as ``batch`` has, on its device."""
        images = batch["image"]
        return torch.randn(len(images), self.latent, device=images.device)

    @torch.no_grad()
    def preview(self, batch: Batch, seed: int) -> dict[str, Tensor]:
        """``samples``: about as many rows as columns, each of one class, with equal noise for all.

        With numbers a row has one noise, and the first number goes from low to high over its
        columns, the others staying in the middle: one head, from below to above.
        """
        random = torch.Generator().manual_seed(seed)
        columns, device = PREVIEW_COLUMNS, device_of(self)
        classes = max(1, len(self.spec.classes)) if self.conditional else 1
        names = self.spec.numbers if self.conditional else ()
        rows = max(1, columns // classes)
        noise = torch.randn(rows * (1 if names else columns), self.latent, generator=random)
        noise = noise.repeat_interleave(columns if names else 1, dim=0).repeat(classes, 1)
        numbers = torch.zeros(len(noise), len(names))
        numbers[:, :1] = torch.linspace(-1, 1, columns).repeat(len(noise) // columns)[:, None]
        told = {
            "label": torch.arange(classes).repeat_interleave(rows * columns).to(device),
            "numbers": numbers.to(device),
        }
        return {"samples": self.sample_like(told, noise.to(device))}


def require_at_least(config: object, **least: float) -> None:
    """Refuse settings below their least value.

    Raises:
        ConfigError: If one is.
    """
    for name, bound in least.items():
        value = getattr(config, name)
        if value < bound:
            raise ConfigError(f"--set {name}={value:g}: must be at least {bound:g}")


@dataclass(frozen=True)
class TranslatorConfig:
    """Settings of every :class:`TranslationRecipe`; equal networks make recipes comparable."""

    width: int = 32
    """Feature channels at full size; the papers have 64."""
    learning_rate: float = 2e-4
    """Adam's step, constant for half of the training, then linear to 0."""

    def __post_init__(self) -> None:
        """Refuse what no training could follow.

        Raises:
            ConfigError: If there is no feature, no step, or a weight below 0.
        """
        weights = [one.name for one in fields(self) if one.name.endswith("_weight")]
        require_at_least(self, width=1, **dict.fromkeys(weights, 0))
        if self.learning_rate <= 0:
            raise ConfigError(f"--set learning_rate={self.learning_rate:g}: must be above 0")


class TranslationRecipe(Recipe):
    """A recipe that maps images of a source modality to a target modality.

    Its batches hold ``source`` (N, ``spec.inputs``, H, W) and ``target`` (N, ``spec.channels``,
    H, W), both in [-1, 1].
    """

    paired: ClassVar[bool] = False
    """Whether ``source`` and ``target`` of a batch must show the same slice of a patient."""
    adjacent: ClassVar[int] = 1
    """Neighbouring slices that an image of volumes holds unless somebody asks for others."""

    def translate(self, image: Tensor) -> Tensor:
        """Target-like images (N, C, H, W) for source images (N, inputs, H, W), in [-1, 1]."""
        raise NotImplementedError


def device_of(module: nn.Module) -> torch.device:
    """The device that holds a module's weights."""
    return next(module.parameters()).device
