"""What the names of folders and files say, where no table, pattern or header does."""

from __future__ import annotations

import re
from pathlib import Path

from medimg_gan.data.split import SPLITS
from medimg_gan.modalities import MODALITIES

SPLIT_WORDS = {"training": "train", "validation": "val", "valid": "val", "testing": "test"}
PASSED_OVER = re.compile(
    r"mr|t1|t2|flair|t1c?e?|cxr|x-?ray|(visit|session|ses|scan|series|time|tp)[-_ ]?\w*|"
    r"pre|post|baseline|follow-?up|anat|func|dicoms?|niftis?|images?|slices?|data"
)
"""Folder names that say neither whose a scan is nor what is on it."""
LIKE_A_PATIENT = re.compile(
    r"(patient|pat|pt|subject|subj|sub|case|participant|volunteer|id|[a-z])?[-_ ]?\d+"
)
MASK_NAME = re.compile(
    r"(?<![a-z])(masks?|segs?|segm|segmentations?|labels?|labelstr|rois?)(?![a-z])"
)


def folder_facts(path: str, *, picture: bool) -> dict[str, str]:
    """What folder names say where nothing better is known: split, label, patient.

    Modality, visit and container words are passed over. Of the names that are left, one that
    looks like a patient (P001, sub-12, 03) is one. Another is the patient too if the files are
    volumes and it is the only name; it is a class if a patient's folder lies below it, or if the
    files are pictures: 'glioma/12.png', 'tumor/P01/scan.nii.gz'.
    """
    facts: dict[str, str] = {}
    names = []
    for name in Path(path).parts[:-1]:
        word = SPLIT_WORDS.get(name.lower(), name.lower())
        if word in SPLITS:
            facts.setdefault("split", word)
        elif word not in MODALITIES and not PASSED_OVER.fullmatch(word):
            names.append(name)
    if names and (LIKE_A_PATIENT.fullmatch(names[0].lower()) or (len(names) == 1 and not picture)):
        facts["patient"] = names[0]
    elif names:
        facts["label"] = names[0]
        facts.update({"patient": names[1]} if len(names) > 1 else {})
    return facts


def named_like_a_mask(path: str) -> bool:
    """Whether a file's or folder's name says that it is a segmentation ('P01_seg.nii.gz')."""
    return MASK_NAME.search(path.lower()) is not None
