"""The classifiers' networks, and the table of those that can be named.

All but ``resnet10`` are torchvision's or a wheel's own, with a first convolution for one grey
channel and small slices: of stride 2 (1 in EfficientNet, whose body halves the side four times)
without pooling. At 64 pixels the original stems, made for 224, would leave 2x2 values in the end.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import densenet121, efficientnet_b0, resnet18
from torchvision.models.resnet import BasicBlock

from medimg_gan.metrics.features import imagenet_lite0
from medimg_gan.nets.blocks import channels_last

LEAST_SIDE_OF_LITE0 = 128
"""Smaller slices are enlarged to it: filters learnt at 224 pixels see little in 2x2 values."""


class SmallResNet(nn.Module):
    """A ResNet of four basic blocks (He et al. 2016) with a stem for small one-channel slices.

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


class ImageNetLite0(nn.Module):
    """EfficientNet-Lite0 with ImageNet weights and a new last layer; all of it goes on learning.

    Its inputs are three colours in [-1, 1]: the grey channel is repeated.

    Args:
        classes: Number of outputs.

    Raises:
        ConfigError: If the packages that bring architecture and weights are not installed.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = imagenet_lite0("--classifier efficientnet-lite0", "--classifier resnet10")
        self.body._fc = nn.Linear(1280, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 1, H, W)."""
        side = min(images.shape[-2:])
        if side < LEAST_SIDE_OF_LITE0:
            images = F.interpolate(images, scale_factor=LEAST_SIDE_OF_LITE0 / side, mode="bilinear")
        return self.body(images.expand(-1, 3, -1, -1))


def _block(before: int, after: int) -> BasicBlock:
    if before == after:
        return BasicBlock(before, after)
    shortcut = nn.Sequential(_StridedPointwise(before, after, 1, bias=False), nn.BatchNorm2d(after))
    return BasicBlock(before, after, 2, shortcut)


class _StridedPointwise(nn.Conv2d):
    """A 1x1 convolution of every other pixel: that of stride 2, in two operations.

    In one, the gradient of fewer than 8 channels overwrites memory on CPUs without AVX-512, where
    they are stored pixel by pixel (oneDNN issue 6035): the process aborts.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H/2, W/2)."""
        return super().forward(channels_last(input[..., ::2, ::2]))


def _stem(channels: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(1, channels, 3, stride, padding=1, bias=False)


def _resnet18(classes: int, _width: int) -> nn.Module:
    network = resnet18(num_classes=classes)
    network.conv1, network.maxpool = _stem(64, 2), nn.Identity()  # type: ignore[assignment]
    return network


def _efficientnet_b0(classes: int, _width: int) -> nn.Module:
    network = efficientnet_b0(num_classes=classes)
    network.features[0][0] = _stem(32, 1)  # type: ignore[index]
    return network


def _densenet121(classes: int, _width: int) -> nn.Module:
    network = densenet121(num_classes=classes)
    network.features.conv0, network.features.pool0 = _stem(64, 2), nn.Identity()
    return network


NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {
    "resnet10": SmallResNet,
    "resnet18": _resnet18,
    "efficientnet-b0": _efficientnet_b0,
    "densenet121": _densenet121,
    "efficientnet-lite0": lambda classes, _width: ImageNetLite0(classes),
}
"""Builders ``(classes, width) -> module`` of ``(N, 1, H, W) -> (N, K)`` logits; only ``resnet10``
has a width to choose. ``efficientnet-lite0`` begins with ImageNet weights, the others with none."""
