"""The same problem once, with what to do, and without the places that may name a patient."""

from pathlib import Path

import pytest

from medimg_gan.data.problem_groups import ELSE, NOTHING, grouped, without_places
from medimg_gan.errors import DicomGeometryError
from medimg_gan.imaging import Problem

ROOT = Path("/data/hospital")


def gap(patient: str, first: int) -> Problem:
    place = ROOT / patient / "3"
    error = DicomGeometryError(
        f"{place} (series 3): slices are not evenly spaced",
        observed=f"gap {first}->{first + 1} is 6.0 mm",
        cause="a missing file",
        fix="export the series again; or pass --data.on-gap resample",
    )
    return Problem(place, error.one_line())


def test_one_kind_is_told_once_with_its_remedy_and_its_places():
    problems = [gap("Doe^Jane", 41), Problem(ROOT / "x", "left out: a localiser"), gap("A", 7)]
    first, second = grouped(problems, ROOT)
    assert first.title == "slices are not evenly spaced"
    assert first.detail == "gap 41->42 is 6.0 mm; likely cause: a missing file"
    assert first.remedy == "export the series again; or pass --data.on-gap resample"
    assert first.paths == [ROOT / "A" / "3", ROOT / "Doe^Jane" / "3"]
    assert (second.title, second.remedy) == ("a localiser", NOTHING)


def test_numbers_do_not_tell_kinds_apart():
    problems = [Problem(ROOT / "a", f"left out: copies of {n} images in {ROOT}/b") for n in (1, 2)]
    (group,) = grouped(problems, ROOT)
    assert "first copy" in group.remedy


def test_what_has_no_remedy_of_its_own_gets_one():
    (group,) = grouped([Problem(ROOT / "a", "strange")], ROOT)
    assert group.remedy == ELSE


@pytest.mark.parametrize("root", [ROOT, Path("data")])
@pytest.mark.parametrize(
    "reason",
    [
        "{root}/Doe Jane/1.dcm: truncated; 3 bytes",
        "{root}/Doe Jane (series 4): two sizes",
        "left out: copies of 3 images in {root}/Doe Jane/other",
        "cannot work out the type of '{root}/Doe Jane/1.nii'; a damaged file",
        "{root}/Doe Jane: no data in it",
    ],
)
def test_no_path_is_left_in_a_reason(reason, root):
    problem = Problem(root / "Doe Jane" / "1.dcm", reason.format(root=root))
    text = without_places(problem, root)
    assert "Doe" not in text
    assert "Jane" not in text
    assert "data in it" in text or "data in it" not in reason
