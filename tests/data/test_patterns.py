from pathlib import Path

import pytest

from medimg_gan.data.mask_files import PatternMasks
from medimg_gan.data.patterns import compile_pattern, stem_before_tail
from medimg_gan.errors import ConfigError


def test_fields_match_within_a_component():
    match = compile_pattern("{patient}/{visit}_Mask.nii.gz").fullmatch("03/2020_01_Mask.nii.gz")
    assert match.groupdict() == {"patient": "03", "visit": "2020_01"}
    assert not compile_pattern("{patient}_Mask.nii").fullmatch("03/Pre_Mask.nii")


def test_stars_match_within_or_across_components():
    assert compile_pattern("{label}/*.png").fullmatch("cat/1.png")
    assert not compile_pattern("{label}/*.png").fullmatch("cat/p1/1.png")
    assert compile_pattern("{label}/**.png").fullmatch("cat/p1/1.png")


def test_a_field_used_twice_must_agree():
    pattern = compile_pattern("{patient}/{patient}_t1.nii")
    assert pattern.fullmatch("p1/p1_t1.nii")
    assert not pattern.fullmatch("p1/p2_t1.nii")


def test_a_mask_finds_its_image_at_a_words_end():
    stem = stem_before_tail("{patient}/{visit}_Mask.nii.gz", {"patient": "03", "visit": "Pre"})
    assert stem == "03/Pre"
    masks = PatternMasks({stem: (Path("mask.nii"), {})})
    assert masks.of("03/Pre_Scan_T1.nii.gz")
    assert not masks.of("03/Preop_Scan_T1.nii.gz")
    assert not masks.of("13/Pre_Scan_T1.nii.gz")
    longer = PatternMasks({stem: (Path("short"), {}), "03/Pre_Scan": (Path("long"), {})})
    assert longer.of("03/Pre_Scan_T1.nii.gz") == (Path("long"), {})


def test_an_unknown_field_is_named():
    with pytest.raises(ConfigError, match=r"\{pateint\}"):
        compile_pattern("{pateint}/x.nii")
