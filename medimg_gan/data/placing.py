"""Which scans a translation uses, and which of them lie on each other voxel by voxel."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from medimg_gan.console import say
from medimg_gan.data.cache import CORNERS
from medimg_gan.data.domains import Domain, sequence_of
from medimg_gan.data.scan import Scan
from medimg_gan.data.visits import visits
from medimg_gan.errors import DataError

ONE_GRID_MM = 0.1
"""Corners of two scans may differ by so much, if their voxels are to lie on each other."""


@dataclass(frozen=True)
class Place:
    """Where a scan belongs: whose visit, which domain, which channel of its images."""

    visit: int
    domain: str
    channel: int


def placed_scans(
    scans: list[Scan],
    domains: tuple[Domain, Domain],
    *,
    paired: bool,
    truths: list[Scan] | None = None,
) -> list[tuple[Scan, Place]]:
    """The scans to use, each with its place, after saying which are left out.

    Args:
        scans: Of the data.
        domains: Source and target.
        paired: Whether a visit holds the channels of both domains.
        truths: Scans to take the target from, in place of ``scans``.

    Raises:
        DataError: If nothing has a counterpart where one is needed.
    """
    groups = [domains] if paired else [(domain,) for domain in domains]
    placed: list[tuple[Scan, Place]] = []
    visit = 0
    for group in groups:
        names = [(d, c) for d in group for c in range(len(d.channels))]
        of_channel = [
            [
                scan
                for scan in (scans if truths is None or domain is domains[0] else truths)
                if domain.channel_of(scan) == channel
            ]
            for domain, channel in names
        ]
        found = visits(of_channel)
        _say_left_out(of_channel, found, group, paired)
        for members in sorted(found, key=_name_in_order):
            for scan, (domain, channel) in zip(members, names, strict=True):
                placed.append((scan, Place(visit, domain.name, channel)))
            visit += 1
    return placed


def _say_left_out(
    of_channel: list[list[Scan]],
    found: list[tuple[Scan, ...]],
    group: Iterable[Domain],
    paired: bool,
) -> None:
    """Name by count what has no counterpart.

    Raises:
        DataError: If nothing has one.
    """
    names = [name for domain in group for name in domain.channels]
    what = " and ".join(names)
    if not found:
        patients = [len({scan.patient for scan in scans}) for scans in of_channel]
        shared = set.intersection(*({scan.patient for scan in scans} for scans in of_channel))
        counts = ", ".join(f"{n} with {name}" for n, name in zip(patients, names, strict=True))
        raise DataError(
            f"no visit of a patient has {what} on one grid",
            observed=f"patients: {counts}, {len(shared)} with all",
            cause="a paired recipe on unpaired data, or scans that were not resampled to one grid"
            if paired
            else "sequences of different patients, or not resampled to one grid",
            fix=(_sequence_to_name(group, of_channel) if shared else "")
            or "--recipe disguise, which needs no pairs, or --truth DIR with the targets"
            if paired
            else "resample the sequences of a visit to one grid, or name one of them",
        )
    used = {id(scan) for visit in found for scan in visit}
    rest = [scan for scans in of_channel for scan in scans if id(scan) not in used]
    if rest:
        by_name = Counter(
            name
            for name, scans in zip(names, of_channel, strict=True)
            for scan in scans
            if id(scan) not in used
        )
        counts = ", ".join(f"{count} {name}" for name, count in by_name.items())
        say(
            f"  left out: {counts} scans of {len({scan.patient for scan in rest})} patients "
            f"without exactly one {what} on one grid"
        )


def _sequence_to_name(group: Iterable[Domain], of_channel: list[list[Scan]]) -> str:
    """The flag that tells which of several sequences is meant; "" where there are not several."""
    scans = [scan for own in of_channel for scan in own]
    for flag, domain in zip(("--src", "--tgt"), group, strict=True):
        own = {sequence_of(scan) for scan in scans if domain.channel_of(scan) == 0} - {""}
        if not domain.sequences and len(own) > 1:
            first, *_ = names = sorted(own)
            return f"{flag} {first}: {domain.name} is {' and '.join(names)} here, name one"
    return ""


def with_places(rows: pd.DataFrame, places: list[Place]) -> pd.DataFrame:
    """Rows of slices with the columns visit, domain and channel of their scans."""
    scan = rows["scan"].to_numpy()
    table = pd.DataFrame([vars(place) for place in places]).iloc[scan]
    return rows.assign(**{name: table[name].to_numpy() for name in table})


def on_one_grid(rows: pd.DataFrame, places: list[Place]) -> pd.DataFrame:
    """Slices that every scan of their visit has; visits whose scans' grids differ are left out.

    Args:
        rows: From :func:`with_places`.
        places: Of all scans; a visit with a scan that could not be decoded is left out too.

    Raises:
        DataError: If nothing is left.
    """
    corners = rows.drop_duplicates("scan").groupby("visit")[list(CORNERS)]
    apart = (corners.max() - corners.min()).max(axis=1) > ONE_GRID_MM
    if apart.any():
        say(f"  left out: {int(apart.sum())} visits whose scans lie on different grids")
    needed = rows["visit"].map(Counter(place.visit for place in places))
    there = rows.groupby(["visit", "index"])["scan"].transform("nunique")
    rows = rows[(there == needed) & ~rows["visit"].map(apart)].copy()
    if rows.empty:
        raise DataError(
            "no scans of a visit lie on one grid",
            observed="their shapes agree, but not where their voxels are",
            fix="resample the scans of a visit to one grid",
        )
    return rows


def with_stacks(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the column stack: the slices among which a ``position`` is a height.

    That is a volume. Where a domain has single pictures only, it is a patient's pictures, and
    their positions are told by the order of their names, from 0 to 1 (9 before 10).
    """
    rows = rows.assign(stack=rows["scan"])
    for _, own in rows.groupby("domain"):
        if own.groupby("scan").size().max() > 1:
            continue
        patients = own.groupby("patient")["visit"]
        steps = (patients.transform("nunique") - 1).clip(lower=1)
        place = (patients.rank(method="dense") - 1) / steps
        rows.loc[own.index, "position"] = place.astype(np.float32)
        rows.loc[own.index, "stack"] = own.groupby("patient").ngroup()
    return rows


def _name_in_order(members: tuple[Scan, ...]) -> str:
    """The first scan's path with its numbers padded, so that 9 comes before 10."""
    return re.sub(r"\d+", lambda number: number[0].zfill(12), members[0].path)
