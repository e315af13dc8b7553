"""The evaluation of a translator in words, as one page, as JSON and as CSV."""

from __future__ import annotations

import base64
import csv
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from medimg_gan.evaluation.results import FIGURES, TABLE
from medimg_gan.evaluation.translation import MEASURES, VALUE, Summary, summaries
from medimg_gan.files import written_aside
from medimg_gan.runs import write_json

TEMPLATE = Path(__file__).parent.parent / "translation_template.html"
PAGE = "translation.html"
PICTURES = "pictures"
UNITS = {"display": "grey levels", "signal": "of the run's scale"}
NAMES = {"ct": "CT", "mri": "MRI", "xray": "X-ray"}
"""How modalities are written in a heading; sequences (t1) are in capitals."""
FEW = 6
"""Patients below which an interval is no more than a hint."""
OF_PATIENTS = (
    "mae", "me", "mae_soft", "mae_bone", "psnr", "ssim", "ms_ssim", "bone_dice", "slope_ratio",
    "edges", "structure", "histogram", "cycle",
)  # fmt: skip
"""Columns of the table by patient; the others stand in the CSV."""


@dataclass(frozen=True)
class Evaluation:
    """All that was found of one translator.

    Attributes:
        run: Folder, for the title.
        source: Modality or sequence.
        target: The same.
        unit: Of the target's values.
        patients: Pseudonym -> figures.
        lesions: Counts as of ``LesionCount``, or None without masks.
        notes: What a reader must know.
        pictures: Pseudonym -> PNG.
    """

    run: str
    source: str
    target: str
    unit: str
    patients: dict[str, dict[str, float]]
    lesions: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)

    def unit_of(self, name: str) -> str:
        """A figure's unit in words."""
        return MEASURES[name].unit.replace(VALUE, UNITS.get(self.unit, self.unit))


def write(folder: Path, found: Evaluation) -> None:
    """Write ``evaluation.json``, ``figures.csv`` (a line a patient), the page and its pictures."""
    rows = summaries(found.patients)
    content = {
        "run": found.run,
        "source": found.source,
        "target": found.target,
        "unit": found.unit,
        "figures": {row.name: _plain(row, found) for row in rows},
        "patients": {
            patient: {name: _number(value) for name, value in figures.items()}
            for patient, figures in found.patients.items()
        },
        "lesions": found.lesions,
        "notes": found.notes,
    }
    write_json(folder / FIGURES, content)
    names = [row.name for row in rows]
    with written_aside(folder / TABLE) as aside, aside.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["patient", *names])
        for patient, figures in found.patients.items():
            table.writerow([patient, *(_number(figures.get(name, np.nan)) for name in names)])
    with written_aside(folder / PAGE) as aside:
        aside.write_text(_page(found, rows), encoding="utf-8")
    for patient, png in found.pictures.items():
        with written_aside(folder / PICTURES / f"{patient}.png") as aside:
            aside.write_bytes(png)


def in_words(found: Evaluation) -> str:
    """The table as aligned text, then lesions and notes."""
    count = len(found.patients)
    lines = [
        f"{count} patient{'s' * (count > 1)} that the training did not see: mean [95 % interval], "
        "spread between patients"
    ]
    width = max(len(measure.title) for measure in MEASURES.values())
    for row in summaries(found.patients):
        mean, interval, spread = _cells(row)
        unit = found.unit_of(row.name)
        title = f"{MEASURES[row.name].title:{width}}"
        lines.append(f"  {title}  {mean:>8} {interval:<18} {spread:>7} {unit}".rstrip())
    if found.lesions:
        lines += [f"  {line}" for line in lesions_in_words(found.lesions, found.unit)]
    return "\n".join([*lines, *(f"  note: {note}" for note in found.notes)])


def lesions_in_words(lesions: dict[str, Any], unit: str) -> list[str]:
    """What became of lesions, in a sentence or two."""
    lines = []
    if lesions["visible"]:
        lines.append(
            f"lesions kept: {lesions['kept']} of {lesions['visible']} that the truth shows "
            f"(median {lesions['median_contrast_ratio']:.2f} of their contrast; "
            f"{lesions['lesions'] - lesions['visible']} more are too faint in the truth)"
        )
    if lesions["scans_without"]:
        lines.append(
            f"lesions invented: {lesions['invented']}, in {lesions['scans_with_invented']} of "
            f"{lesions['scans_without']} scans without any (patches of {lesions['threshold']:.1f} "
            f"{unit} or more)"
        )
    return lines


