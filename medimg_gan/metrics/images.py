"""How alike two sets of images are: the table of measures, and what they are computed from.

During a training, beside held-out patients::

    extractors = {"random": build_extractor("random", training)}
    held_out = image_set(images, extractors)
    for score in compare(held_out, image_set(samples, extractors), LIVE):
        ...  # score.title, score.value
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from medimg_gan.metrics.diversity import similarity_among
from medimg_gan.metrics.frechet import frechet_distance
from medimg_gan.metrics.histogram import histogram_distance
from medimg_gan.metrics.kernel import Estimate, kernel_distance
from medimg_gan.metrics.measurements import correlation_distance, mean_distribution_distance
from medimg_gan.metrics.prdc import NEAREST, manifolds
from medimg_gan.metrics.radiomics import radiomics, radiomics_distance
from medimg_gan.metrics.spectrum import spectrum_distance

if TYPE_CHECKING:
    from medimg_gan.metrics.features import Extractor
    from medimg_gan.types import FloatArray, IntArray

PIXELS, RADIOMICS_SPACE, MEASUREMENTS = "pixels", "radiomics", "measurements"
OWN_SPACES = (PIXELS, RADIOMICS_SPACE, MEASUREMENTS)
"""What is not an extractor's features."""


@dataclass(frozen=True)
class ImageSet:
    """Images with what was computed from each, row by row.

    Attributes:
        spaces: Name -> (N, ...): ``pixels`` (N, 1, H, W) in [-1, 1], ``radiomics``,
            ``measurements``, and the features of each extractor under its name.
        labels: (N,) class numbers; zeros where there are no classes.
    """

    spaces: Mapping[str, FloatArray]
    labels: IntArray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: IntArray) -> ImageSet:
        """Some of the images."""
        return ImageSet({name: of[rows] for name, of in self.spaces.items()}, self.labels[rows])

    def of_class(self, label: int) -> ImageSet:
        """The images of one class."""
        return self.take(np.flatnonzero(self.labels == label))


@dataclass(frozen=True)
class ImageMetric:
    """One measure of a set of synthetic images against real ones.

    Attributes:
        score: (real, synthetic), arrays of the metric's space -> the figure.
        title: Shown with the name of the space that it was computed in.
        space: A name of ``OWN_SPACES``, or "features" for each extractor's.
        better: Whether lower or higher is better, or what is closest to the floor.
        about: One sentence.
        fewest: Images of each kind below which there is no figure.
        within_class: Whether the figure of all images is the mean over their classes.
    """

    score: Callable[[FloatArray, FloatArray], float | Estimate]
    title: str
    space: str
    better: Literal["lower", "higher", "closest"]
    about: str
    fewest: int = 2
    within_class: bool = False


@dataclass(frozen=True)
class Score:
    """A figure with its name, space, and standard error where there is one.

    ``value`` is None where there were too few images.
    """

    metric: str
    space: str
    value: float | None
    standard_error: float | None = None

    @property
    def title(self) -> str:
        """For example 'Fréchet distance (efficientnet-lite0)'."""
        return f"{IMAGE_METRICS[self.metric].title} ({self.space})"


def image_set(
    images: FloatArray,
    extractors: Mapping[str, Extractor],
    *,
    labels: IntArray | None = None,
    measure: Callable[[FloatArray], FloatArray] | None = None,
) -> ImageSet:
    """Compute from images (N, 1, H, W) in [-1, 1] what the measures need.

    Args:
        images: Real or synthetic.
        extractors: By name; see :func:`medimg_gan.metrics.features.build_extractor`.
        labels: (N,) class numbers.
        measure: :meth:`medimg_gan.metrics.measurements.Instrument.measure`; without it, measures
            of measurements are left out.
    """
    spaces = {PIXELS: images, RADIOMICS_SPACE: radiomics(images)}
    if measure is not None:
        spaces[MEASUREMENTS] = measure(images)
    spaces |= {name: extractor(images) for name, extractor in extractors.items()}
    return ImageSet(spaces, np.zeros(len(images), np.int64) if labels is None else labels)


