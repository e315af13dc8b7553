"""A label for each slice, from masks where there are any."""

from __future__ import annotations

import difflib
from collections import Counter

import pandas as pd

from medimg_gan.console import say
from medimg_gan.data.index import Index
from medimg_gan.data.masks import Labelling
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import LabelError


def label_rows(
    rows: pd.DataFrame, index: Index, config: DataConfig, must_have: str = ""
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Rows that have a label (all, when there are no labels at all), and the class names.

    Args:
        rows: Slices; their column ``scan`` numbers the scans of ``index``.
        index: Scans with their masks.
        config: What masks mark.
        must_have: A class that there must be.

    Raises:
        LabelError: If there is no such class.
    """
    masked = {n: scan.mask_names for n, scan in enumerate(index.scans) if scan.mask}
    labelling = Labelling.of(config, masked)
    rows = rows.copy()
    unnamed: Counter[int] = Counter()
    for number, slices in rows[rows["area"].notna()].groupby("scan"):
        scan = int(str(number))
        rows.loc[slices.index, "label"] = labelling.classes(scan, slices)
        unnamed += labelling.slices_with_unnamed(scan, slices)
    for value in sorted(unnamed):
        say(
            f"  note: masks hold the value {value} in {unnamed[value]} slices; nothing names it, "
            f"and it counts as no label (--mask-label {value}=NAME)"
        )
    without = rows["label"] == ""
    if without.all():
        if must_have:
            raise LabelError(
                f"class {must_have!r}: the data have no labels",
                fix="add labels.csv (columns path, label), folders named by class, or --mask "
                "'{patient}/{visit}_Mask.nii.gz'",
            )
        return rows, ()
    if without.any():
        scans = rows.loc[without, "scan"].nunique()
        say(f"  left out: {int(without.sum())} slices of {scans} scans without a label or mask")
        rows = rows[~without].copy()
    classes = tuple(sorted(rows["label"].unique()))
    if must_have and must_have not in classes:
        near = difflib.get_close_matches(must_have, classes, n=1, cutoff=0.0)
        raise LabelError(
            f"unknown class {must_have!r}",
            observed=f"the data have: {', '.join(classes)}",
            fix=f"for example {near[0]!r}",
        )
    return rows, classes
