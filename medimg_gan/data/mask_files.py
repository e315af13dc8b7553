"""Which file is whose mask: by a pattern of paths, or by what a DICOM SEG refers to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from medimg_gan.data.patterns import compile_pattern, stem_before_tail
from medimg_gan.errors import DataError, LabelError
from medimg_gan.imaging import Problem, Series
from medimg_gan.imaging.dicom_kind import SEGMENTATIONS
from medimg_gan.imaging.dicom_segmentation import (
    References,
    is_segmentation,
    own_identity,
    segmentation_header,
)


@dataclass(frozen=True)
class PatternMasks:
    """Masks that ``--mask`` names.

    Attributes:
        of_stem: What a mask and its image share in their paths -> mask file, pattern's fields.
    """

    of_stem: dict[str, tuple[Path, dict[str, str]]] = field(default_factory=dict)

    def of(self, path: str) -> tuple[Path, dict[str, str]] | None:
        """The mask of an image, by the longest shared beginning that ends with a word.

        '03/Pre' belongs to '03/Pre_T1.nii.gz', not to '03/Preop.nii.gz'.
        """
        ends = range(len(path), 0, -1)
        stems = (path[:end] for end in ends if not path[end : end + 1].isalnum())
        return next((self.of_stem[stem] for stem in stems if stem in self.of_stem), None)

    @property
    def files(self) -> set[Path]:
        """The mask files."""
        return {path for path, _ in self.of_stem.values()}


def masks_by_pattern(paths: Iterable[tuple[str, Path]], root: Path, pattern: str) -> PatternMasks:
    """The files that ``--mask`` matches.

    Args:
        paths: Path relative to ``root``, and path, of every file found.
        root: The data folder, for the message.
        pattern: "" for none.

    Raises:
        LabelError: If the pattern matches nothing.
    """
    if not pattern:
        return PatternMasks()
    expression, found, example = compile_pattern(pattern), {}, "nothing"
    for relative, path in paths:
        example = relative if example == "nothing" else example
        if match := expression.fullmatch(relative):
            fields = match.groupdict()
            found[stem_before_tail(pattern, fields)] = (path, fields)
    if not found:
        raise LabelError(
            f"--mask {pattern!r}: matches no file under {root}",
            observed=f"a path there looks like {example!r}",
            fix="write the pattern relative to --data, one {field} per varying part",
        )
    return PatternMasks(found)


@dataclass(frozen=True)
class Segmentations:
    """DICOM SEG files and the series that they were drawn on.

    Attributes:
        of_series: First file of a series -> its SEG.
        names: SEG -> label of each segment.
        problems: A line for each SEG that labels nothing here.
        rest: The problems that are about other files.
    """

    of_series: dict[Path, Path] = field(default_factory=dict)
    names: dict[Path, dict[int, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    rest: list[Problem] = field(default_factory=list)


def segmentations_among(problems: list[Problem], series: Iterable[Series]) -> Segmentations:
    """Join DICOM SEG files with series by the UIDs that they refer to, never by names.

    Args:
        problems: What was left out by ``find_series``, SEG files among it.
        series: Where their images may be.
    """
    files = [problem.path for problem in problems if _is_segmentation(problem)]
    if not files:
        return Segmentations(rest=problems)
    candidates: dict[str, list[tuple[Series, References]]] = defaultdict(list)
    for one in series:
        if one.format == "dicom":
            identity = own_identity(one.paths[0])
            for uid in identity.series:
                candidates[uid].append((one, identity))
    names: dict[Path, dict[int, str]] = {}
    reasons: dict[Path, str] = {}
    takers: dict[Path, list[Path]] = defaultdict(list)
    for path in files:
        try:
            references, names[path] = segmentation_header(path)
            takers[_series_of(references, candidates)].append(path)
        except DataError as error:
            reasons[path] = error.one_line()
    for claims in takers.values():
        for path in claims if len(claims) > 1 else ():
            reasons[path] = (
                f"left out: {len(claims)} DICOM SEGs refer to one series; fix: name the one to use "
                "in column 'mask' of index.csv, or remove the others"
            )
    return Segmentations(
        {first: claims[0] for first, claims in takers.items() if len(claims) == 1},
        names,
        [Problem(path, reason) for path, reason in reasons.items()],
        [problem for problem in problems if problem.path not in set(files)],
    )


def _is_segmentation(problem: Problem) -> bool:
    """Whether a file was left out as a scan because it is a DICOM SEG."""
    said = any(kind.name in problem.reason for kind in SEGMENTATIONS)
    return said and problem.path.is_file() and is_segmentation(problem.path)


def _series_of(
    references: References, candidates: dict[str, list[tuple[Series, References]]]
) -> Path:
    """The first file of the series that a SEG refers to.

    Raises:
        LabelError: If it is not here, or lies in another frame of reference.
    """
    known = references.series - {""} or candidates.keys()
    found = [pair for uid in sorted(known) for pair in candidates.get(uid, [])]
    if len(found) > 1 or not references.series:
        # One series UID may stand for several volumes (echoes): then the images decide.
        found = [pair for pair in found if _images_of(pair[0]) & references.images]
    if not found:
        raise LabelError(
            "left out: a DICOM SEG of a series that is not here",
            fix="put the images that it was drawn on into the same --data folder",
        )
    if len(found) > 1:
        raise LabelError(
            f"left out: a DICOM SEG that refers to {len(found)} series",
            fix="name it in column 'mask' of index.csv for the series that it is to label",
        )
    series, identity = found[0]
    if references.frame and identity.frame and references.frame != identity.frame:
        raise LabelError(
            "left out: a DICOM SEG in another frame of reference than its images",
            cause="its images were registered or anonymised anew after it was drawn",
            fix="export both again from one source",
        )
    return series.paths[0]


def _images_of(series: Series) -> frozenset[str]:
    return frozenset().union(*(own_identity(path).images for path in series.paths))
