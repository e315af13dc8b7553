"""A resnet generator cut in two, so that its encoder's features can be compared (Park 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medimg_gan.nets.blocks import init_leaky
from medimg_gan.nets.translation import ResnetBlock, ResnetGenerator


class Encoder(nn.Module):
    """Images -> features at five places: pixels, both strided convolutions, blocks 1 and 5.

    Those are the layers 0, 4, 8, 12 and 16 of the reference implementation, which shrinks by a
    filter after its convolutions instead of a stride.

    Args:
        layers: Of a :class:`ResnetGenerator`, up to its fifth residual block.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers
        strided = [at for at, layer in enumerate(layers) if _strided(layer)]
        blocks = [at for at, layer in enumerate(layers) if isinstance(layer, ResnetBlock)]
        self._shown = {*strided, blocks[0], blocks[4]}

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, inputs, H, W) in [-1, 1] -> (N, c, h, w) each, finest first; the first are images."""
        shown, features = [images], images
        for at, layer in enumerate(self.layers):
            features = layer(features)
            if at in self._shown:
                shown.append(features)
        return shown


class Decoder(nn.Module):
    """The encoder's last features -> image.

    Args:
        layers: Of a :class:`ResnetGenerator`, after its fifth residual block.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, features: Tensor) -> Tensor:
        """(N, 4 width, h, w) -> (N, outputs, 4 h, 4 w) float32 in [-1, 1]."""
        return torch.tanh(self.layers(features).float())


def encoder_and_decoder(
    inputs: int, outputs: int, width: int, blocks: int
) -> tuple[Encoder, Decoder]:
    """The halves of a new ``ResnetGenerator(inputs, outputs, width, blocks)``, 5 blocks or more."""
    layers = ResnetGenerator(inputs, outputs, width, blocks).layers
    at = [at for at, layer in enumerate(layers) if isinstance(layer, ResnetBlock)]
    return Encoder(layers[: at[4] + 1]), Decoder(layers[at[4] + 1 :])


class PatchHead(nn.Module):
    """Features at some places -> unit vectors, by two linear layers for each feature map.

    Args:
        channels: Of each feature map.
        length: Of the vectors.
    """

    def __init__(self, channels: Sequence[int], length: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList(
            nn.Sequential(nn.Linear(count, length), nn.ReLU(), nn.Linear(length, length))
            for count in channels
        )
        init_leaky(self)

    def forward(self, features: list[Tensor], places: list[Tensor]) -> list[Tensor]:
        """Vectors (N, P, length) float32 of length 1, one tensor for each feature map.

        Args:
            features: (N, c, h, w) each.
            places: (P,) each, counted along rows from 0 to h w - 1.
        """
        found = []
        for head, feature, place in zip(self.maps, features, places, strict=True):
            chosen = feature.flatten(2)[:, :, place].transpose(1, 2)
            found.append(F.normalize(head(chosen).float(), dim=2))
        return found


def _strided(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.stride != (1, 1)
