"""A folder made ready for a translator: two domains, slice by slice, paired or not.

The split deals out the patients of all scans of both domains, whether pairs are wanted or not, so
that a paired training and an unpaired one of equal data and seed hold the same patients back,
unless some share a picture that only one of the two sees.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from medimg_gan.console import say
from medimg_gan.data.as_indexed import as_indexed
from medimg_gan.data.chain_settings import DEFAULT_CHAIN, ChainConfig
from medimg_gan.data.copies import settle_copies
from medimg_gan.data.dataset import SliceDataset
from medimg_gan.data.domains import Domain, sequence_of
from medimg_gan.data.index import Index, build_index
from medimg_gan.data.labelled_rows import label_rows
from medimg_gan.data.placing import on_one_grid, placed_scans, with_places, with_stacks
from medimg_gan.data.prepare import Prepared, decoded_cache, standard_of
from medimg_gan.data.scan import Scan
from medimg_gan.data.settings import DataConfig
from medimg_gan.data.split import SPLITS
from medimg_gan.data.split_column import split_column
from medimg_gan.data.split_file import SPLIT_FILE, save_split
from medimg_gan.data.visits import with_patients_by_name, with_patients_of
from medimg_gan.errors import ConfigError

PATIENTS_BY_NAME = (
    "  note: nothing names the patients; files that are named alike but for modality and sequence "
    "count as one patient"
)


@dataclass(frozen=True)
class PreparedTranslation(Prepared):
    """Slices of two domains, ready to be drawn from.

    ``cache.rows`` has the columns domain (a name), channel, visit and stack besides: rows of one
    visit and one slice number lie on each other.

    Attributes:
        domains: Source and target.
    """

    domains: tuple[Domain, ...] = ()

    def domain(self, split: str, domain: Domain, adjacent: int = 1) -> SliceDataset:
        """The images of one domain: its scans' slices as channels, each with its neighbours.

        Where the data were prepared in pairs, item n of either domain shows the same slice.
        """
        rows = self.cache.rows.reset_index(drop=True)
        own = rows[(rows["split"] == split) & (rows["domain"] == domain.name)]
        places = own.sort_values(["visit", "index", "channel"]).index.to_numpy()
        return SliceDataset(
            self.cache,
            places.reshape(-1, len(domain.channels)),
            self.classes,
            adjacent,
            self.standard,
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """Images by split and domain, and patients by split."""
        rows = self.cache.rows[self.cache.rows["channel"] == 0]
        result = {}
        for split in SPLITS:
            part = rows[rows["split"] == split]
            by_domain = {
                each.name: int((part["domain"] == each.name).sum()) for each in self.domains
            }
            result[split] = {**by_domain, "patients": int(part["patient"].nunique())}
        return result


def prepare_translation(
    config: DataConfig,
    domains: tuple[Domain, Domain],
    *,
    size: int,
    seed: int,
    folder: Path,
    paired: bool = False,
    truth: Path | None = None,
    labelled: bool = False,
    chain: ChainConfig = DEFAULT_CHAIN,
) -> PreparedTranslation:
    """Read a folder once and give every image of both domains a split.

    Patients who share a picture are in one part, that of the first of them.

    Args:
        config: Where the data are.
        domains: Source and target.
        size: Side of the pictures.
        seed: Of the split.
        folder: The run's folder; the split is saved there, and checked when the run resumes.
        paired: Keep only images whose patient and slice are there in both domains.
        truth: Folder of the true targets, named like the source scans; None: in ``config.data``.
        labelled: Whether labels are wanted; then slices without one are left out.
        chain: How scans become pictures.

    Raises:
        ConfigError: If the chain cannot serve these domains.
        DataError: If a domain has no images, or there is no pair where pairs are wanted.
        LabelError, SplitError: See ``data.prepare``.
    """
    _refuse_chain(chain, domains, paired)
    config = as_indexed(config)
    index = build_index(config)
    domains[0].refuse_absent(index, "--src")
    if truth is None:
        domains[1].refuse_absent(index, "--tgt")
    _say_what_is_mixed(index, domains)
    index = replace(index, scans=with_patients_by_name(index.scans))
    scans = index.scans
    split_of = _deal(scans, domains, seed)  # too few patients are told before decoding
    truths = _truths(config, truth, domains, index)
    placed = placed_scans(index.scans, domains, paired=paired, truths=truths)
    places = [place for _, place in placed]
    index = replace(index, scans=[scan for scan, _ in placed])
    cache = decoded_cache(config, index, size, chain)
    rows, classes = cache.rows, ()
    if labelled:
        rows, classes = label_rows(rows, index, config)
    rows = settle_copies(
        with_places(rows, places),
        cache.pictures,
        index,
        labelled=bool(classes),
        drop=config.drop_duplicates,
    )
    own = cache.rows.loc[rows.index, "patient"]
    if not own.equals(rows["patient"]):
        joined = dict(zip(own, rows["patient"], strict=True))
        split_of = _deal([replace(scan, patient=joined.get(scan.patient, scan.patient))
                          for scan in scans], domains, seed)  # fmt: skip
    rows = with_stacks(on_one_grid(rows, places))
    rows["split"] = rows["patient"].map(split_of)
    # By their own names: who is joined to another by a copy here may come alone another time.
    save_split(rows.assign(patient=own), folder / SPLIT_FILE)
    cache = replace(cache, rows=rows.reset_index(drop=True))
    known = all(scan.patient_known for scan in index.scans)
    standard = standard_of(cache.rows, chain)
    prepared = PreparedTranslation(cache, classes, known, standard, domains=domains)
    for split, counts in prepared.counts().items():
        say(f"  {split:5} " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if not known:
        say(PATIENTS_BY_NAME)
    return prepared


def _say_what_is_mixed(index: Index, domains: tuple[Domain, Domain]) -> None:
    """Tell of a side that takes scans of several MR sequences for one kind of image."""
    for flag, domain in zip(("--src", "--tgt"), domains, strict=True):
        own = [scan for scan in index.scans if domain.channel_of(scan) is not None]
        counts = Counter(sequence_of(scan) or "unnamed" for scan in own)
        if not domain.sequences and len(counts) > 1:
            held = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
            say(f"  note: {flag} {domain.name} mixes sequences: {held}; name one ({flag} t1)")


def _refuse_chain(chain: ChainConfig, domains: tuple[Domain, Domain], paired: bool) -> None:
    several = paired or any(len(domain.channels) > 1 for domain in domains)
    if several and chain.crop != "none":
        raise ConfigError(
            f"--transform.crop {chain.crop}: scans that belong together would be cut apart",
            observed="every scan is cropped to its own body",
            fix="--transform.crop none",
        )
    names = [name for domain in domains if domain.modality == "mri" for name in domain.channels]
    if chain.intensity == "nyul" and len(names) > 1:
        raise ConfigError(
            "--transform.intensity nyul: one standard histogram cannot serve several sequences",
            observed=f"sequences: {', '.join(names)}",
            fix="--transform.intensity percentile",
        )


def _deal(scans: list[Scan], domains: tuple[Domain, Domain], seed: int) -> dict[str, str]:
    """Patient -> split, over all patients with a scan of either domain."""
    chosen = [s for s in scans if any(domain.channel_of(s) is not None for domain in domains)]
    table = pd.DataFrame(
        {
            "patient": [scan.patient for scan in chosen],
            "split": [scan.split for scan in chosen],
            "label": [scan.label for scan in chosen],
            "domain": [
                next(d.name for d in domains if d.channel_of(scan) is not None) for scan in chosen
            ],
        }
    )
    both = table.groupby("patient")["domain"].transform("nunique") > 1
    table.loc[both, "domain"] = "both"
    table["split"] = split_column(table, "domain", seed)
    return dict(zip(table["patient"], table["split"], strict=True))


def _truths(
    config: DataConfig, truth: Path | None, domains: tuple[Domain, Domain], index: Index
) -> list[Scan] | None:
    """The true targets of another folder, as the patients' of their sources."""
    if truth is None:
        return None
    elsewhere = build_index(config.of_truth(truth, domains[1].modality))
    domains[1].refuse_absent(elsewhere, "--truth: --tgt")
    targets = [scan for scan in elsewhere.scans if domains[1].channel_of(scan) is not None]
    sources = [scan for scan in index.scans if domains[0].channel_of(scan) is not None]
    return with_patients_of(targets, sources)
