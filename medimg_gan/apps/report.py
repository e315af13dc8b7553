"""Hold several studies of ``augment`` beside each other, or write one down as a page."""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medimg_gan import runs
from medimg_gan.apps.common import RUNS, already_finished
from medimg_gan.config import as_dict
from medimg_gan.console import say
from medimg_gan.errors import ConfigError, RunError

REPORT = "report.json"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Compare studies (verdicts, differences, data, fidelity), or write one down as a page."""

    runs: tuple[Path, ...]
    """Folders of finished augment runs: two or more to compare, one for --page."""
    page: Path | None = None
    """Write the study of --runs as this file, docs/study-NAME.md, with its pictures in
    docs/study-NAME/: for a repository, a thesis or a wiki. What is there is replaced."""
    out: Path = RUNS / "report"
    """Folder of a comparison: comparison.html, comparison.csv."""
    restart: bool = False
    """Delete what an earlier call left in --out and begin again."""

    def __post_init__(self) -> None:
        """Refuse at once what is no comparison."""
        if self.page is not None:
            self._check_page(self.page)
        elif len(self.runs) < 2:
            raise ConfigError(
                "--runs: a comparison needs two studies or more",
                fix="--runs runs/A runs/B; or write the one down: --page docs/study-NAME.md "
                "(it also has its own report.html)",
            )
        if len({path.resolve() for path in self.runs}) < len(self.runs):
            raise ConfigError("--runs: the same folder stands twice")

    def _check_page(self, page: Path) -> None:
        if page.suffix != ".md" or page.is_dir():
            raise ConfigError(
                f"--page {page}: expected the name of a Markdown file",
                fix=f"--page {page.with_name(page.stem or 'study')}.md",
            )
        if len(self.runs) != 1:
            raise ConfigError(
                f"--page {page}: a page tells of one study, --runs names {len(self.runs)}",
                fix="one run for each page; leave --page away to compare them",
            )


def main(config: Config) -> None:
    """Read the reports; write one page and one table, or the page of the only one."""
    if config.page is not None:
        _check_folder(config.runs[0])
        from medimg_gan.apps.report_page import write_page

        write_page(config.runs[0], _read(config.runs[0]), config.page)
        return
    next_step = f"open {config.out}/comparison.html"
    if already_finished(config.out, "report", config, next_step):
        return
    for folder in config.runs:
        _check_folder(folder)  # a misspelt one is answered before anything heavy loads
    from medimg_gan.files import written_aside
    from medimg_gan.report.names import in_points
    from medimg_gan.report.studies import differing, lines_of, render_studies

    names = _names(config.runs)
    reports = {name: _read(folder) for name, folder in zip(names, config.runs, strict=True)}
    run = runs.open_run(config.out, "report", as_dict(config), restart=config.restart)
    with written_aside(config.out / "comparison.html") as aside:
        aside.write_text(render_studies(reports), encoding="utf-8")
    lines = lines_of(reports)
    heads = list(dict.fromkeys(head for line in lines for head in line))
    with (
        written_aside(config.out / "comparison.csv") as aside,
        aside.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, heads, restval="")
        writer.writeheader()
        writer.writerows(lines)
    run.finish(studies={name: report["outcome"] for name, report in reports.items()})
    for line in lines:
        found = {end: line[f"difference_{end}"] for end in ("mean", "low", "high")}
        mean, interval = in_points(found)
        say(f"{line['study']}: {line['outcome']}, {mean} points ({interval})")
    for caution in differing(reports):
        say(f"  note: {caution}")
    say(f"\nreport: {config.out}/comparison.html   figures: {config.out}/comparison.csv")


def _check_folder(folder: Path) -> None:
    """Refuse what is not the folder of a finished study.

    Raises:
        RunError: With the likely cause.
    """
    if not folder.is_dir():
        siblings = folder.parent.iterdir() if folder.parent.is_dir() else ()
        known = [path.name for path in siblings if (path / REPORT).exists()]
        near = difflib.get_close_matches(folder.name, known, n=1)
        raise RunError(
            f"{folder}: no such folder",
            observed=f"studies beside it: {', '.join(sorted(known)) or 'none'}",
            fix=f"--runs {folder.parent / near[0]}" if near else "check its spelling",
        )
    facts = runs.read_json(folder / runs.MANIFEST)
    if facts.get("verb") != "augment":
        raise RunError(
            f"{folder}: not a study",
            observed=f"made by '{facts.get('verb')}', expected 'augment'",
            fix="give folders that scripts/augment.py made",
        )
    if not (folder / REPORT).exists():
        raise RunError(
            f"{folder}: has no {REPORT}",
            cause="the study is not finished",
            fix="repeat its command: it goes on where it stopped",
        )


def _read(folder: Path) -> dict[str, Any]:
    """The report of a study.

    Raises:
        RunError: If it is of another version of the schema, or parts are missing.
    """
    from medimg_gan.report import report_schema
    from medimg_gan.report.studies import schema_version

    path, expected = folder / REPORT, schema_version()
    report = runs.read_json(path)
    version = report.get("schema_version") if isinstance(report, dict) else None
    if version != expected:
        raise RunError(
            f"{path}: written by another version of medimg-gan",
            observed=f"schema version {version}, expected {expected}",
            fix="repeat the study with --restart, or compare with the version that wrote it",
        )
    missing = [name for name in report_schema()["required"] if name not in report]
    if missing:
        raise RunError(f"{path}: damaged", observed=f"lacks {', '.join(missing)}")
    return report


def _names(folders: tuple[Path, ...]) -> list[str]:
    """Names of the folders; with those above them where two are called the same."""
    names = [folder.resolve().name for folder in folders]
    depth = 1
    while len(set(names)) < len(names):
        depth += 1
        names = ["/".join(folder.resolve().parts[-depth:]) for folder in folders]
    return names
