"""A feature extractor from a user's own file of weights (RadImageNet, SwAV, Inception ...)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from medimg_gan.errors import ConfigError

NAMED_FILE = re.compile(r"^(\w+):(.+)$")
HEADS = ("fc", "classifier", "head", "heads", "AuxLogits")
"""What torchvision's architectures call the layers that come after the features."""


def network_from_file(name: str) -> tuple[nn.Module, int, str]:
    """The network of ``ARCHITECTURE:FILE``, its input side, and the name to print.

    ``ARCHITECTURE`` is torchvision's name (``resnet50``, ``densenet121``, ``inception_v3`` ...),
    and the file a state dict of it; its last layer is cut off and need not be in the file. Keys may
    begin with ``module.`` (SwAV), or be numbered under ``backbone.`` (RadImageNet). Inputs are
    224 pixels (299 for Inception), three channels, normalised as for ImageNet.

    ``torchscript:FILE`` is a module that maps (N, 3, 224, 224) in [-1, 1] to (N, d).

    Raises:
        ConfigError: If the file cannot be read or does not fit the architecture.
    """
    matched = NAMED_FILE.match(name)
    assert matched is not None, "callers look first"
    architecture, path = matched[1], Path(matched[2]).expanduser()
    if not path.is_file():
        raise ConfigError(f"--features {name}: {path} is no file", fix="check its spelling")
    if architecture == "torchscript":
        network = _read(name, lambda: torch.jit.load(str(path), map_location="cpu"))
        return network, 224, f"torchscript:{path.name}"
    if architecture not in torchvision.models.list_models(torchvision.models):
        raise ConfigError(
            f"--features {name}: {architecture!r} is no architecture of torchvision",
            fix="resnet50:FILE, densenet121:FILE ..., or torchscript:FILE",
        )
    special: dict[str, Any] = {"init_weights": False} if architecture == "inception_v3" else {}
    network = torchvision.models.get_model(architecture, weights=None, **special)
    content = _read(name, lambda: torch.load(path, map_location="cpu", weights_only=True))
    _load(name, network, _plain_keys(content, network))
    for head in HEADS:
        if isinstance(getattr(network, head, None), nn.Module):
            setattr(network, head, None if head == "AuxLogits" else nn.Identity())
    side = 299 if architecture == "inception_v3" else 224
    return network, side, f"{architecture}:{path.name}"


def _read(name: str, reader: Any) -> Any:
    try:
        return reader()
    except Exception as error:
        # torch raises whatever its parser stumbled over; nothing else runs here.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(
            f"--features {name}: the file cannot be read",
            observed=reason,
            cause="not a state dict (tensors by name), or one with pickled classes",
            fix="save it again with torch.save(network.state_dict(), FILE)",
        ) from error


def _plain_keys(content: Any, network: nn.Module) -> dict[str, Tensor]:
    """The tensors under torchvision's own names."""
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    children = [child for child, _ in network.named_children()]
    plain = {}
    for key, value in state.items():
        key = key.removeprefix("module.").removeprefix("backbone.")
        number, _, rest = key.partition(".")
        if number.isdigit() and int(number) < len(children):
            key = f"{children[int(number)]}.{rest}"
        plain[key] = value
    return plain


def _load(name: str, network: nn.Module, state: dict[str, Tensor]) -> None:
    wanted = {
        key: value
        for key, value in network.state_dict().items()
        if key.partition(".")[0] not in HEADS
    }
    misfits = [
        key
        for key, value in wanted.items()
        if not (isinstance(state.get(key), Tensor) and state[key].shape == value.shape)
        and not key.endswith("num_batches_tracked")
    ]
    if misfits:
        raise ConfigError(
            f"--features {name}: the weights are not those of this architecture",
            observed=f"{len(misfits)} of {len(wanted)} tensors are absent or of another shape, "
            f"such as {misfits[0]}",
            fix="name the architecture that the file was saved from",
        )
    network.load_state_dict({key: state[key] for key in wanted if key in state}, strict=False)
