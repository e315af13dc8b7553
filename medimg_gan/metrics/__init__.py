"""Measures of a trained classifier and of synthetic slices; numpy in, numbers out.

To add one of a classifier: a function of the signature ``Score`` in ``classification.py`` and a
line in METRICS. To add one of a set of images: a function of two arrays and a line in
``IMAGE_METRICS`` (``images.py``).
"""

from __future__ import annotations

from medimg_gan.metrics.classification import METRICS, Metric
from medimg_gan.metrics.outcome import Outcome

__all__ = ["METRICS", "Metric", "Outcome"]
