"""Which scans a translator is scored on, and their truth; a short score for ``translate``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.apps.translate_sources import targets_of
from medimg_gan.console import say
from medimg_gan.data.domains import sequence_of
from medimg_gan.data.index import build_index, say_what_is_wrong
from medimg_gan.data.layouts import SEQUENCES
from medimg_gan.data.placing import ONE_GRID_MM
from medimg_gan.data.split_file import SPLIT_FILE, read_split
from medimg_gan.data.visits import common_name
from medimg_gan.errors import DataError, MedimgError
from medimg_gan.evaluation import translation
from medimg_gan.evaluation.translation_pictures import Shown, draw
from medimg_gan.files import written_aside
from medimg_gan.imaging import Volume, read_files, read_series
from medimg_gan.imaging.orientation import furthest_apart
from medimg_gan.metrics.paired import mean_absolute_error, spread_agreement
from medimg_gan.modalities import MODALITIES

if TYPE_CHECKING:
    from medimg_gan.apps.translate_sources import Visit
    from medimg_gan.data.index import Scan
    from medimg_gan.data.settings import DataConfig
    from medimg_gan.evaluation.translation import Mask
    from medimg_gan.synthesis import Translator


NOBODY_KNOWN = (
    "no patient here is named in the run's split: new patients, or the training's under other "
    "pseudonyms (another --cache; half of a folder that names nobody), which would flatter"
)


def truths_in(source: DataConfig, folder: Path, translator: Translator) -> list[Scan]:
    """The true target scans of a folder; all, where nothing tells of what.

    Args:
        source: Flags of the source scans; what they say of those alone is not asked of the truth.
        folder: Of the true target scans.
        translator: Of a trained run.

    Raises:
        DataError: If it holds other scans than the translator makes.
    """
    if not folder.is_dir():
        raise DataError(f"--truth {folder}: no such folder", fix="check its spelling")
    index = build_index(source.of_truth(folder, translator.target))
    say_what_is_wrong(index)
    found = targets_of(index, translator)
    other = folder.resolve().name.lower() in {*MODALITIES, *SEQUENCES} - _words_for(translator)
    if not found and not other:
        untold = ("", "picture", translator.target)
        found = [s for s in index.scans if s.modality in untold and not sequence_of(s)]
    if not found:
        held = Counter(sequence_of(scan) or scan.modality for scan in index.scans)
        raise DataError(
            f"--truth {folder}: no {translator.target_name} scans",
            observed="it holds " + ", ".join(f"{name}: {n}" for name, n in held.items()),
            fix="the folder of the true targets, or a column 'sequence' in an index.csv there",
        )
    return found


def _words_for(translator: Translator) -> set[str]:
    """Names of a folder that holds what the translator makes."""
    wanted = translator.target_sequence or translator.target
    return {translator.target, *(word for word, name in SEQUENCES.items() if name == wanted)}


class Truths:
    """True target scans, and whose truth each is.

    A truth is named like its source scan; else it is the only target of a known patient who has
    one visit. Where several scans share a name, nobody can tell which is meant.

    Args:
        scans: Of the target.
        visits: All that is to be translated.
        given: Whether they are those of ``--truth``, named alike by the user's own word. In one
            folder, a name alike says nothing of two patients who are known to be different.
    """

    def __init__(self, scans: list[Scan], visits: list[Visit], *, given: bool) -> None:
        self.given = given
        self.by_name = _alone(scans, lambda scan: common_name(scan.path))
        once = _alone([visit[0] for visit in visits if visit[0].patient_known], _patient_of)
        known = _alone([scan for scan in scans if scan.patient_known], _patient_of)
        self.by_patient = {patient: known[patient] for patient in known.keys() & once.keys()}

    def of(self, visit: Visit) -> Scan | None:
        """The truth of a visit, or None where there is none."""
        for scan in visit:
            found = self.by_name.get(common_name(scan.path))
            if found is not None and (self.given or not _strangers(scan, found)):
                return found
        return self.by_patient.get(visit[0].patient)

    def none_for(self, visits: list[Visit]) -> DataError:
        """What to tell a user whose truths fit no scan."""
        return DataError(
            "--truth: no scan has a truth of the same name and grid",
            observed=f"truths are named like {next(iter(self.by_name), 'nothing')!r}, "
            f"scans like {common_name(visits[0][0].path)!r}",
        )


def _alone(scans: list[Scan], key: Callable[[Scan], str]) -> dict[str, Scan]:
    """By key the scans that share it with no other."""
    found: dict[str, list[Scan]] = defaultdict(list)
    for scan in scans:
        found[key(scan)].append(scan)
    return {name: own[0] for name, own in found.items() if len(own) == 1}


def _patient_of(scan: Scan) -> str:
    return scan.patient


def _strangers(one: Scan, other: Scan) -> bool:
    return one.patient_known and other.patient_known and one.patient != other.patient


def unseen(visits: list[Visit], run: Path) -> tuple[list[Visit], bool]:
    """The visits to measure on, and whether they are those of validation patients.

    Validation patients may have been looked at while training, so they serve only where there are
    no others; training patients never do.
    """
    split = read_split(run / SPLIT_FILE)
    by_split: dict[str, list[Visit]] = {"train": [], "val": [], "test": []}
    for visit in visits:
        by_split[split.get(visit[0].patient, "test")].append(visit)
    return by_split["test"] or by_split["val"], not by_split["test"]


def known_to(run: Path, scans: Iterable[Scan]) -> bool:
    """Whether any of these scans is of a patient whom the run's split names."""
    return not read_split(run / SPLIT_FILE).keys().isdisjoint(scan.patient for scan in scans)


