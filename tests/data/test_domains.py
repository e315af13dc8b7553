import pytest

from medimg_gan.data.domains import Domain, parse_domain, parse_domains
from medimg_gan.errors import ConfigError


def test_a_side_is_a_modality_a_sequence_or_several_as_channels():
    assert parse_domain("ct", "--src") == Domain("ct", "ct")
    assert parse_domain("T1w", "--src") == Domain("t1", "mri", ("t1",))
    assert parse_domain("t1+flair", "--src") == Domain("t1+flair", "mri", ("t1", "flair"))
    assert parse_domain("t1+t2", "--src").channels == ("t1", "t2")
    assert parse_domain("mri", "--src").channels == ("mri",)


@pytest.mark.parametrize("text", ["", "t1+", "t1+t1", "mri+ct", "t1+ct", "t1+t1w"])
def test_what_names_no_side_is_refused(text):
    with pytest.raises(ConfigError, match=r"t1\+t2"):
        parse_domain(text, "--src")


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("ct", "ct", "both 'ct'"),
        ("t1", "mri", "same scans"),
        ("t1+t2", "t2", "same scans"),
        ("ct", "t1+t2", "one sequence"),
    ],
)
def test_sides_that_share_scans_are_refused(source, target, expected):
    with pytest.raises(ConfigError, match=expected):
        parse_domains(source, target)
    assert parse_domains("t1+flair", "t2")[1].name == "t2"
