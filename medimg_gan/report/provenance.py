"""What the study was made of: data, leakage, method, and all that repeats it."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from medimg_gan.report.tags import bullets, glossary, note, table

if TYPE_CHECKING:
    Report = dict[str, Any]

SPLIT_TITLES = {"train": "Training", "val": "Validation", "test": "Test"}
OUTCOMES = {"clean": "clean", "warning": "! warning", "refused": "!! refused"}


def caveats(report: Report) -> str:
    """What weakens the verdict."""
    return bullets(report["caveats"])


def counts(report: Report) -> str:
    """Slices and patients of every split and class."""
    classes, known = report["classes"], report["patients_known"]
    names = [f"{name} (minority)" if name == report["minority"] else name for name in classes]
    lines = []
    for split, count in report["counts"].items():
        numbers = [(count["slices"][name], count["patients"][name]) for name in classes]
        numbers.append((count["all_slices"], count["all_patients"]))
        cells = (_count(slices, patients, known) for slices, patients in numbers)
        lines.append((escape(SPLIT_TITLES.get(str(split), str(split))), *cells))
    unknown = "" if known else note("Patients are unknown; every slice stands alone.")
    folds = report.get("folds", 1)
    several = note(f"{folds} folds: test counts are sums, the others a fold's mean.")
    return table(("Split", *names, "All"), lines) + unknown + (several if folds > 1 else "")


def _count(slices: int, patients: int, known: bool) -> str:
    small = f"<small>{patients} patient{'' if patients == 1 else 's'}</small>" if known else ""
    return f"{slices}{small}"


def leakage(report: Report) -> str:
    """What was checked for slices or patients that stand in two splits."""
    checks = report.get("leakage")
    if not checks:
        return ""
    lines = [
        (
            f"{escape(check['check'].capitalize())}: {escape(check['what'])}"
            f"<small>{escape(check['detail'])}</small>",
            str(check["looked_at"]),
            str(check["found"]),
            f"<b>{escape(OUTCOMES[check['outcome']])}</b>",
        )
        for check in checks
    ]
    return table(("Checked", "Looked at", "Found", "Outcome"), lines, style="words")


def method(report: Report) -> str:
    """Design, arms and measures, in words."""
    about = report["method"]
    design = {key.capitalize(): text for key, text in about.items() if key != "metrics"}
    arms = {arm["title"]: arm.get("about", "") for arm in report["arms"]}
    scores = {score["title"]: score["about"] for score in about.get("metrics", {}).values()}
    return "".join(
        f"<h3>{title}</h3>{glossary(entries)}"
        for title, entries in (("Design", design), ("Arms", arms), ("Measures", scores))
        if entries
    )


def repeat(report: Report) -> str:
    """Command, commit, split, what made the slices, configuration and versions."""
    parts = []
    if report.get("command"):
        parts.append(f"<pre>{escape(report['command'])}</pre>")
    environment = report["environment"]
    facts = {"Commit": environment.get("git_commit") or "not from a checkout"}
    if report.get("synthetic_source"):
        facts["Synthetic slices"] = report["synthetic_source"]
    if report.get("classifier"):
        facts["Classifier"] = report["classifier"]
    for split in report.get("splits", []):
        facts[f"Split, {split['file']}"] = f"SHA-256 {split['sha256']}"
    parts.append(glossary(facts))
    for title in ("config", "environment"):
        text = json.dumps(report[title], indent=2)
        parts.append(f'<h3>{title.capitalize()}</h3><pre class="columns">{escape(text)}</pre>')
    return "".join(parts)
