"""Measure how good a trained GAN's images are, or how right a translator's volumes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medimg_gan import runs
from medimg_gan.apps.common import (
    FlatData,
    WeightsName,
    alarms_of,
    already_finished,
    default_device,
    say_if_embedded,
    with_embedded_data,
)
from medimg_gan.config import as_dict
from medimg_gan.console import progress, say
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import ConfigError, LabelError

if TYPE_CHECKING:
    from medimg_gan.evaluation import Material, RealSlices
    from medimg_gan.metrics.measurements import Instrument
    from medimg_gan.synthesis import Generator
    from medimg_gan.types import FloatArray

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
        if not self.features or len(set(self.features)) < len(self.features):
            raise ConfigError("--features: name one or several different extractors")


def main(config: Config) -> None:
    """Load the run, sample as many slices as there are held-out ones, measure, write, print."""
    folder = config.out or config.run / "evaluation"
    next_step = f"look at the pictures and tables in {folder}"
    if already_finished(folder, "evaluate", config, next_step):
        return
    facts = runs.read_json(config.run / runs.MANIFEST)  # a misspelt --run is answered at once
    from medimg_gan.synthesis import Generator, load_run

    generator = load_run(config.run, default_device(), config.weights)
    translates = not isinstance(generator, Generator)
    if config.truth is not None and not translates:
        raise ConfigError(f"--truth: {config.run} makes slices from noise, of which none is true")
    run = runs.open_run(folder, "evaluate", as_dict(config), restart=config.restart)
    source = _source(config, facts, "translation" if translates else "classification")
    if not isinstance(generator, Generator):
        from medimg_gan.apps.evaluate_translation import evaluate_translator

        truth = config.truth or _phantoms_truth(source)
        run.finish(counts=evaluate_translator(generator, source, truth, config.run, folder))
        return
    real, known = _real_slices(config, source, facts, generator, folder)
    material, instrument = _material(config, real, generator)
    _report(config, folder, material, instrument, real, known, generator)
    run.finish(counts=dict(zip(material.classes, material.counts, strict=True)))
    say(f"\nfigures: {folder}/evaluation.json, {folder}/figures.csv")
    say(f"pictures: {folder}/measurements.png, spectra.png, neighbours.png")


def _source(config: Config, facts: dict[str, Any], purpose: str) -> DataConfig:
    """The data flags as typed; where no data were named, those of the run.

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
    source = DataConfig(**given)
    say_if_embedded(source)
    return with_embedded_data(source, purpose)


def _phantoms_truth(source: DataConfig) -> Path | None:
    """The truth of a generated set, which lies beside its data."""
    folder = source.data.parent if source.data is not None else Path()
    manifest = folder / runs.MANIFEST
    made = manifest.exists() and runs.read_json(manifest).get("verb") == "make-phantom"
    return folder / "truth" if made else None


def _real_slices(
    config: Config, source: DataConfig, facts: dict[str, Any], generator: Generator, folder: Path
) -> tuple[RealSlices, bool]:
    """All real slices with the run's own split, and whether the patients are known."""
    import numpy as np

    from medimg_gan.data.dataset import SliceDataset
    from medimg_gan.data.prepare import SPLIT_FILE, prepare, read_split
    from medimg_gan.engine.watch import WEIGHTS_BEST
    from medimg_gan.evaluation import RealSlices
    from medimg_gan.synthesis import weights_file

    asked = generator.classes if generator.recipe.conditional else ()
    prepared = prepare(
        source,
        (generator.modality,),
        size=generator.recipe.spec.size,
        seed=int(facts.get("config", {}).get("seed", 0)),
        folder=folder,
        labelled=bool(asked),
        chain=generator.chain,
    )
    missing = sorted(set(asked) - set(prepared.classes))
    if missing:
        raise LabelError(
            f"{source.data}: no slices of {', '.join(missing)}, which the GAN makes",
            observed=f"classes of the data: {', '.join(prepared.classes) or 'none'}",
            fix="give the labels or the mask that the GAN was trained with",
        )
    rows = prepared.cache.rows
    kept = rows["label"].isin(asked) if asked else rows["split"] != ""
    dataset = SliceDataset(prepared.cache, np.flatnonzero(kept), asked)
    # The run's own split, whatever these data alone would have been dealt.
    split_of = read_split(config.run / SPLIT_FILE)
    split = np.array([split_of.get(patient, "test") for patient in dataset.patients])
    real = RealSlices(
        images=dataset.images(),
        labels=dataset.labels,
        patients=dataset.patients,
        split=split,
        classes=asked or ("slices",),
        chosen_on_validation=weights_file(config.run, config.weights).name == WEIGHTS_BEST,
    )
    say(f"  of these, the run was trained on {int(real.trained.sum())} slices")
    return real, prepared.patients_known


