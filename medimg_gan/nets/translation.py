"""The pair of CycleGAN (Zhu 2017, appendix 7.2): resnet generator and patch critic."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medimg_gan.nets.blocks import SLOPE, channels_last


class InstanceNorm(nn.Module):
    """Every channel of every image to mean 0 and variance 1 (Ulyanov 2016).

    Training on a CPU stores images pixel by pixel from here on, which makes the convolutions of a
    generator a third faster. Torch's own instance norm would turn them back into planes; the
    batch norm of a single image is its instance norm, and leaves the order alone.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> same shape."""
        if not self.training or features.device.type != "cpu":
            return F.instance_norm(features)  # which an exported network takes any batch through
        each = channels_last(features).split(1)
        return torch.cat([F.batch_norm(image, None, None, training=True) for image in each])


def residual_blocks(size: int) -> int:
    """Blocks of a generator of images of ``size`` pixels (Zhu 2017, appendix 7.2)."""
    return 6 if size <= 128 else 9


def critic_layers(size: int) -> int:
    """Strided layers of a patch critic: 70x70 pixels from 128 on, less where images are smaller."""
    return 3 if size >= 128 else 2 if size >= 64 else 1


class ResnetBlock(nn.Module):
    """Two reflected 3x3 convolutions with instance norm, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *_convolution(width, width, 3), nn.ReLU(), *_convolution(width, width, 3)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, width, H, W) -> same shape."""
        return features + self.branch(features)


class ResnetGenerator(nn.Module):
    """Image -> image: c7s1-w, d2w, d4w, R4w x blocks, u2w, uw, c7s1 in the paper's notation.

    Upsampling is nearest neighbour + convolution, which leaves no checkerboard (Odena 2016),
    where the paper has fractionally strided convolutions.

    Args:
        inputs: Channels of the image that is given.
        outputs: Channels of the image that is made.
        width: Feature channels at full size (the paper's 64).
        blocks: Residual blocks at a quarter of the size.
    """

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(inputs, width, 7), nn.ReLU(),
            *_convolution(width, 2 * width, 3, stride=2), nn.ReLU(),
            *_convolution(2 * width, 4 * width, 3, stride=2), nn.ReLU(),
            *(ResnetBlock(4 * width) for _ in range(blocks)),
            nn.Upsample(scale_factor=2), *_convolution(4 * width, 2 * width, 3), nn.ReLU(),
            nn.Upsample(scale_factor=2), *_convolution(2 * width, width, 3), nn.ReLU(),
            nn.Conv2d(width, outputs, 7, padding=3, padding_mode="reflect"),
        )  # fmt: skip
        _init_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        """(N, inputs, H, W) in [-1, 1] -> (N, outputs, H, W) float32; H, W divisible by 4."""
        return torch.tanh(self.layers(images).float())


class PatchCritic(nn.Module):
    """Image -> map of scores, each for one patch (Isola 2017); 3 layers see 70x70 pixels.

    Args:
        channels: Channels of the image.
        width: Feature channels after the first layer.
        layers: Convolutions of stride 2; 3, 2, 1 see 70, 34, 16 pixels.
    """

    def __init__(self, channels: int, width: int, layers: int) -> None:
        super().__init__()
        parts: list[nn.Module] = [
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
        ]
        before = width
        for layer in range(1, layers + 1):
            after = width * min(2**layer, 8)
            parts += [
                nn.Conv2d(before, after, 4, 2 if layer < layers else 1, padding=1, bias=False),
                InstanceNorm(),
                nn.LeakyReLU(SLOPE),
            ]
            before = after
        parts.append(nn.Conv2d(before, 1, 4, padding=1))
        self.layers = nn.Sequential(*parts)
        _init_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> scores (N, 1, h, w) float32."""
        return self.layers(images).float()


def _convolution(before: int, after: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """A reflected convolution and its instance norm; no bias, the norm would remove it."""
    convolution = nn.Conv2d(
        before, after, kernel, stride, kernel // 2, bias=False, padding_mode="reflect"
    )
    return [convolution, InstanceNorm()]


def _init_normal(network: nn.Module) -> None:
    """Normal(0, 0.02) weights, zero biases (Zhu 2017, appendix 7.1); stored channels last."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, 0.0, 0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
