"""Slices that form no single regular volume: cut into runs, converted by dcm2niix, or refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from medimg_gan.errors import DicomGeometryError
from medimg_gan.imaging import dcm2niix, orientation
from medimg_gan.imaging.dcm2niix import Part, PartsOf
from medimg_gan.imaging.dicom_geometry import (
    GapError,
    IrregularError,
    MosaicError,
    TiltedError,
    TimeSeriesError,
    even_runs,
    images_by_place,
    place_of,
    stack,
)
from medimg_gan.imaging.dicom_header import ACQUISITION, SliceHeader
from medimg_gan.imaging.series import Series, chosen_volumes, short_key, volume_notes
from medimg_gan.read_options import ReadOptions

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

MOST_APART = 0.1
"""Of a voxel: what may lie between the places that headers and dcm2niix give a corner."""


def regular_parts(
    headers: list[SliceHeader], error: IrregularError, options: ReadOptions
) -> list[tuple[list[SliceHeader], str]]:
    """Single volumes that the slices can simply be dealt into, each with a note; often none.

    Slices with gaps become evenly spaced runs if that is what was asked for. Time series of one
    file an image (or a mosaic) become the volumes that were asked for: at each place, images
    follow each other by Instance Number, then Acquisition Number.

    Raises:
        DicomGeometryError: If nothing tells the order in time.
        UnreadableError: If there are fewer volumes than the options ask for.
    """
    if len({header.path for header in headers}) < len(headers):
        return []  # frames of one file: dcm2niix knows how vendors order them
    if isinstance(error, GapError) and options.on_gap == "split":
        parts = even_runs(headers)
        return [
            (part, f"evenly spaced run {n + 1} of {len(parts)}") for n, part in enumerate(parts)
        ]
    several = len(headers) if isinstance(error, MosaicError) else len(images_by_place(headers))
    if isinstance(error, GapError | TiltedError) or several == 1:
        return []
    volumes = _in_time(headers, error)
    chosen = chosen_volumes(len(volumes), options, error.problem)
    return [(volumes[n], *volume_notes(n, len(volumes))) for n in chosen]


def _in_time(headers: list[SliceHeader], error: IrregularError) -> list[list[SliceHeader]]:
    """The slices of each time point, from the first."""
    places: dict[tuple[float, ...], list[tuple[tuple[int, str], SliceHeader]]] = defaultdict(list)
    for header in headers:
        time = (header.number or 0, header.kinds[ACQUISITION].rjust(12))
        # A mosaic is a volume by itself, wherever the next one lies.
        places[() if header.mosaic else place_of(header)].append((time, header))
    if any(len({time for time, _ in images}) < len(images) for images in places.values()):
        raise DicomGeometryError(
            error.problem,
            observed="images at one place share their Instance and Acquisition Numbers",
            cause="one series exported twice, or an export that dropped the order in time",
            fix="keep one of the two, or export the series again",
        ) from error
    in_order = [sorted(images, key=lambda image: image[0]) for images in places.values()]
    return [[header for _, header in volume] for volume in zip(*in_order, strict=True)]


def converted(
    base: Series, headers: list[SliceHeader], error: IrregularError, parts_of: PartsOf
) -> list[Series]:
    """The series that dcm2niix makes of the slices, one for each volume that is to be read.

    Args:
        base: What all of them share.
        headers: The slices.
        error: Why they form no single regular volume; raised where the options refuse it.
        parts_of: Tells what dcm2niix makes of files.

    Raises:
        DicomGeometryError: ``error``, or that not every slice went into the volumes.
        UnreadableError: If dcm2niix fails.
    """
    _refuse_unless_wanted(headers, error, base.options)
    paths = tuple(sorted(base.paths))
    parts = parts_of(paths, base.options.philips_scaling)
    _refuse_loss(headers, parts, error)
    wanted = [part for part in parts if part.resampled == _resampled(error, base.options)]
    if not wanted:
        raise error
    notes = (*base.notes, *_notes(error, base.options, wanted))
    return [
        replace(
            base,
            key=short_key(base.key, part.name, volume),
            paths=paths,
            shape=part.shape,
            spacing=orientation.spacing_of(affine),
            part=part.name,
            affine=tuple(map(tuple, affine.tolist())),
            volume=volume,
            notes=notes if volume is None else (*notes, *volume_notes(volume, part.volumes)),
        )
        for part, affine in [(part, _affine(part, headers, error)) for part in wanted]
        for volume in _volumes(part, base.options, error.problem)
    ]


def _refuse_unless_wanted(
    headers: list[SliceHeader], error: IrregularError, options: ReadOptions
) -> None:
    tilted, gap = isinstance(error, TiltedError), isinstance(error, GapError)
    alone = isinstance(error, TimeSeriesError) and len(images_by_place(headers)) == 1
    if alone or (tilted and options.on_tilt == "error") or (gap and options.on_gap != "resample"):
        raise error


def _refuse_loss(headers: list[SliceHeader], parts: list[Part], error: IrregularError) -> None:
    """A converter that leaves images out must not do so in silence."""
    whole = [part for part in parts if not part.resampled]
    made, given = sum(part.voxels for part in whole), sum(prod(header.size) for header in headers)
    volumes = sum(part.volumes for part in whole)
    if isinstance(error, MosaicError):  # one volume a picture, cut into tiles, the last empty
        cut = all(max(part.shape) < max(headers[0].size) for part in whole)
        complete = made <= given and volumes == len(headers) and cut
    else:
        complete = made == given
    if complete:
        return
    place = error.problem.split(": ")[0]
    raise DicomGeometryError(
        f"{place}: {dcm2niix.NAME} makes {made} voxels of {given}",
        observed=f"{volumes} volumes of {len(headers)} images",
        cause="images that belong to no volume, or that it takes for copies",
        fix="export the parts as series of their own",
    ) from error


def _affine(part: Part, headers: list[SliceHeader], error: IrregularError) -> FloatArray:
    """A part's affine in RAS order: from the slices' positions where they are known and fit.

    dcm2niix takes the distance of slices from a tag, which scanners round.

    Raises:
        DicomGeometryError: If it puts the volume elsewhere than the positions do.
    """
    if not isinstance(error, TimeSeriesError):
        return part.affine
    place = error.problem.split(": ")[0]
    grid = stack(list({place_of(header): header for header in headers}.values()), place)
    shape, affine = orientation.grid_in_ras(grid.shape, grid.affine)
    if shape != part.shape:
        return part.affine
    apart = orientation.furthest_apart(part.affine, affine, shape)
    if apart > MOST_APART * min(orientation.spacing_of(affine)):
        raise DicomGeometryError(
            f"{place}: {dcm2niix.NAME} puts the volume {apart:.3g} mm from where its slices say",
            cause="frames in an unusual order",
            fix="export it as single images",
        ) from error
    return affine


def _resampled(error: IrregularError, options: ReadOptions) -> bool:
    return isinstance(error, GapError) or (
        isinstance(error, TiltedError) and options.on_tilt == "resample"
    )


def _volumes(part: Part, options: ReadOptions, what: str) -> Sequence[int | None]:
    return [None] if part.volumes == 1 else chosen_volumes(part.volumes, options, what)


def _notes(error: IrregularError, options: ReadOptions, wanted: list[Part]) -> tuple[str, ...]:
    what = error.problem.split(": ", 1)[-1]
    if isinstance(error, TiltedError):
        kept = "kept on a grid that ignores it (--data.on-tilt keep): places are not exact"
        even = " with even gaps" if any("_Eq" in part.name for part in wanted) else ""
        done = f"resampled to an upright grid{even}" if options.on_tilt == "resample" else kept
        return (f"{what}: {done}",)
    if isinstance(error, GapError):
        return (f"{what}: interpolated to even gaps ({error.observed})",)
    return (what,)
