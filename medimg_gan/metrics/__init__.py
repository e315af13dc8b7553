"""Measures of a trained classifier and of synthetic slices; numpy in, numbers out.

To add one: a function of the signature ``Score`` in ``classification.py`` and a line in METRICS.
"""

from __future__ import annotations

from medimg_gan.metrics.classification import METRICS, Metric, Outcome

__all__ = ["METRICS", "Metric", "Outcome"]
