"""Translate whole volumes with a trained run; geometry is the source's own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from medimg_gan import runs
from medimg_gan.apps.common import (
    ENDING,
    FlatData,
    already_finished,
    default_device,
    write_volume,
)
from medimg_gan.config import as_dict
from medimg_gan.console import progress, say
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import ConfigError, DataError, MedimgError, RunError

if TYPE_CHECKING:
    from medimg_gan.data.index import Scan
    from medimg_gan.synthesis import Translator


@dataclass(frozen=True, kw_only=True)
class Config:
    """Translate whole volumes; grid, spacing and orientation stay the source's."""

    run: Path
    """Folder of a finished train-cyclegan run."""
    source: FlatData = field(default_factory=DataConfig)
    out: Path
    """Folder to write to."""
    format: Literal["nifti", "dicom", "png"] = "nifti"
    """What to write; png only for scans of a single slice."""
    truth: Path | None = None
    """Folder of the true target scans, named alike: adds comparison.png and the error in the
    patients that the training did not see."""
    restart: bool = False
    """Delete what an earlier call left in --out and begin again."""


def main(config: Config) -> None:
    """Translate every scan of the source modality, one at a time."""
    next_step = f"python scripts/index.py --data {config.out}"
    if already_finished(config.out, "translate", config, next_step):
        return
    runs.read_json(config.run / runs.MANIFEST)  # a misspelt --run is answered at once
    from medimg_gan.data.index import build_index, say_what_is_wrong
    from medimg_gan.imaging import read_series
    from medimg_gan.synthesis import Translator, load_run

    translator = load_run(config.run, default_device())
    if not isinstance(translator, Translator):
        raise RunError(
            f"{config.run}: makes slices from noise, it does not translate",
            fix="give the folder of a train-cyclegan run",
        )
    if config.source.data is None:
        raise ConfigError("translate needs scans", fix="--data DIR")
    index = build_index(config.source).of_modality(translator.source)
    say_what_is_wrong(index)
    if config.format == "png" and any(scan.series.shape[2] > 1 for scan in index.scans):
        raise ConfigError("--format png: these are volumes of many slices", fix="--format nifti")
    run = runs.open_run(config.out, "translate", as_dict(config), restart=config.restart)
    problems = []
    with progress("translating", len(index.scans), "scans") as ticker:
        for scan in index.scans:
            path = _place(scan, config)
            if not path.exists():  # files appear complete: an interrupted call goes on here
                try:
                    volume = translator.translate(read_series(scan.series))
                    about = f"translated from {translator.source} to {translator.target}"
                    write_volume(volume, path, config.format, translator.scale, about)
                except MedimgError as error:
                    problems.append({"path": scan.path, "reason": error.one_line()})
            ticker.advance()
    for problem in problems:
        say(f"  not translated: {problem['path']}: {problem['reason']}")
    done = len(index.scans) - len(problems)
    if not done:
        raise DataError(
            f"{index.root}: none of {len(problems)} scans could be translated",
            observed=f"the first: {problems[0]['reason']}",
        )
    error = _compared(config, translator, index.scans) if config.truth else {}
    run.finish(
        translated=done,
        not_translated=problems,
        source=translator.source,
        target=translator.target,
        error=error,
    )
    say(f"\n{done} {translator.target} volumes: {config.out}")
    say(f"next: {next_step}")


def _compared(config: Config, translator: Translator, scans: list[Scan]) -> dict[str, float]:
    """Print and return the error against the truth; the picture goes to ``comparison.png``."""
    from statistics import mean, stdev

    from medimg_gan.apps import comparison

    truth = comparison.truths(replace(config.source, data=config.truth))
    unseen = comparison.held_out(scans, config.run)
    picture = config.out / "comparison.png"
    errors = comparison.compare(unseen, truth, translator, picture)
    spread = stdev(errors.values()) if len(errors) > 1 else 0.0
    say(
        f"mean absolute error inside the body: {mean(errors.values()):.1f} {translator.unit} "
        f"(spread {spread:.1f} over {len(errors)} patients that the training did not see)"
    )
    say(f"source | translated | truth: {picture}")
    return errors


def _place(scan: Scan, config: Config) -> Path:
    """``out/<patient pseudonym>/<series key>``: no name of a patient's own folder."""
    return config.out / scan.patient / f"{scan.series.key}{ENDING[config.format]}"
