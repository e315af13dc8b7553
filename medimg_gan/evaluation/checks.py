"""What a distance does not answer: are there copies, or duplicates; is a class what it says?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.classify import ClassifierConfig, TrainingSet, fit_classifier, predict
from medimg_gan.evaluation.plan import RealSlices
from medimg_gan.evaluation.sets import Material
from medimg_gan.metrics import METRICS, Outcome
from medimg_gan.metrics.images import MEASUREMENTS, PIXELS, RADIOMICS_SPACE
from medimg_gan.metrics.neighbours import copy_check, duplicate_check
from medimg_gan.metrics.outcome import once

if TYPE_CHECKING:
    from collections.abc import Callable

    from medimg_gan.types import FloatArray, IntArray


def copies(material: Material, real: RealSlices) -> dict[str, dict[str, Any]]:
    """Nearest training slices of synthetic and of held-out slices, in pixels and in features.

    Pixels are searched in all training slices and their mirrors, where it may have seen these;
    features in up to ``sets.MOST_SEARCHED`` slices as they are.
    """
    if material.searched is None:
        return {}
    found = {}
    for space in material.held_out.spaces:
        if space in (RADIOMICS_SPACE, MEASUREMENTS):
            continue
        in_pixels = space == PIXELS
        training = real.copied_from if in_pixels else material.searched.spaces[space]
        check = copy_check(
            material.synthetic.spaces[space], material.held_out.spaces[space], training
        )
        slices = int(real.trained.sum()) if in_pixels else len(training)
        found[space] = {**asdict(check), "training_slices": slices}
    return found


def duplicates(images: FloatArray, real: RealSlices) -> dict[str, Any]:
    """Duplicates among many synthetic slices, and copies of training slices, in pixels.

    Args:
        images: (N, 1, H, W) synthetic, in the classes' own shares.
        real: All real slices; the trained ones are what is copied, the others the control.
    """
    trained = real.images[real.trained]
    found = asdict(duplicate_check(images, trained if len(trained) > 1 else real.images))
    if len(trained):
        check = copy_check(images, real.images[real.held_out], real.copied_from)
        found["too_close_to_training"] = check.too_close
    return found


def class_consistency(
    material: Material,
    real: RealSlices,
    *,
    steps: int,
    seed: int,
    device: str,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Train a classifier on real slices, test it on synthetic ones (TRTS) and on held-out ones.

    Args:
        material: The compared sets.
        real: All real slices; validation's choose the classifier's best state.
        steps: Of the classifier.
        seed: Of its weights and of the order of the data.
        device: Where to train.
        advance: Called after every step.

    Returns:
        Balanced accuracy on ``real`` (held-out patients other than validation's) and
        ``synthetic`` slices, recall ``by_class`` of the synthetic ones, and counts.
    """
    images, labels = real.images[real.trained], real.labels[real.trained]
    counts = np.maximum(np.bincount(labels, minlength=len(real.classes)), 1)
    trained = TrainingSet(
        images, labels, np.zeros(len(labels), bool), loss_weights=1 / (counts * (1 / counts).mean())
    )
    minority = int(counts.argmin())
    classifier = fit_classifier(
        trained,
        real.images[real.validation],
        real.labels[real.validation],
        classes=len(real.classes),
        minority=minority,
        config=ClassifierConfig(steps=steps, device=device),
        seed=seed,
        advance=advance,
    )

    def score(images: FloatArray, labels: IntArray) -> tuple[float, FloatArray]:
        probabilities = predict(classifier, images)
        outcome = Outcome(probabilities, labels, minority, threshold=0.5)
        value = METRICS["balanced_accuracy"].score(outcome, once(outcome))[0]
        return float(value), probabilities.argmax(axis=1)

    on_real, _ = score(real.images[real.test], real.labels[real.test])
    synthetic = material.synthetic
    on_synthetic, called = score(synthetic.spaces[PIXELS], synthetic.labels)
    return {
        "real": on_real,
        "synthetic": on_synthetic,
        "by_class": {
            name: float((called[synthetic.labels == label] == label).mean())
            for label, name in enumerate(real.classes)
            if (synthetic.labels == label).any()
        },
        "real_slices": int(real.test.sum()),
        "synthetic_slices": len(synthetic),
        "classifier_steps": steps,
    }