def truth_of(visit: Visit, truths: Truths, grid: Volume, unit: str) -> Volume | None:
    """The truth of a visit on its own grid, or None where there is none.

    Raises:
        DataError: If it is a picture's grey levels and ``unit``, the translator's, is not, or the
            other way round.
    """
    other = truths.of(visit)
    if other is None:
        return None
    truth = read_series(other.series)
    if (truth.unit == "display") != (unit == "display"):
        raise DataError(
            f"{other.path}: a truth in {truth.unit} for a translator to {unit}",
            cause="pictures of 8 bit beside volumes with a unit",
            fix="a run that was trained on data of this kind",
        )
    shape = grid.array.shape
    if truth.array.shape != shape:
        return None
    return truth if furthest_apart(truth.affine, grid.affine, shape) <= ONE_GRID_MM else None


def read_visit(visit: Visit) -> list[Volume]:
    """Its volumes, as a translator takes them."""
    return [read_series(scan.series) for scan in visit]


def body(source: Volume, truth: Volume, translator: Translator) -> Mask:
    """Where errors count: the body in the source or in the truth."""
    in_truth = translation.body_of(truth, translator.target)
    return translation.body_of(source, translator.source) | in_truth


def shown(source: Volume, made: Volume, truth: Volume | None, translator: Translator) -> Shown:
    """What the picture of a scan needs."""
    values = None
    if truth is not None:
        values = translator.as_made(truth)
    return Shown(source, made, values, *translation.limits_of(made.unit, translator.scale))


@dataclass(frozen=True)
class Compared:
    """A short score of translations.

    Attributes:
        error: Patient (pseudonym) -> mean absolute error inside the body, in the target's unit.
        uncertainty: How the uncertainty goes with the true error, inside the body: ``spearman``
            and ``pearson`` of voxels, each the mean over the scans; {} where none was written.
        scans: How many were compared.
    """

    error: dict[str, float]
    uncertainty: dict[str, float]
    scans: int


def compare(
    visits: list[Visit],
    truths: Truths,
    translator: Translator,
    picture: Path,
    spread_of: Callable[[Visit], Path] | None,
) -> Compared:
    """Hold translations against their truths; a scan that cannot be is told, and left out.

    ``evaluate`` measures more.

    Args:
        visits: What is translated.
        truths: Theirs; who has none is passed over.
        translator: Of a trained run.
        picture: PNG to write: first source, translated, truth, error in the windows of CT.
        spread_of: Where the uncertainty of a visit's translation was written, if it was.
    """
    errors: dict[str, list[float]] = defaultdict(list)
    agreements = []
    for visit in visits:
        try:
            volumes = read_visit(visit)
            truth = truth_of(visit, truths, volumes[0], translator.unit)
            if truth is None:
                continue
            # Made again: a written picture has its file's grey levels, not the target's values.
            made = translator.translate(volumes)
            what = shown(volumes[0], made, truth, translator)
            spread = read_files([spread_of(visit)]) if spread_of else None
        except MedimgError as error:
            say(f"  not compared: {visit[0].path}: {error.one_line()}")
            continue
        assert what.truth is not None
        if not errors:
            with written_aside(picture) as aside:
                aside.write_bytes(draw(what))
        where = body(volumes[0], truth, translator)
        errors[visit[0].patient].append(mean_absolute_error(made.array, what.truth, where))
        if spread is not None:
            agreements.append(spread_agreement(spread.array, made.array, what.truth, where))
    return Compared(
        {patient: float(np.mean(values)) for patient, values in errors.items()},
        {
            name: float(np.mean([one[name] for one in agreements]))
            for name in (agreements[0] if agreements else ())
        },
        sum(map(len, errors.values())),
    )
