"""The arms that a gain of synthetic slices is held against."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_study import CLEAN, NULL, TINY, planted

from medimg_gan.apps.augment import Config
from medimg_gan.data.thinning import Thinned
from medimg_gan.study import ARMS, StudyConfig
from medimg_gan.study.analysis import analyse
from medimg_gan.study.arms import build
from medimg_gan.study.data import thinned_in
from medimg_gan.study.real_additions import interpolations
from medimg_gan.study.verdict import caveats


def test_interpolations_match_the_synthetic_count_and_touch_no_other_class(data):
    mixed, synthetic = (build(ARMS[name], data, 1.0, 0) for name in ("interpolated", "synthetic"))
    assert (mixed.labels == synthetic.labels).all()
    before = len(data.train.labels)
    assert (mixed.images[:before] == data.train.images).all()
    assert (mixed.labels[before:] == data.minority).all()
    assert not mixed.synthetic.any()


def test_a_mixture_lies_between_two_different_real_minority_slices(data):
    """A slice of one value each: a mixture has one value too, strictly between two of them."""
    images = np.zeros_like(data.train.images)
    minority = np.flatnonzero(data.train.labels == 1)
    values = np.array([-0.9, -0.5, -0.1, 0.1, 0.5, 0.9], dtype=np.float32)
    images[minority] = values[:, None, None, None]
    images[data.train.labels != 1] = 7.0
    data = replace(data, train=replace(data.train, images=images))
    mixed, _ = interpolations(data, 60, seed=0)
    flat = mixed.reshape(60, -1)
    assert np.ptp(flat, axis=1) == pytest.approx(np.zeros(60), abs=1e-6)
    assert (abs(flat[:, 0]) < 0.9).all()
    assert not np.isin(flat[:, 0], values).any()
    assert (mixed == interpolations(data, 60, seed=0)[0]).all()
    assert (mixed != interpolations(data, 60, seed=1)[0]).any()


def test_a_single_minority_slice_is_repeated(data):
    labels = data.train.labels.copy()
    labels[labels == 1] = 0
    labels[4] = 1
    alone = replace(data, train=replace(data.train, labels=labels))
    mixed, _ = interpolations(alone, 3, seed=0)
    assert mixed == pytest.approx(np.repeat(data.train.images[4:5], 3, axis=0), abs=1e-6)


def test_losses_for_rare_classes_are_those_of_their_arms(data):
    balanced, focal = (build(ARMS[name], data, 0.3, 0) for name in ("class-balanced", "focal"))
    assert balanced.loss_weights is not None
    glioma, meningioma, pituitary = balanced.loss_weights
    assert meningioma > pituitary > glioma
    assert balanced.focusing == 0
    assert (focal.loss_weights, focal.focusing) == (None, 2.0)


def test_the_command_and_the_library_compare_the_same_by_default():
    typed, study = Config(minority_class="x"), StudyConfig()
    assert (typed.arms, typed.ratios) == (study.arms, study.ratios)
    assert (typed.seeds, typed.classifier) == (study.seeds, study.classifier.network)


def test_imbalance_made_on_purpose_stands_first_among_the_caveats(data):
    thinned = replace(data, thinned=Thinned(1, 10, 4, 37))
    said = caveats([thinned], TINY, analyse([data], TINY, [planted(data, TINY, NULL)]), CLEAN)
    assert "1 of 10 training patients keep these slices, 4 of 37" in said[0]
    other = replace(data, thinned=Thinned(2, 11, 5, 36))
    assert thinned_in([thinned, other]) == f"{thinned.thinned}; {other.thinned}"
    assert thinned_in([data, data]) == ""
