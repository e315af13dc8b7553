"""From a name to a network: one of the table, or the user's own ``module:function``."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from medimg_gan.classify.network import NETWORKS
from medimg_gan.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIGNATURE = "a function (classes) or (classes, width) that returns a torch module"


def find_network(name: str) -> Callable[[int, int], nn.Module]:
    """The builder ``(classes, width) -> module`` of a name.

    Args:
        name: A key of :data:`NETWORKS`, or ``module:function`` for the user's own, looked for in
            the current folder first. ``width`` is passed on where the function has it.

    Raises:
        ConfigError: If it is unknown, or the module cannot be imported or lacks the function.
    """
    if name in NETWORKS:
        return NETWORKS[name]
    if ":" not in name:
        near = difflib.get_close_matches(name, NETWORKS, n=1)
        raise ConfigError(
            f"classifier network {name!r} is not known",
            observed=f"known: {', '.join(NETWORKS)}, or my_module:build",
            fix=f"--classifier {near[0] if near else 'resnet10'}",
        )
    function = _attribute(name)

    def build(classes: int, width: int) -> nn.Module:
        with _current_folder_first():
            if "width" in inspect.signature(function).parameters:
                return function(classes, width=width)
            return function(classes)

    return build


def build_network(name: str, classes: int, width: int, seed: int) -> nn.Module:
    """The network of a name with its starting weights, drawn from the seed alone.

    Raises:
        ConfigError: As :func:`find_network`; or if the user's function fails or returns no module.
    """
    build = find_network(name)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        with _blamed_on(name, f"building it for {classes} classes fails", SIGNATURE):
            network = build(classes, width)
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"--classifier {name}: builds no torch module",
            observed=f"it returned a {type(network).__name__}",
            fix=SIGNATURE,
        )
    return network


def check_network(name: str, classes: int, size: int, width: int = 16) -> None:
    """Try a network on two blank slices before anything is trained.

    Args:
        name: As for :func:`find_network`.
        classes: Number of classes K.
        size: Side of the slices.
        width: As for ``ClassifierConfig``.

    Raises:
        ConfigError: If it cannot be built, has nothing to learn, fails on slices (2, 1, size,
            size), or gives anything but logits (2, K).
    """
    network = build_network(name, classes, width, seed=0)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ConfigError(f"--classifier {name}: has no parameter that could learn")
    shape = (2, 1, size, size)
    fix = f"take one-channel slices and give one logit per class: (N, {classes})"
    with torch.no_grad(), torch.random.fork_rng([]), _blamed_on(name, f"fails on {shape}", fix):
        logits = network(torch.zeros(shape))
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if found != (2, classes):
        raise ConfigError(
            f"--classifier {name}: does not give one logit per class",
            observed=f"slices {shape} gave {found}, expected {(2, classes)}",
            fix=fix,
        )


def network_identity(name: str) -> str:
    """The name, for the user's own with a hash of its file: an edited one is trained again."""
    if name in NETWORKS:
        return name
    path = getattr(sys.modules[_attribute(name).__module__], "__file__", None)
    code = Path(path).read_bytes() if path else b""
    return f"{name} {hashlib.sha256(code).hexdigest()[:12]}"


def _attribute(name: str) -> Callable[..., Any]:
    """The user's function of ``module:function``."""
    place, _, attribute = name.partition(":")
    try:
        with _current_folder_first(), _blamed_on(name, "importing the module fails", "mend it"):
            module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        near = difflib.get_close_matches(place, [path.stem for path in Path().glob("*.py")], n=1)
        raise ConfigError(
            f"--classifier {name}: there is no module {place!r}",
            observed="looked in the current folder, then among the installed packages",
            fix=f"--classifier {near[0]}:{attribute}" if near else f"write {place}.py here",
        ) from error
    found = getattr(module, attribute, None)
    if not callable(found):
        public = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
        raise ConfigError(
            f"--classifier {name}: {place} has no function {attribute!r}",
            observed=f"it has {', '.join(public) or 'none'}",
            fix=f"--classifier {place}:NAME, where NAME is {SIGNATURE}",
        )
    return found


@contextmanager
def _current_folder_first() -> Iterator[None]:
    """What ``python -m`` does; a script's or console command's search begins elsewhere."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


@contextmanager
def _blamed_on(name: str, what: str, fix: str) -> Iterator[None]:
    """Errors of the user's code become ours; those of an absent module of that name do not."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        place = name.partition(":")[0]
        if isinstance(error, ModuleNotFoundError) and f"{place}.".startswith(f"{error.name}."):
            raise
        raise ConfigError(
            f"--classifier {name}: {what}",
            observed=f"{type(error).__name__}: {error}",
            cause="the network's own code",
            fix=fix,
        ) from error
