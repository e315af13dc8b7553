"""Trained networks as files that other programs load: TorchScript, ONNX, safetensors.

Each file carries what is needed to use it (:func:`metadata`), and is held against the Python
network before it appears.
"""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from medimg_gan import __version__
from medimg_gan.errors import ConfigError, RunError
from medimg_gan.files import clear_unfinished_of, new_file
from medimg_gan.recipes import RECIPES, NoiseRecipe, Recipe, TranslationRecipe
from medimg_gan.synthesis import Generator, Translator, build_recipe

METADATA = "medimg_gan.json"
"""Where the metadata lie: TorchScript's extra file, the key in ONNX's and safetensors' own."""

TOLERANCE = 1e-4
"""Largest difference of an image's values, in [-1, 1], from the Python network's."""

ROWS = 4
"""Images of each class that are compared."""

Inputs = dict[str, Tensor]
Network = Callable[..., Tensor]
"""Inputs by name -> images."""


class Sampler(nn.Module):
    """``noise (N, latent), label (N,) int64, numbers (N, K) -> images``.

    No label where there are no classes, no numbers where the run was not conditioned on any.
    """

    def __init__(self, recipe: NoiseRecipe) -> None:
        super().__init__()
        self.recipe = recipe

    def forward(
        self, noise: Tensor, label: Tensor | None = None, numbers: Tensor | None = None
    ) -> Tensor:
        """Images (N, C, H, W) in [-1, 1]."""
        return self.recipe.sample(noise, label, numbers).clamp(-1, 1)


