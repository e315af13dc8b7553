"""Measure how good a trained GAN's images are, or how right a translator's volumes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medimg_gan import runs
from medimg_gan.apps.common import (
    FlatData,
    WeightsName,
    already_finished,
    default_device,
    say_if_embedded,
    with_embedded_data,
)
from medimg_gan.config import as_dict
from medimg_gan.console import say
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import ConfigError

if TYPE_CHECKING:
    from medimg_gan.synthesis import Translator

LEAST_SLICES = 12


@dataclass(frozen=True, kw_only=True)
class Config:
    """Measure how good a GAN's images are, or how right a translator's volumes.

    A GAN: distances, diversity, copies and measurements, beside real images. A translator: error
    in the body and by tissue, similarity, bone, consistency of slices, lesions, in new patients.

    Without --data, the run's own data and data flags are used.
    """

    run: Path
    """Folder of a finished train-gan or train-cyclegan run."""
    truth: Path | None = None
    """Translators: folder of the true target scans, named like the sources; default: the same
    patients' scans of the target modality in --data."""
    source: FlatData = field(default_factory=DataConfig)
    out: Path | None = None
    """Folder to write to; default: evaluation in the run's folder."""
    features: tuple[str, ...] = ("efficientnet-lite0",)
    """Extractors: efficientnet-lite0, self-supervised, random, or ARCHITECTURE:FILE of your own
    weights (resnet50:RadImageNet.pt, torchscript:FILE)."""
    count: int = 300
    """Most images in each compared set; more is slower and steadier."""
    classifier_steps: int = 600
    """Steps of the classifier that checks the classes; 0 leaves it out."""
    copies: int = 0
    """Slices made anew to look for duplicates among them, and for copies; 0 leaves it out."""
    uncertainty: int = 0
    """Translators: patients in a scan of each of whom the uncertainty is held against the true
    error (such a scan takes 11 times as long); 0 leaves it out."""
    seed: int = 0
    """Of the synthetic slices and of the choice of real ones."""
    weights: WeightsName = "best"
    restart: bool = False
    """Delete what an earlier call left in the folder and begin again."""

    def __post_init__(self) -> None:
        """Refuse at once what cannot be measured."""
        if self.count < LEAST_SLICES:
            raise ConfigError(f"--count {self.count}: must be at least {LEAST_SLICES}")
        if self.classifier_steps < 0:
            raise ConfigError(f"--classifier-steps {self.classifier_steps}: 0 or more")
        if self.copies < 0 or self.copies == 1:
            raise ConfigError(f"--copies {self.copies}: 0, or two at least")
        if self.uncertainty < 0:
            raise ConfigError(f"--uncertainty {self.uncertainty}: 0 or more")
        if not self.features or len(set(self.features)) < len(self.features):
            raise ConfigError("--features: name one or several different extractors")


def main(config: Config) -> None:
    """Load the run, measure, write, print."""
    folder = config.out or config.run / "evaluation"
    next_step = f"look at the pictures and tables in {folder}"
    if already_finished(folder, "evaluate", config, next_step):
        return
    facts = runs.read_json(config.run / runs.MANIFEST)  # a misspelt --run is answered at once
    from medimg_gan.synthesis import Generator, load_run

    generator = load_run(config.run, default_device(), config.weights)
    translates = not isinstance(generator, Generator)
    _refuse_what_is_of_translators(config, translates)
    run = runs.open_run(folder, "evaluate", as_dict(config), restart=config.restart)
    source = _source(config, facts, _phantom_for(facts) if translates else "classification")
    if isinstance(generator, Generator):
        from medimg_gan.apps.evaluate_slices import evaluate_generator

        counts = evaluate_generator(config, generator, source, facts, folder)
    else:
        from medimg_gan.apps.evaluate_translation import evaluate_translator

        truth = config.truth
        if truth is None and generator.source != generator.target:
            truth = _phantoms_truth(source, generator)
        say(f"truth: {truth or 'scans of the same patients in the data, where there are any'}")
        counts = evaluate_translator(
            generator, source, truth, config.run, folder, config.uncertainty
        )
    run.finish(counts=counts)


def _refuse_what_is_of_translators(config: Config, translates: bool) -> None:
    given = [name for name in ("truth", "uncertainty") if getattr(config, name)]
    if given and not translates:
        raise ConfigError(
            f"--{given[0]}: {config.run} makes slices from noise, of which none is true"
        )


def _source(config: Config, facts: dict[str, Any], purpose: str) -> DataConfig:
    """The data flags as typed; where no data were named, those of the run under what was typed.

    ``purpose`` says which phantom, where the run had no data either.
    """
    if config.source.data is not None:
        return config.source
    known = {one.name for one in fields(DataConfig)}
    given: dict[str, Any] = {
        name: Path(value) if name in ("data", "labels", "cache") and value else value
        for name, value in facts.get("config", {}).get("source", {}).items()
        if name in known
    }
    typed, default = as_dict(config.source), as_dict(DataConfig())
    changed = {name for name, value in typed.items() if value != default[name]}
    source = DataConfig(**given | {name: getattr(config.source, name) for name in changed})
    say_if_embedded(source)
    return with_embedded_data(source, purpose)


def _phantom_for(facts: dict[str, Any]) -> str:
    """Which phantom a translator was trained on, if on any."""
    sides = (*facts.get("sources", ()), facts.get("target", ""))
    return "translation" if set(sides) <= {"mri", "ct"} else "sequences"


def _phantoms_truth(source: DataConfig, translator: Translator) -> Path | None:
    """The truth of a generated set, which lies beside its data, by sequence if it has several."""
    folder = source.data.parent if source.data is not None else Path()
    manifest = folder / runs.MANIFEST
    if not (manifest.exists() and runs.read_json(manifest).get("verb") == "make-phantom"):
        return None
    truth = folder / "truth" / translator.target
    of_sequence = truth / translator.target_sequence
    return of_sequence if of_sequence.is_dir() else truth
