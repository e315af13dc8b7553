"""Augment over folds: stopped anywhere it goes on, and a budget is shared out or refused."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from medimg_gan.apps import augment_cost, augment_study, cli
from medimg_gan.apps.augment import Config
from medimg_gan.apps.augment_work import FEWEST_GAN_STEPS, FEWEST_STEPS, Work
from medimg_gan.errors import ConfigError
from medimg_gan.study import leakage, trainers

MASK = ["--mask", "{patient}/{visit}_Mask.nii.gz"]
WORDS = ["--minority-class", "tumor", "--data", "scans", *MASK, "--size", "32", "--folds", "2"]
WORDS += ["--batch-size", "4", "--engine.precision", "32-true", "--steps", "2", "--seeds", "1"]
WORDS += ["--classifier-steps", "2", "--arms", "real", "synthetic", "--engine.watch-every", "0"]
WORDS += ["--ratios", "1", "--features", "random"]


def stopping(function, after: int):
    """The same function, counting its calls, which stops before it is called once more."""

    def counted(*words, **named):
        if len(counted.calls) == counted.limit:
            raise KeyboardInterrupt
        counted.calls.append(words)
        return function(*words, **named)

    counted.calls, counted.limit = [], after
    return counted


def test_stopped_in_a_gan_or_a_fit_the_same_command_goes_on(nifti_folder, tmp_path, monkeypatch):
    """What is held back is looked for before the first GAN trains, once for each fold."""
    monkeypatch.chdir(tmp_path)
    gans, fits = stopping(augment_study.fit_gan, 1), stopping(trainers.train_job, 3)
    looks = stopping(leakage.by_features, 2)
    monkeypatch.setattr(leakage, "by_features", looks)
    monkeypatch.setattr(augment_study, "fit_gan", gans)
    monkeypatch.setattr(trainers, "train_job", fits)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        cli.run("augment", WORDS)  # stopped before the second fold's GAN
    assert (len(looks.calls), len(gans.calls)) == (2, 1)
    gans.limit, looks.limit = -1, 4
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        cli.run("augment", WORDS)  # stopped before the last of four classifiers
    fits.limit, looks.limit = -1, 6
    cli.run("augment", WORDS)
    assert (len(gans.calls), len(fits.calls), len(looks.calls)) == (2, 4, 6)
    run = tmp_path / "runs/augment-tumor"
    report = json.loads((run / "report.json").read_text())
    assert report["folds"] == 2
    assert report["synthetic_source"].count("weights") == 2
    table = pd.read_csv(run / "folds.csv", dtype=str).set_index("patient")
    assert not ((table["fold_1"] == "test") & (table["fold_2"] == "test")).any()
    for fold in (1, 2):
        seen = pd.read_csv(run / f"fold-{fold}/gan/split.csv", dtype=str).set_index("patient")
        assert (seen["split"] == table[f"fold_{fold}"]).all()


WORK = Work(gans=5, gan_step=0.1, classifiers=50, step=0.05, looks=10.0, beside=2)


def test_the_least_budget_leaves_each_the_fewest_steps(monkeypatch):
    """By hand: 50 x 60 x .05 / 2 + 60 = 135 s in 40 %, which is 5.625 min; the GANs need 1.4."""
    assert WORK.least_minutes() == pytest.approx(135 / 0.4 / 60)
    assert WORK.classifier_steps(135.0) == pytest.approx(FEWEST_STEPS)
    slow = replace(WORK, gan_step=10.0)
    assert slow.least_minutes() == pytest.approx(5 * FEWEST_GAN_STEPS * 10 / 0.6 / 60)
    monkeypatch.setattr("medimg_gan.apps.common.STARTED", augment_cost.time.monotonic())
    config = Config(minority_class="tumor", folds=5)
    assert augment_cost._share_out(replace(config, minutes=5.75), WORK) == pytest.approx(
        0.69, abs=0.01
    )
    with pytest.raises(ConfigError, match="too short") as refused:
        augment_cost._share_out(replace(config, minutes=5.5), WORK)
    assert "5 GANs of 396 steps and 50 classifiers of 48 steps" in refused.value.observed
    assert refused.value.fix.startswith("--minutes 7, or fewer --folds")


def test_filters_and_fidelity_take_their_share_of_the_minutes(monkeypatch):
    """By hand: 600 slices of .1 s, and 5 classifiers alone: 60 + 60 s, 30 trainings' turns."""
    more = replace(WORK, alone=5, described=600, description=0.1)
    assert more.classifier_seconds(FEWEST_STEPS) == pytest.approx((25 + 5) * 60 * 0.05)
    assert more.least_minutes() == pytest.approx((90 + 120) / 0.4 / 60)
    assert more.classifier_steps(210.0) == pytest.approx(FEWEST_STEPS)
    monkeypatch.setattr("medimg_gan.apps.common.STARTED", augment_cost.time.monotonic())
    config = Config(minority_class="tumor", folds=5, minutes=5.75)  # enough without them
    with pytest.raises(ConfigError, match="too short") as refused:
        augment_cost._share_out(config, more)
    assert "beside features of about 600 slices (60 s)" in refused.value.observed
    assert "600 slices (60 s) and the report (60 s): about" in more.say_steps(100, 100)
