"""From slices to patients, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from medimg_gan.metrics.patients import by_patient

PROBABILITIES = np.array(
    [[0.2, 0.5, 0.3], [0.6, 0.1, 0.3], [0.1, 0.9, 0.0], [0.3, 0.4, 0.3], [0.5, 0.2, 0.3]]
)
PATIENTS = np.array(["b", "b", "a", "c", "c"])
LABELS = np.array([0, 2, 1, 1, 0])


def test_mean_of_the_slices():
    joined, truth = by_patient(PROBABILITIES, LABELS, PATIENTS, 1, "mean")
    assert joined == pytest.approx(np.array([[0.1, 0.9, 0.0], [0.4, 0.3, 0.3], [0.4, 0.3, 0.3]]))
    assert truth.tolist() == [1, 0, 1], "a minority slice makes the patient one of the minority"


def test_highest_of_the_slices_and_the_rest_shared_out():
    joined, _ = by_patient(PROBABILITIES, LABELS, PATIENTS, 1, "max")
    assert joined[:, 1] == pytest.approx([0.9, 0.5, 0.4])
    assert joined.sum(axis=1) == pytest.approx(np.ones(3))
    assert joined[1, 0] / joined[1, 2] == pytest.approx(0.4 / 0.3)


def test_a_certain_finding_leaves_nothing_for_others():
    joined, _ = by_patient(np.array([[0.0, 1.0, 0.0]]), np.array([1]), np.array(["a"]), 1, "max")
    assert joined.tolist() == [[0, 1, 0]]
