"""The classifier's network, and the table of those that can be named."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock


class SmallResNet(nn.Module):
    """A ResNet of four basic blocks (He et al. 2016) with a stem for small one-channel slices.

    The stem is one 3x3 convolution of stride 2 without pooling: at 64 pixels the original 7x7 stem
    with pooling would leave 2x2 values in the end.

    Args:
        classes: Number of outputs.
        width: Channels of the stem and the first block.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        widths = (width, width, 2 * width, 4 * width, 8 * width)
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.Sequential(
            *(_block(before, after) for before, after in itertools.pairwise(widths))
        )
        self.head = nn.Linear(8 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 1, H, W)."""
        return self.head(self.blocks(self.stem(images)).mean(dim=(2, 3)))


def _block(before: int, after: int) -> BasicBlock:
    if before == after:
        return BasicBlock(before, after)
    shortcut = nn.Sequential(nn.Conv2d(before, after, 1, 2, bias=False), nn.BatchNorm2d(after))
    return BasicBlock(before, after, 2, shortcut)


NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {"resnet10": SmallResNet}
"""Builders ``(classes, width) -> module`` of ``(N, 1, H, W) -> (N, K)`` logits."""