class TranslatorModule(nn.Module):
    """``image (N, C, H, W) in [-1, 1] -> translated image`` (of a CycleGAN: ``to_target``)."""

    def __init__(self, recipe: TranslationRecipe) -> None:
        super().__init__()
        self.recipe = recipe

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1]."""
        return self.recipe.translate(image).clamp(-1, 1)


@dataclass(frozen=True)
class Exported:
    """What came of an export.

    Attributes:
        metadata: As in the file.
        difference: Largest difference from the Python network's images.
        images: How many were compared.
    """

    metadata: dict[str, Any]
    difference: float
    images: int


def export(run: Generator | Translator, file_format: str, path: Path) -> Exported:
    """Write a trained run's network to a file, once it makes the same images as in Python.

    Args:
        run: From :func:`medimg_gan.synthesis.load_run`, on the CPU.
        file_format: A key of :data:`FORMATS`.
        path: The file; an older one is replaced.

    Raises:
        ConfigError: If the format's packages are not installed.
        RunError: If the file's images differ by more than :data:`TOLERANCE`; no file is left.
        DataError: If the disk refuses.
    """
    network = _module(run.recipe).eval()
    facts = metadata(run)
    inputs = _trial_inputs(run.recipe)
    clear_unfinished_of(path)
    with new_file(path) as aside, warnings.catch_warnings(), torch.no_grad():
        # torch calls its exporters for TorchScript and ONNX old, but its new ones refuse a stage
        # that is data (progressive growing) and need ten times as long.
        warnings.simplefilter("ignore")
        loaded = FORMATS[file_format](network, inputs, json.dumps(facts), aside)
        images = len(next(iter(inputs.values())))
        difference = max(
            _difference(network, loaded, {name: value[rows] for name, value in inputs.items()})
            for rows in (slice(None), slice(0, 1))  # a batch of another length, too
        )
        if not difference <= TOLERANCE:
            raise RunError(
                f"{path}: the exported network makes other images",
                observed=f"values differ by up to {difference:.1e}, expected at most {TOLERANCE}",
                fix="choose another --format, and report this",
            )
    return Exported(facts, difference, images)


def metadata(run: Generator | Translator) -> dict[str, Any]:
    """What a user of the file must know, as plain JSON values.

    Raw values are ``low + (image + 1) / 2 * (high - low)``, with ``low`` and ``high`` of
    ``scale``, in ``unit``. A network takes numbers standardised: -1 is ``low`` and 1 is ``high``
    of the column that ``numbers`` names in its place.
    """
    recipe = run.recipe
    facts: dict[str, Any] = {
        "medimg_gan": __version__,
        "recipe": next(name for name, entry in RECIPES.items() if entry is type(recipe)),
        "options": asdict(recipe.config),
        "spec": asdict(recipe.spec),
        "inputs": {name: list(value.shape[1:]) for name, value in _trial_inputs(recipe).items()},
        "unit": run.unit,
        "scale": {"low": float(run.scale.low), "high": float(run.scale.high)},
        "transform": asdict(run.chain),
    }
    if isinstance(run, Translator):
        return facts | {"source": run.source, "target": run.target}
    return facts | {
        "classes": list(run.classes),
        "numbers": [{"name": n.name, "low": n.low, "high": n.high} for n in run.numbers],
        "latent": run.recipe.latent,
        "modality": run.modality,
        "pixel_mm": run.pixel_mm,
    }


def _torchscript(network: nn.Module, inputs: Inputs, facts: str, path: Path) -> Network:
    """``torch.jit.load(path)`` runs it without this package."""
    traced = torch.jit.trace(network, example_kwarg_inputs=inputs, check_trace=False)
    torch.jit.save(traced, path, _extra_files={METADATA: facts})
    return torch.jit.load(path)


def _onnx(network: nn.Module, inputs: Inputs, facts: str, path: Path) -> Network:
    onnx, runtime = _installed("onnx", "onnx"), _installed("onnxruntime", "onnx")
    torch.onnx.export(
        network,
        (),
        str(path),
        kwargs=inputs,
        input_names=list(inputs),
        output_names=["images"],
        dynamic_axes={name: {0: "images"} for name in (*inputs, "images")},
        dynamo=False,
    )
    model = onnx.load(path)
    model.metadata_props.add(key=METADATA, value=facts)
    onnx.save(model, path)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(**values: Tensor) -> Tensor:
        (images,) = session.run(None, {name: value.numpy() for name, value in values.items()})
        return torch.from_numpy(images)

    return run


def _safetensors(network: nn.Module, inputs: Inputs, facts: str, path: Path) -> Network:
    """Weights alone; ``synthesis.build_recipe`` makes the network from the metadata."""
    library = _installed("safetensors.torch", "safetensors")
    trained = network.get_submodule("recipe")
    assert isinstance(trained, Recipe)
    names = tuple(f"{name}." for name in trained.averaged)
    weights = trained.state_dict().items()
    ours = {key: value.contiguous() for key, value in weights if key.startswith(names)}
    library.save_file(ours, path, metadata={METADATA: facts})
    recipe = build_recipe(json.loads(facts)).eval()
    missing = recipe.load_state_dict(library.load_file(path), strict=False).missing_keys
    assert not any(key.startswith(names) for key in missing)
    return _module(recipe)


FORMATS: dict[str, Callable[[nn.Module, Inputs, str, Path], Network]] = {
    "torchscript": _torchscript,
    "onnx": _onnx,
    "safetensors": _safetensors,
}
"""Writers ``(network, example inputs, metadata, path)``; each gives back what it reads there."""


def _module(recipe: NoiseRecipe | TranslationRecipe) -> nn.Module:
    return Sampler(recipe) if isinstance(recipe, NoiseRecipe) else TranslatorModule(recipe)


def _trial_inputs(recipe: NoiseRecipe | TranslationRecipe) -> Inputs:
    """Random inputs by name, ``ROWS`` of every class."""
    random, spec = torch.Generator().manual_seed(0), recipe.spec
    if isinstance(recipe, TranslationRecipe):
        shape = (ROWS, spec.inputs, spec.size, spec.size)
        return {"image": torch.rand(shape, generator=random) * 2 - 1}
    classes = len(spec.classes) if recipe.conditional else 0
    noise = torch.randn(ROWS * max(1, classes), recipe.latent, generator=random)
    told: Inputs = {"label": torch.arange(classes).repeat(ROWS)} if classes else {}
    if recipe.conditional and spec.numbers:
        told["numbers"] = torch.rand(len(noise), len(spec.numbers), generator=random) * 2 - 1
    return {"noise": noise, **told}


def _difference(one: Network, other: Network, inputs: Inputs) -> float:
    return (one(**inputs) - other(**inputs)).abs().max().item()


def _installed(name: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"--format {what}: a package is not installed",
            observed=f"no module {error.name}",
            fix="pip install 'medimg-gan[export]', or --format torchscript",
        ) from error
