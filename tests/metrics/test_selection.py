"""Greedy k-centre selection, by hand and against chance."""

from __future__ import annotations

import numpy as np
import pytest

from medimg_gan.metrics.selection import k_centre


def test_choices_by_hand():
    line = np.array([[0.0], [1.0], [4.0], [10.0]])  # mean 3.75: begins at 4, then 10, then 0
    assert k_centre(line, 3).tolist() == [2, 3, 0]
    assert k_centre(line, 0).tolist() == []
    assert sorted(k_centre(np.zeros((5, 2)), 5).tolist()) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="5 of 4"):
        k_centre(line, 5)


def test_small_clusters_are_covered_where_chance_leaves_some_out():
    random = np.random.default_rng(0)
    cluster = np.repeat(np.arange(8), [93, 1, 1, 1, 1, 1, 1, 1])
    points = 10 * np.eye(8)[cluster] + random.normal(0, 0.1, (100, 8))
    assert len(set(cluster[k_centre(points, 8)])) == 8
    by_chance = [len(set(cluster[random.choice(100, 8, replace=False)])) for _ in range(50)]
    assert max(by_chance) < 8
