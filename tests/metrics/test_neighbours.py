"""Nearest neighbours by hand, and a generator that copies is caught."""

from __future__ import annotations

import numpy as np
import pytest

from medimg_gan.metrics.neighbours import copy_check, duplicate_check, nearest


def test_distance_and_index_by_hand():
    references = np.stack([np.zeros((1, 2, 2)), np.ones((1, 2, 2))]).astype(np.float32)
    queries = np.full((3, 1, 2, 2), 0.75, dtype=np.float32)
    queries[1] = 0.0
    distance, index = nearest(queries, references)
    assert index.tolist() == [1, 0, 1]
    assert distance == pytest.approx([0.25, 0.0, 0.25])


def test_copies_are_caught_and_fresh_slices_are_not():
    generator = np.random.default_rng(0)
    training, held_out, fresh = (generator.normal(size=(n, 1, 8, 8)) for n in (80, 100, 400))
    copies = training + 0.01 * generator.normal(size=training.shape)
    assert copy_check(copies, held_out, training).too_close == 1.0
    clean = copy_check(fresh, held_out, training)
    assert clean.too_close < 0.15
    assert clean.synthetic == pytest.approx(clean.held_out, rel=0.05)


def test_duplicates_are_closer_than_any_two_real_pictures():
    real = np.zeros((4, 1, 2, 2), np.float32)
    real[:, 0] = np.array([0.0, 0.1, 0.4, 0.4])[:, None, None]  # the last two are one picture
    made = np.zeros((5, 1, 2, 2), np.float32)
    made[:, 0] = np.array([0.5, -0.5, 0.45, -0.5, 0.9])[:, None, None]
    found = duplicate_check(made, real)
    assert found.limit == pytest.approx(0.1)
    assert (found.samples, found.duplicates) == (5, 2)
    assert found.closest == pytest.approx(0, abs=1e-6)
    alike = duplicate_check(np.zeros((300, 1, 2, 2), np.float32), real)
    assert alike.duplicates == 299