def _material(
    config: Config, real: RealSlices, generator: Generator
) -> tuple[Material, Instrument]:
    from medimg_gan.evaluation import draw_material
    from medimg_gan.metrics.features import build_extractor
    from medimg_gan.metrics.measurements import make_instrument
    from medimg_gan.slices import middle_slice

    learned_from = real.images[real.trained] if real.trained.any() else real.images
    device = default_device()
    extractors = [build_extractor(name, learned_from, device) for name in config.features]
    instrument = make_instrument(
        learned_from,
        low=generator.scale.low,
        high=generator.scale.high,
        unit=generator.unit,
        pixel_mm=generator.pixel_mm,
    )

    def synthesise(count: int, label: int, seed: int) -> FloatArray:
        name = real.classes[label] if generator.recipe.conditional and generator.classes else None
        return middle_slice(generator.sample_encoded(count, name, seed))

    named = {extractor.name: extractor for extractor in extractors}
    material = draw_material(
        real, synthesise, named, instrument, most=config.count, seed=config.seed
    )
    return material, instrument


def _report(
    config: Config,
    folder: Path,
    material: Material,
    instrument: Instrument,
    real: RealSlices,
    patients_known: bool,
    generator: Generator,
) -> None:
    """Compute, print and write everything."""
    from medimg_gan.evaluation import plots, results
    from medimg_gan.evaluation.checks import copies, duplicates
    from medimg_gan.evaluation.figures import all_rows, cautions
    from medimg_gan.slices import middle_slice

    consistency = _consistency(config, material, real)
    rows, found = all_rows(material), copies(material, real)
    notes = cautions(material, patients_known=patients_known, flattered=real.flattered)
    notes += alarms_of(config.run)
    say("\n" + results.in_words(rows, found, consistency, notes))
    among = None
    if config.copies:
        many = generator.sample_encoded(config.copies, seed=config.seed)
        among = duplicates(middle_slice(many), real)
        say(results.of_duplicates(among))
    results.write_results(
        folder,
        rows,
        material,
        instrument,
        copies=found,
        duplicates=among,
        class_consistency=consistency,
        notes=notes,
        features=list(config.features),
        run=str(config.run),
    )
    plots.plot_measurements(material, instrument, folder / "measurements.png")
    plots.plot_spectra(material, folder / "spectra.png")
    plots.draw_neighbours(material, real, folder / "neighbours.png")


def _consistency(config: Config, material: Material, real: RealSlices) -> dict[str, Any] | None:
    """Whether a classifier of real slices finds the asked classes in synthetic ones."""
    from medimg_gan.evaluation.checks import class_consistency

    parts = (real.trained, real.validation, real.test)
    if not config.classifier_steps or any(
        len(set(real.labels[part].tolist())) < 2 for part in parts
    ):
        return None
    with progress("training the classifier", config.classifier_steps) as ticker:
        return class_consistency(
            material,
            real,
            steps=config.classifier_steps,
            seed=config.seed,
            device=default_device(),
            advance=ticker.advance,
        )
