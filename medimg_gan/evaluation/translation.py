"""How right is a translated volume? Every figure of one scan, then of all patients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.metrics import paired
from medimg_gan.metrics.lesions import Lesion, invented, invention_threshold, lesions_of
from medimg_gan.metrics.similarity import multiscale_similarity, similarity
from medimg_gan.metrics.statistics import Interval, mean_of_patients
from medimg_gan.metrics.structure import structure_distance
from medimg_gan.metrics.surfaces import dice, surface_distance_95
from medimg_gan.modalities import DISPLAY, Scale
from medimg_gan.modalities.body import body_mask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from medimg_gan.imaging import Volume
    from medimg_gan.types import FloatArray

    Figures = dict[str, float]
    Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Measure:
    """A figure in words.

    Attributes:
        title: Shown in tables.
        unit: "" for none, "value" for the unit of the target's values.
        better: Which way is better.
        digits: Behind the point.
    """

    title: str
    unit: str
    better: str
    digits: int


VALUE = "value"
MEASURES: dict[str, Measure] = {
    "mae": Measure("MAE in the body", VALUE, "lower", 1),
    "me": Measure("ME in the body", VALUE, "near 0", 1),
    **{
        f"{kind}_{tissue}": Measure(f"{kind.upper()} in {tissue}", VALUE, better, 1)
        for kind, better in (("mae", "lower"), ("me", "near 0"))
        for tissue in paired.TISSUES
    },
    "psnr": Measure("PSNR", "dB", "higher", 2),
    "ssim": Measure("SSIM, masked", "", "higher", 3),
    "ms_ssim": Measure("MS-SSIM, masked", "", "higher", 3),
    "bone_dice": Measure("Dice of bone", "", "higher", 3),
    "bone_hd95": Measure("HD95 of bone", "mm", "lower", 1),
    "slope_error": Measure("z-gradient error", f"{VALUE}/mm", "lower", 2),
    "slope_ratio": Measure("z-gradient error over the truth's gradient", "", "lower", 3),
    "edges": Measure("Edge agreement", "", "higher", 3),
    "structure": Measure("Structure distance to the source", "", "lower", 3),
    "structure_of_truth": Measure("... of the truth to the source", "", "", 3),
    "histogram": Measure("Histogram distance to real scans", VALUE, "lower", 1),
    "histogram_of_real": Measure("... of a real scan to the others", VALUE, "", 1),
    "cycle": Measure("Cycle error", "% of range", "lower", 2),
    "spread_spearman": Measure("Uncertainty against the error, Spearman", "", "higher", 2),
    "spread_pearson": Measure("Uncertainty against the error, Pearson", "", "higher", 2),
}  # fmt: skip
"""What can be measured, in the order of the tables."""


def limits_of(unit: str, scale: Scale) -> tuple[float, float]:
    """Fixed range of PSNR and SSIM: CT's in HU, a picture's grey levels, else the run's scale."""
    if unit == "HU":
        return paired.HU_RANGE
    return (DISPLAY.low, DISPLAY.high) if unit == "display" else (scale.low, scale.high)


def body_of(volume: Volume, modality: str) -> Mask:
    """The body in a scan of a known modality."""
    unit = volume.unit if volume.unit == "display" else ("HU" if modality == "ct" else "signal")
    return body_mask(volume.array, modality, unit)