def compare(
    real: ImageSet, synthetic: ImageSet, metrics: Sequence[str] | None = None
) -> list[Score]:
    """Every measure of ``synthetic`` against as many ``real`` images, in every space it has.

    Args:
        real: The reference.
        synthetic: What is judged; for a floor, other real images.
        metrics: Keys of :data:`IMAGE_METRICS`; default: all.

    Raises:
        ValueError: If the counts differ: most of the figures depend on them.
    """
    if len(real) != len(synthetic):
        raise ValueError(f"equal counts are compared; got {len(real)} and {len(synthetic)}")
    scores = []
    for key in metrics or IMAGE_METRICS:
        metric = IMAGE_METRICS[key]
        features = [name for name in real.spaces if name not in OWN_SPACES]
        for space in features if metric.space == "features" else [metric.space]:
            if space in real.spaces and space in synthetic.spaces:
                scores.append(_score(key, space, real, synthetic))
    return scores


def _score(key: str, space: str, real: ImageSet, synthetic: ImageSet) -> Score:
    metric = IMAGE_METRICS[key]
    pairs = [(real, synthetic)]
    if metric.within_class:
        classes = np.unique(synthetic.labels)
        pairs = [(real.of_class(label), synthetic.of_class(label)) for label in classes]
    found = [
        metric.score(one.spaces[space], other.spaces[space])
        for one, other in pairs
        if min(len(one), len(other)) >= metric.fewest
    ]
    if not found:
        return Score(key, space, None)
    error = found[0].standard_error if isinstance(found[0], Estimate) else None
    value = float(np.mean([one.value if isinstance(one, Estimate) else one for one in found]))
    return Score(key, space, value if np.isfinite(value) else None, error)


def _part_of_manifolds(name: str) -> Callable[[FloatArray, FloatArray], float]:
    def part(real: FloatArray, synthetic: FloatArray) -> float:
        return getattr(manifolds(real, synthetic), name)

    return part


def _similarity(_real: FloatArray, synthetic: FloatArray) -> float:
    return similarity_among(synthetic)


def _manifold(name: str, about: str) -> ImageMetric:
    score = _part_of_manifolds(name)
    return ImageMetric(score, name.capitalize(), "features", "higher", about, fewest=NEAREST + 1)


IMAGE_METRICS: dict[str, ImageMetric] = {
    "kid": ImageMetric(
        kernel_distance,
        "Kernel distance",
        "features",
        "lower",
        "Unbiased at any count, 0 on average for equal distributions; KID in these features.",
    ),
    "frechet": ImageMetric(
        frechet_distance,
        "Fréchet distance",
        "features",
        "lower",
        "Biased upwards at small counts: read it against the floor at the same count only.",
    ),
    "precision": _manifold("precision", "Share of synthetic images that look real."),
    "recall": _manifold("recall", "Share of real images that the generator could make."),
    "density": _manifold("density", "How deep synthetic images lie among real ones."),
    "coverage": _manifold("coverage", "Share of real images with a synthetic one close by."),
    "similarity": ImageMetric(
        _similarity,
        "MS-SSIM within class",
        PIXELS,
        "closest",
        "Likeness of the images among themselves: above the real ones' own means less variety.",
        within_class=True,
    ),
    "spectrum": ImageMetric(
        spectrum_distance,
        "Spectrum distance [dB]",
        PIXELS,
        "lower",
        "Difference of the radial power spectra: blur, noise, checkerboards.",
        fewest=1,
    ),
    "histogram": ImageMetric(
        histogram_distance,
        "Histogram distance [% of range]",
        PIXELS,
        "lower",
        "Distance of the distributions of all pixels' values.",
        fewest=1,
    ),
    "radiomics": ImageMetric(
        radiomics_distance,
        "Fréchet distance",
        RADIOMICS_SPACE,
        "lower",
        "Of first-order and texture features inside the body.",
    ),
    "measurements": ImageMetric(
        mean_distribution_distance,
        "Distribution distance [real SD]",
        MEASUREMENTS,
        "lower",
        "Mean over the measurements of their distributions' distance.",
    ),
    "correlations": ImageMetric(
        correlation_distance,
        "Correlation distance",
        MEASUREMENTS,
        "lower",
        "Mean absolute difference of the measurements' pairwise correlations.",
        fewest=3,
    ),
}
"""Every measure of a set of images, by the name it has in ``evaluation.json``."""

LIVE = ("kid", "precision", "recall", "coverage", "similarity", "spectrum", "histogram")
"""The quick ones, for a look now and then while a GAN trains."""
