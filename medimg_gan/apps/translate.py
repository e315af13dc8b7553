"""Translate whole volumes with a trained run; geometry is the source's own."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from functools import partial
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
from medimg_gan.data.companions import COMPARISON, UNCERTAINTY
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import ConfigError, DataError, MedimgError, RunError
from medimg_gan.files import written_aside

if TYPE_CHECKING:
    from medimg_gan.apps.comparison import Truths
    from medimg_gan.apps.translate_sources import Visit
    from medimg_gan.synthesis import Translator

TABLE = "translated.csv"
"""File, patient's pseudonym and source series' keys of each volume."""
IDENTITY = (
    "--keep-identity: the written files name patients (name, ID, birth date, sex) and their "
    "studies; they are no more anonymous than the scans"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Translate whole volumes; grid, spacing and orientation stay the source's."""

    run: Path
    """Folder of a finished train-cyclegan run."""
    source: FlatData = field(default_factory=DataConfig)
    out: Path
    """Folder to write to."""
    format: Literal["nifti", "dicom", "png"] = "nifti"
    """What to write; png only for scans of a single slice. CT is int16 HU either way."""
    truth: Path | None = None
    """Folder of the true target scans, named alike: adds comparison.png and the error in the
    patients that the training did not see."""
    uncertainty: bool = False
    """Write <key>_uncertainty.nii.gz beside each volume: the standard deviation of each voxel over
    shifted and mirrored translations (10 times as slow); with --truth, say how well it tells
    the error."""
    keep_identity: bool = False
    """Copy name, ID, birth date and sex of the patient, and the study's UID, date, time, ID and
    accession number, from DICOM sources into DICOM output, and refer to the source images there.
    THE FILES THEN NAME PATIENTS. Without it nothing of a patient is copied, but for what
    --frame-of-reference says."""
    frame_of_reference: Literal["keep", "new"] = "keep"
    """keep: DICOM output overlays its DICOM source in viewers, since it shares the UID of its
    coordinate system, by which the source's archive could tell the study; new: no such link."""
    restart: bool = False
    """Delete what an earlier call left in --out and begin again."""

    def __post_init__(self) -> None:
        """Refuse at once what no format could do, and a truth that is not there."""
        if self.truth is not None and not self.truth.is_dir():
            raise DataError(f"--truth {self.truth}: no such folder", fix="check its spelling")
        if self.keep_identity and self.format != "dicom":
            raise ConfigError(
                f"--keep-identity with --format {self.format}",
                cause="only DICOM files carry an identity",
                fix="--format dicom, or leave --keep-identity away",
            )


def main(config: Config) -> None:
    """Translate every scan of the source modality, one at a time."""
    next_step = f"python scripts/index.py --data {config.out}"
    if already_finished(config.out, "translate", config, next_step):
        return
    runs.read_json(config.run / runs.MANIFEST)  # a misspelt --run is answered at once
    from medimg_gan.apps.translate_sources import as_trained, found_visits
    from medimg_gan.data.index import build_index, say_what_is_wrong
    from medimg_gan.synthesis import Translator, load_run

    translator = load_run(config.run, default_device())
    if not isinstance(translator, Translator):
        raise RunError(
            f"{config.run}: makes slices from noise, it does not translate",
            fix="give the folder of a train-cyclegan run",
        )
    if config.source.data is None:
        raise ConfigError("translate needs scans", fix="--data DIR")
    index = as_trained(build_index(config.source)).of_modality(translator.source)
    say_what_is_wrong(index)
    visits, left_out = found_visits(index, translator)
    _refuse_what_cannot_be(config, visits)
    truths = _truths(config, translator, visits)
    run = runs.open_run(config.out, "translate", as_dict(config), restart=config.restart)
    if config.keep_identity:
        say(IDENTITY)
    problems = _translate_all(config, translator, visits)
    for problem in problems:
        say(f"  not translated: {problem['path']}: {problem['reason']}")
    done = len(visits) - len(problems)
    if not done:
        raise DataError(
            f"{index.root}: none of {len(problems)} scans could be translated",
            observed=f"the first: {problems[0]['reason']}",
        )
    written = [visit for visit in visits if _place(visit, config).exists()]
    _write_table(config, written)
    facts = _compared(config, translator, written, truths) if truths else {"error": {}}
    # With a scan that failed the run stays unfinished, so that a repeated command tries it again.
    (run.note if problems else run.finish)(
        translated=done,
        not_translated=problems,
        left_out=left_out,
        source=translator.source,
        target=translator.target,
        sources=list(translator.sequences),
        **facts,
    )
    single = all(scan.series.shape[2] == 1 for visit in written for scan in visit)
    kind = "picture" if single else "volume"
    say(f"\n{done} {translator.target} {kind}{'s' * (done != 1)}: {config.out}")
    say(
        f"of which scan each was made: {config.out / TABLE} (its series are those of the "
        "index.csv that index.py makes of --data)"
    )
    if problems:
        say("the same command tries again what could not be translated")
    say(f"next: {next_step}")


