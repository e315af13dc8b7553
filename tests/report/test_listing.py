"""What index prints."""

from collections import Counter

from medimg_gan.data.problem_groups import grouped
from medimg_gan.imaging import Problem
from medimg_gan.report.listing import absent_names


def test_a_named_value_that_no_mask_holds_is_told():
    counted = Counter({"edema": 3, "background": 5})
    (line,) = absent_names(("4=enhancing", "2=edema"), counted)
    assert "no slice is enhancing" in line
    assert absent_names(("tumor",), counted) == []
    assert absent_names(("4=enhancing",), Counter()) == []


def test_what_is_refused_is_never_said_to_need_nothing(tmp_path):
    refused = Problem(tmp_path / "a", "a 4D series; seen twice; likely cause: copies of one series")
    copied = Problem(tmp_path / "b", "left out: copies of 5 images in a")
    remedies = {group.title: group.remedy for group in grouped([refused, copied], tmp_path)}
    assert not remedies["a 4D series"].startswith("nothing")
    assert remedies["copies of 5 images in a"].startswith("nothing")
