"""The half of ``evaluate`` that measures GANs: synthetic slices beside real held-out ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.apps.common import alarms_of, default_device
from medimg_gan.console import progress, say
from medimg_gan.data.dataset import SliceDataset
from medimg_gan.data.prepare import prepare
from medimg_gan.data.split_file import SPLIT_FILE, read_split
from medimg_gan.engine.watch import WEIGHTS_BEST
from medimg_gan.errors import LabelError
from medimg_gan.evaluation import Material, RealSlices, draw_material, plots, results
from medimg_gan.evaluation.checks import class_consistency, copies, duplicates
from medimg_gan.evaluation.figures import all_rows, cautions
from medimg_gan.metrics.features import build_extractor
from medimg_gan.metrics.measurements import Instrument, make_instrument
from medimg_gan.modalities.nyul import StandardScale
from medimg_gan.slices import middle_slice
from medimg_gan.synthesis import Generator, weights_file

if TYPE_CHECKING:
    from medimg_gan.apps.evaluate import Config
    from medimg_gan.data.settings import DataConfig
    from medimg_gan.types import FloatArray


def evaluate_generator(
    config: Config, generator: Generator, source: DataConfig, facts: dict[str, Any], folder: Path
) -> dict[str, int]:
    """Sample as many slices as there are held-out ones, measure, write and print everything.

    Args:
        config: Flags of the verb.
        generator: Of the run.
        source: The data flags.
        facts: The run's manifest.
        folder: Where to write.

    Returns:
        Slices compared of each class, for the manifest.
    """
    real, known = _real_slices(config, source, facts, generator, folder)
    material, instrument = _material(config, real, generator)
    _report(config, folder, material, instrument, real, known, generator)
    say(f"\nfigures: {folder}/evaluation.json, {folder}/figures.csv")
    say(f"pictures: {folder}/measurements.png, spectra.png, neighbours.png")
    return dict(zip(material.classes, material.counts, strict=True))


def _real_slices(
    config: Config, source: DataConfig, facts: dict[str, Any], generator: Generator, folder: Path
) -> tuple[RealSlices, bool]:
    """All real slices with the run's own split, and whether the patients are known."""
    asked = generator.classes if generator.recipe.conditional else ()
    prepared = prepare(
        source,
        (generator.modality,),
        size=generator.recipe.spec.size,
        seed=0,  # nothing is dealt out
        folder=folder,
        labelled=bool(asked),
        chain=generator.chain,
        dealt=read_split(config.run / SPLIT_FILE),
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
    # Real slices as the run saw them: on its own standard scale, not on one of these data.
    standard = StandardScale.told_by(facts)
    dataset = SliceDataset(prepared.cache, np.flatnonzero(kept), asked, standard=standard)
    real = RealSlices(
        images=dataset.images(),
        labels=dataset.labels,
        patients=dataset.patients,
        split=rows.loc[kept, "split"].to_numpy(),
        classes=asked or ("slices",),
        chosen_on_validation=weights_file(config.run, config.weights).name == WEIGHTS_BEST,
        mirror=generator.recipe.spec.mirror,
    )
    say(f"  of these, the run was trained on {int(real.trained.sum())} slices")
    return real, prepared.patients_known


def _material(
    config: Config, real: RealSlices, generator: Generator
) -> tuple[Material, Instrument]:
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
