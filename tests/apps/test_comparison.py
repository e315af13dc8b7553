"""Whose truth a scan is."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from medimg_gan.apps.comparison import Truths, truths_in
from medimg_gan.data.scan import Scan
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import DataError
from medimg_gan.imaging import Series, Volume, write_nifti


def scan(path: str, patient: str, *, known: bool = True) -> Scan:
    series = Series(path, (Path(path),), "nifti", "mri", "", (4, 4, 2), (1, 1, 1))
    return Scan(series, path, patient, "mri", patient_known=known)


@pytest.mark.parametrize(("folder", "accepted"), [("answers", True), ("t1", True), ("t2", False)])
def test_a_truth_without_a_sequence_is_of_the_wanted_one_unless_its_folder_says_otherwise(
    tmp_path, folder, accepted
):
    head = Volume(np.full((8, 8, 4), 9.0, np.float32), np.eye(4), "mri", "signal")
    write_nifti(head, tmp_path / folder / "P1.nii.gz")
    to_t1 = SimpleNamespace(target="mri", target_sequence="t1", target_name="t1")
    source = DataConfig(data=tmp_path, modality="mri")
    if accepted:
        (found,) = truths_in(source, tmp_path / folder, to_t1)
        assert found.path == "P1.nii.gz"
    else:
        with pytest.raises(DataError, match="no t1 scans"):
            truths_in(source, tmp_path / folder, to_t1)


def test_a_name_alike_is_no_truth_of_another_known_patient():
    source, other = scan("mri/1.png", "a"), scan("ct/1.png", "b")
    assert Truths([other], [(source,)], given=False).of((source,)) is None
    # In --truth names are the user's word: a truth may have been pseudonymised otherwise.
    assert Truths([other], [(source,)], given=True).of((source,)) is other
    unnamed = scan("ct/1.png", "c", known=False)
    assert Truths([unnamed], [(source,)], given=False).of((source,)) is unnamed


def test_the_only_target_of_a_known_patient_is_the_truth_of_the_only_visit():
    source, truth = scan("P1/t1_brain", "a"), scan("P1/ct_head", "a")
    assert Truths([truth], [(source,)], given=False).of((source,)) is truth
    later = scan("P1/t1_brain_again", "a")
    assert Truths([truth], [(source,), (later,)], given=False).of((source,)) is None
    second = scan("P1/ct_later", "a")
    assert Truths([truth, second], [(source,)], given=False).of((source,)) is None
    alone = [scan("x", "p", known=False), scan("y", "p", known=False)]
    assert Truths(alone[1:], [(alone[0],)], given=False).of((alone[0],)) is None


def test_what_two_share_is_not_guessed():
    source = scan("mri/p", "a", known=False)
    twins = [scan("ct/p", "b", known=False), scan("ct/p.nii", "c", known=False)]
    assert Truths(twins, [(source,)], given=True).of((source,)) is None
    assert Truths(twins[:1], [(source,)], given=True).of((source,)) is twins[0]
