"""How real and how various the synthetic slices are, beside the same figure of real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.metrics.images import IMAGE_METRICS, PIXELS, ImageSet, compare
from medimg_gan.study.features import extractor_of
from medimg_gan.study.synthetic_additions import synthesise_checked

if TYPE_CHECKING:
    from medimg_gan.metrics.features import Extractor
    from medimg_gan.study.data import StudyConfig, StudyData
    from medimg_gan.types import FloatArray

FIGURES = ("frechet", "kid", "precision", "recall", "density", "coverage", "similarity")
MOST = 128
"""Slices in a compared set: a CPU takes some 3 s for the features of each set."""
ALL = "all classes"


def fidelity(folds: Sequence[StudyData], config: StudyConfig) -> dict[str, Any]:
    """Figures of fidelity and diversity; each is the mean over the folds.

    Synthetic slices are compared with as many test slices, and so are real training slices: the
    floor, what other patients' real slices reach at that count. Test patients chose nothing, not
    even the generator's weights.

    Args:
        folds: The study's data, one for each fold.
        config: Names the features.

    Returns:
        ``features``, and ``figures`` of the minority and of all classes together, each with the
        number of ``images`` in a set (the fewest of the folds).
    """
    parts = [_figures_of(data, config) for data in folds]
    figures = []
    for key in dict.fromkeys(key for part in parts for key in part):
        entries = [part[key] for part in parts if key in part]
        figures.append(
            {
                **entries[0],
                "images": min(entry["images"] for entry in entries),
                "synthetic": float(np.mean([entry["synthetic"] for entry in entries])),
                "real": float(np.mean([entry["real"] for entry in entries])),
            }
        )
    return {"features": config.features, "figures": figures}


def slices_compared(data: StudyData) -> int:
    """Slices of which features are taken in a fold: synthetic, test and training ones."""
    return 3 * sum(sum(_counts(data, labels).values()) for labels in _groups(data).values())


def _groups(data: StudyData) -> dict[str, list[int]]:
    return {data.minority_name: [data.minority], ALL: list(range(len(data.classes)))}


def _counts(data: StudyData, labels: list[int]) -> dict[int, int]:
    """Label -> slices of it in each compared set."""
    most = MOST // len(labels)
    return {
        label: min(most, *(int((part.labels == label).sum()) for part in (data.train, data.test)))
        for label in labels
    }


def _figures_of(data: StudyData, config: StudyConfig) -> dict[tuple[str, str], dict[str, Any]]:
    extractor = extractor_of(data, config)
    return {
        (group, figure["name"]): {"group": group, **figure}
        for group, labels in _groups(data).items()
        for figure in _compared(data, config, extractor, labels)
    }


def _compared(
    data: StudyData, config: StudyConfig, extractor: Extractor, labels: list[int]
) -> list[dict[str, Any]]:
    """The figures of some classes; empty where there are too few real slices for any."""
    counts = _counts(data, labels)
    numbers = np.repeat(list(counts), list(counts.values()))
    if len(numbers) < 2:
        return []
    generator = np.random.default_rng([config.seed, 11])

    def chosen(images: FloatArray, count: int) -> FloatArray:
        return images[np.sort(generator.permutation(len(images))[:count])]

    def described(parts: list[FloatArray]) -> ImageSet:
        images = np.concatenate(parts)
        return ImageSet({PIXELS: images, extractor.name: extractor(images)}, numbers)

    test, train = (
        described([chosen(part.of_class(label), count) for label, count in counts.items()])
        for part in (data.test, data.train)
    )
    synthetic = described(
        [
            synthesise_checked(data, count, label, config.seed)
            for label, count in counts.items()
            if count
        ]
    )
    pairs = zip(compare(test, synthetic, FIGURES), compare(test, train, FIGURES), strict=True)
    return [
        {
            "name": made.metric,
            "title": IMAGE_METRICS[made.metric].title,
            "about": IMAGE_METRICS[made.metric].about,
            "images": len(numbers),
            "synthetic": made.value,
            "real": real.value,
            "higher_is_better": {"higher": True, "lower": False}.get(
                IMAGE_METRICS[made.metric].better
            ),
        }
        for made, real in pairs
        if made.value is not None and real.value is not None
    ]