def _plain(row: Summary, found: Evaluation) -> dict[str, Any]:
    measure = MEASURES[row.name]
    return {
        "title": measure.title,
        "unit": found.unit_of(row.name),
        "better": measure.better,
        **row.interval.as_dict(),
        "spread": _number(row.spread),
        "patients": row.patients,
    }


def _number(value: float) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return float(value) if np.isfinite(value) else None


def _cells(row: Summary) -> tuple[str, str, str]:
    digits = MEASURES[row.name].digits
    interval, few = row.interval, row.patients < 2
    return (
        f"{interval.mean:.{digits}f}",
        "" if few else f"[{interval.low:.{digits}f}, {interval.high:.{digits}f}]",
        "" if few else f"{row.spread:.{digits}f}",
    )


def _page(found: Evaluation, rows: list[Summary]) -> str:
    count = len(found.patients)
    notes = "".join(f"<li>{escape(note)}</li>" for note in found.notes)
    told = lesions_in_words(found.lesions, found.unit) if found.lesions else []
    lesions = "".join(f"<li>{escape(line[:1].upper() + line[1:])}.</li>" for line in told)
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"How right is {_named(found.target)} made from {_named(found.source)}?"),
        subtitle=escape(
            f"{found.run}, on {count} patient{'s' * (count != 1)} that the training did not see."
        ),
        notes=f"<ul>{notes}</ul>" if notes else "",
        figures=_figures(found, rows),
        figures_note=escape(
            "Mean over patients; interval by bootstrap over patients (95 %); spread is the "
            "standard deviation between patients. The body mask joins source and truth. SSIM and "
            f"MS-SSIM follow SynthRAD: over the mask, in {_dimensions(found)}; sides of fewer than "
            "97 voxels are padded for MS-SSIM."
        ),
        lesions=f"<h2>Lesions</h2><ul>{lesions}</ul>" if lesions else "",
        patients=_by_patient(found),
        pictures_note=escape(
            "One scan a patient. Error: translated minus truth, red where too bright. Voxels are "
            "drawn without interpolation, so that stripes between slices show."
        ),
        pictures="".join(
            f'<figure><figcaption>{escape(patient)}</figcaption><img alt="{escape(patient)}" '
            f'src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}"></figure>'
            for patient, png in found.pictures.items()
        ),
    )


def _dimensions(found: Evaluation) -> str:
    """Single pictures have no neighbours: no z-gradient, and similarity in their plane."""
    volumes = any("slope_error" in figures for figures in found.patients.values())
    return "3D" if volumes else "2D"


def _named(what: str) -> str:
    return NAMES.get(what, what.upper())


def _figures(found: Evaluation, rows: list[Summary]) -> str:
    lines = ["<tr><th>Figure</th><th>Mean</th><th>95 % interval</th><th>Spread</th>"
             "<th>Patients</th><th>Better</th></tr>"]  # fmt: skip
    for row in rows:
        mean, interval, spread = _cells(row)
        unit = found.unit_of(row.name)
        unit = f" <small>{escape(unit)}</small>" if unit else ""
        lines.append(
            f"<tr><td>{escape(MEASURES[row.name].title)}</td><td>{mean}{unit}</td>"
            f"<td>{interval or '–'}</td><td>{spread or '–'}</td><td>{row.patients}</td>"
            f"<td>{escape(MEASURES[row.name].better)}</td></tr>"
        )
    return f"<table>{''.join(lines)}</table>"


def _by_patient(found: Evaluation) -> str:
    names = [name for name in OF_PATIENTS if any(name in one for one in found.patients.values())]
    heads = "".join(
        f"<th>{escape(MEASURES[name].title)}<br><small>{escape(found.unit_of(name))}</small></th>"
        for name in names
    )
    lines = [f"<tr><th>Patient</th>{heads}</tr>"]
    for patient, figures in found.patients.items():
        cells = "".join(f"<td>{_cell(name, figures)}</td>" for name in names)
        lines.append(f"<tr><td class='name'>{escape(patient)}</td>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _cell(name: str, figures: dict[str, float]) -> str:
    value = figures.get(name, np.nan)
    return f"{value:.{MEASURES[name].digits}f}" if np.isfinite(value) else "–"