def _refuse_what_cannot_be(config: Config, visits: list[Visit]) -> None:
    """Compare the flags with the scans, before a folder is made."""
    scans = [scan for visit in visits for scan in visit]
    if config.format == "png" and any(scan.series.shape[2] > 1 for scan in scans):
        raise ConfigError("--format png: these are volumes of many slices", fix="--format nifti")
    if config.keep_identity and any(scan.series.format != "dicom" for scan in scans):
        raise ConfigError(
            "--keep-identity: not all of these scans are DICOM",
            observed="files of other formats carry no identity",
            fix="leave it away, or translate the DICOM scans alone",
        )


def _translate_all(
    config: Config, translator: Translator, visits: list[Visit]
) -> list[dict[str, str]]:
    """Write what is not there yet; the visits that failed, with the reason."""
    problems = []
    with progress("translating", len(visits), "scans") as ticker:
        for visit in visits:
            try:
                _translate(config, translator, visit)
            except MedimgError as error:
                problems.append({"path": visit[0].path, "reason": error.one_line()})
            ticker.advance()
    return problems


def _translate(config: Config, translator: Translator, visit: Visit) -> None:
    """One visit; files appear complete, so an interrupted call goes on where it was."""
    from medimg_gan.imaging import origin_of, read_series, write_nifti

    path, unsure_path = _place(visit, config), _uncertainty_of(visit, config)
    if path.exists() and (unsure_path.exists() or not config.uncertainty):
        return
    volumes = [read_series(scan.series) for scan in visit]
    if config.uncertainty:
        volume, unsure = translator.translate_with_spread(volumes)
        write_nifti(unsure, unsure_path, kind="float32")
    else:
        volume = translator.translate(volumes)
    if path.exists():
        return
    origin = None
    series = visit[0].series
    if config.format == "dicom" and series.format == "dicom":
        keep = config.frame_of_reference == "keep"
        origin = origin_of(series.paths, frame_of_reference=keep, identity=config.keep_identity)
    write_volume(
        volume,
        path,
        config.format,
        translator.scale,
        f"translated from {translator.source_name} to {translator.target_name}",
        patient=visit[0].patient,
        origin=origin,
    )


def _truths(config: Config, translator: Translator, visits: list[Visit]) -> Truths | None:
    """What the translations are held against, looked for before hours are spent on them."""
    if config.truth is None:
        return None
    from medimg_gan.apps import comparison

    scans = comparison.truths_in(config.source, config.truth, translator)
    truths = comparison.Truths(scans, visits, given=True)
    if not any(truths.of(visit) for visit in visits):
        raise truths.none_for(visits)
    return truths


def _compared(
    config: Config, translator: Translator, visits: list[Visit], truths: Truths
) -> dict[str, dict[str, float]]:
    """Print and return the error against the truth; the picture goes to ``comparison.png``."""
    from statistics import mean, stdev

    from medimg_gan.apps import comparison

    unseen, validation = comparison.unseen(visits, config.run)
    if not unseen:
        say("--truth: the training saw all of these patients, so no error is told")
        return {"error": {}}
    if not comparison.known_to(config.run, (visit[0] for visit in visits)):
        say(f"note: {comparison.NOBODY_KNOWN}")
    picture = config.out / COMPARISON
    spread_of = partial(_uncertainty_of, config=config) if config.uncertainty else None
    found = comparison.compare(unseen, truths, translator, picture, spread_of)
    if not found.error:
        say(
            "--truth: no truth on its scan's grid is of a patient that the training did not see, "
            "so no error is told"
        )
        return {"error": {}}
    errors = found.error.values()
    spread = stdev(errors) if len(errors) > 1 else 0.0
    say(
        f"mean absolute error inside the body: {mean(errors):.1f} {translator.unit} "
        f"(spread {spread:.1f} over {len(errors)} patients that the training did not see"
        + (": the validation patients of the run)" if validation else ")")
    )
    say(f"source | translated | truth: {picture}")
    if not found.uncertainty:
        return {"error": found.error}
    say(
        "uncertainty against the true error, voxel by voxel inside the body: Spearman "
        f"{found.uncertainty['spearman']:.2f}, Pearson {found.uncertainty['pearson']:.2f} "
        f"(mean over {found.scans} scans)"
    )
    return {"error": found.error, "uncertainty": {**found.uncertainty, "scans": found.scans}}


def _place(visit: Visit, config: Config) -> Path:
    """``out/<patient pseudonym>/<series key>``: no name of a patient's own folder."""
    first = visit[0]
    return config.out / first.patient / f"{first.series.key}{ENDING[config.format]}"


def _uncertainty_of(visit: Visit, config: Config) -> Path:
    return config.out / visit[0].patient / f"{visit[0].series.key}{UNCERTAINTY}"


def _write_table(config: Config, visits: list[Visit]) -> None:
    """What was made of what: a source's path may name a patient, so its key stands for it."""
    with written_aside(config.out / TABLE) as aside, aside.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "patient", "series"])
        for visit in visits:
            place = _place(visit, config).relative_to(config.out).as_posix()
            keys = " ".join(scan.series.key for scan in visit)
            table.writerow([place, visit[0].patient, keys])
