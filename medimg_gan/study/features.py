"""The features in which filters, near copies and fidelity of a study are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medimg_gan.metrics.features import build_extractor

if TYPE_CHECKING:
    from medimg_gan.metrics.features import Extractor
    from medimg_gan.study.data import StudyConfig, StudyData


def extractor_of(data: StudyData, config: StudyConfig) -> Extractor:
    """Slices (n, 1, H, W) -> features (n, d); built once, from training slices if from any."""
    key = config.features, config.classifier.device
    if key not in data.extractors:
        data.extractors[key] = build_extractor(
            config.features, data.train.images, config.classifier.device
        )
    return data.extractors[key]
