"""From a run's folder to what was trained in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from medimg_gan.data.chain_settings import ChainConfig
from medimg_gan.data.number import Number
from medimg_gan.engine.checkpoint import load_weights
from medimg_gan.engine.loop import WEIGHTS
from medimg_gan.engine.watch import WEIGHTS_BEST
from medimg_gan.errors import RunError
from medimg_gan.modalities import MODALITIES, Scale
from medimg_gan.modalities.nyul import StandardScale
from medimg_gan.recipes import RECIPES, NoiseRecipe, Spec, TranslationRecipe
from medimg_gan.runs import MANIFEST, read_json
from medimg_gan.synthesis.generator import Generator
from medimg_gan.synthesis.translator import Translator

Weights = Literal["best", "last"]


def load_run(
    folder: str | Path, device: str = "cpu", weights: Weights = "best"
) -> Generator | Translator:
    """The trained networks of a run, ready to use.

    Args:
        folder: What ``train-gan`` or ``train-cyclegan`` wrote.
        device: Where to compute, as torch names it.
        weights: See :func:`weights_file`.

    Raises:
        RunError: If the folder is not a training run, or one that is not finished.
        CheckpointError: If its weights are damaged.
    """
    folder = Path(folder)
    facts = read_json(folder / MANIFEST)
    if "recipe" not in facts:
        raise RunError(
            f"{folder}: holds no trained networks",
            observed=f"it was made by '{facts.get('verb')}'",
            fix="give the folder of a train-gan or train-cyclegan run",
        )
    if not facts.get("finished"):
        raise RunError(
            f"{folder}: the training is not finished",
            fix="repeat the training's command; it goes on from the last checkpoint",
        )
    recipe = build_recipe(facts).to(device).eval().requires_grad_(False)
    load_weights(weights_file(folder, weights), recipe)
    scale = Scale(facts["scale"]["low"], facts["scale"]["high"])
    chain = ChainConfig.from_plain(facts.get("transform", {}))
    if isinstance(recipe, TranslationRecipe):
        standard = StandardScale.told_by(facts)
        return Translator(
            recipe,
            facts.get("source_modality", facts["source"]),
            facts.get("target_modality", facts["target"]),
            facts["unit"],
            scale,
            chain,
            standard,
            facts.get("adjacent", 1),
            tuple(name for name in facts.get("sources") or () if name not in MODALITIES),
            "" if facts["target"] in MODALITIES else facts["target"],
        )
    assert isinstance(recipe, NoiseRecipe)
    return Generator(
        recipe=recipe,
        classes=recipe.spec.classes,
        class_counts=tuple(facts["class_counts"]),
        modality=facts["modality"],
        unit=facts["unit"],
        scale=scale,
        pixel_mm=facts["scale"]["pixel_mm"],
        chain=chain,
        numbers=tuple(Number.from_plain(one) for one in facts.get("numbers", [])),
    )


def weights_file(folder: Path, weights: Weights) -> Path:
    """The weights of a run to use.

    Args:
        folder: Of the run.
        weights: best for those that came nearest to the validation patients by kernel distance
            (the last ones, where the training was not looked at), last for those it ended with.
    """
    best = folder / WEIGHTS_BEST
    return best if weights == "best" and best.exists() else folder / WEIGHTS


def build_recipe(facts: dict[str, Any]) -> Any:
    """The untrained recipe that a manifest describes (``recipe``, ``options``, ``spec``)."""
    recipe = RECIPES[facts["recipe"]]
    lists = {name: tuple(facts["spec"].get(name, ())) for name in ("classes", "numbers")}
    spec = {**facts["spec"], **lists}
    return recipe(recipe.Config(**facts["options"]), Spec(**spec))