def against_truth(
    made: FloatArray,
    truth: FloatArray,
    body: Mask,
    spacing: tuple[float, float, float],
    unit: str,
    limits: tuple[float, float],
) -> Figures:
    """The figures of one scan that need its truth; what cannot be measured is NaN.

    Args:
        made: (I, J, K) translated values.
        truth: (I, J, K) true values in the same unit.
        body: (I, J, K) voxels that count.
        spacing: mm along I, J, K.
        unit: "HU" adds tissues and bone; without slices' neighbours there is no z-gradient.
        limits: Range of PSNR and SSIM.
    """
    found = {
        "mae": paired.mean_absolute_error(made, truth, body),
        "me": paired.mean_error(made, truth, body),
        "psnr": paired.peak_signal_to_noise(made, truth, body, limits),
        "ssim": similarity(made, truth, body, limits),
        "ms_ssim": multiscale_similarity(made, truth, body, limits),
        "edges": paired.edge_agreement(made, truth, body),
    }
    if unit == "HU":
        for name, where in paired.tissues(truth, body).items():
            found[f"mae_{name}"] = paired.mean_absolute_error(made, truth, where)
            found[f"me_{name}"] = paired.mean_error(made, truth, where)
        bone, true_bone = ((values >= paired.BONE) & body for values in (made, truth))
        found["bone_dice"] = dice(bone, true_bone)
        found["bone_hd95"] = surface_distance_95(bone, true_bone, spacing)
    if truth.shape[2] > 1:
        found["slope_error"] = paired.slope_error(made, truth, body, spacing[2])
        own = paired.slope(truth, body, spacing[2])
        found["slope_ratio"] = found["slope_error"] / own if own else float("nan")
    return found


def against_source(made: FloatArray, source: FloatArray, body: Mask) -> Figures:
    """What can be said of a scan without its truth."""
    return {"structure": structure_distance(source, made, body)}


@dataclass
class LesionCount:
    """Lesions over all scans; fill it with :meth:`see`, scans with lesions first.

    Half of the lesions' median strength is the threshold for invented ones.
    """

    lesions: list[Lesion] = field(default_factory=list)
    new: list[int] = field(default_factory=list)

    def see(
        self,
        made: FloatArray,
        truth: FloatArray,
        body: Mask,
        mask: Mask,
        spacing: tuple[float, float, float],
    ) -> None:
        """Count the lesions of one scan; values in HU."""
        inside = paired.tissues(truth, body)
        tissue = inside["soft"] | inside["fat"]
        if mask.any():
            self.lesions += lesions_of(made, truth, mask, tissue, spacing)
        else:
            threshold = invention_threshold(self.lesions)
            self.new.append(len(invented(made, truth, tissue, spacing, threshold)))

    def as_dict(self) -> dict[str, Any]:
        """Counts, rates and contrast; None where there is nothing to divide by."""
        visible = [lesion for lesion in self.lesions if lesion.visible]
        ratios = [lesion.ratio for lesion in visible]
        return {
            "lesions": len(self.lesions),
            "visible": len(visible),
            "kept": sum(lesion.kept for lesion in visible),
            "kept_share": _share([lesion.kept for lesion in visible]),
            "median_contrast_ratio": float(np.median(ratios)) if ratios else None,
            "scans_without": len(self.new),
            "invented": sum(self.new),
            "scans_with_invented": sum(count > 0 for count in self.new),
            "invented_share": _share([count > 0 for count in self.new]),
            "threshold": invention_threshold(self.lesions),
        }


def _share(flags: list[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def by_patient(rows: Iterable[tuple[str, Figures]]) -> dict[str, Figures]:
    """Patient -> mean of each figure over the patient's scans; NaN ones are left out."""
    gathered: dict[str, dict[str, list[float]]] = {}
    for patient, figures in rows:
        for name, value in figures.items():
            gathered.setdefault(patient, {}).setdefault(name, []).append(value)
    return {
        patient: {name: _finite_mean(values) for name, values in figures.items()}
        for patient, figures in gathered.items()
    }


@dataclass(frozen=True)
class Summary:
    """One figure over the patients: mean with its interval, and the spread between patients."""

    name: str
    interval: Interval
    spread: float
    patients: int


def summaries(patients: dict[str, Figures]) -> list[Summary]:
    """Each measured figure over the patients, in the order of ``MEASURES``."""
    found = []
    for name in MEASURES:
        values = [figures[name] for figures in patients.values() if name in figures]
        finite = [value for value in values if np.isfinite(value)]
        if finite:
            spread = float(np.std(finite, ddof=1)) if len(finite) > 1 else np.nan
            found.append(Summary(name, mean_of_patients(finite), spread, len(finite)))
    return found


def _finite_mean(values: list[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else np.nan
