"""The benchmark of GANs as one Markdown page, with sample grids beside it."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medimg_gan.apps.benchmark_gans_figures import (
    TEXTBOOK,
    Result,
    Spread,
    best_rival,
    falling,
    over_seeds,
    read_result,
    targets,
)
from medimg_gan.apps.benchmark_tables import copy_picture, line, verdict_table
from medimg_gan.files import written_aside
from medimg_gan.recipes import RECIPES

if TYPE_CHECKING:
    from medimg_gan.apps.benchmark_gans import Config, Trial

FEATURES = "efficientnet-lite0"
MAGNIFIED = 2
"""How much larger a sample grid is shown."""
Results = Mapping[str, Sequence[Result]]
"""Finished results by contender."""


@dataclass(frozen=True)
class Figure:
    """A row of the table: a key of ``IMAGE_METRICS``, its title, and which end is better."""

    metric: str
    title: str
    better: Callable[..., Any] | None = None


FIGURES = (
    Figure("frechet", f"Fréchet distance ({FEATURES}), lower", min),
    Figure("kid", f"Kernel distance, KID ({FEATURES}), lower", min),
    Figure("precision", f"Precision ({FEATURES}), higher", max),
    Figure("recall", f"Recall ({FEATURES}), higher", max),
    Figure("density", f"Density ({FEATURES}), higher", max),
    Figure("coverage", f"Coverage ({FEATURES}), higher", max),
    Figure("spectrum", "Spectrum distance [dB], lower", min),
)
CHECKS: dict[str, Callable[[Result], float | None]] = {
    "Class-consistency, higher": lambda result: result.consistency,
    "Duplicates": lambda result: result.duplicates,
    "Nearer to training than 95 % of held-out [%], 5 without copying": lambda one: one.too_close,
    "Alarms": lambda result: result.alarm_count,
}


def write_page(config: Config, trials: Sequence[Trial], environment: dict[str, Any]) -> None:
    """Write the page from what has finished, and the grids of the first seed."""
    parts = [_head(config, trials, environment)]
    for kind in config.data_types:
        some = [trial for trial in trials if trial.kind == kind]
        results = {title: _finished(some, title) for title in config.contenders}
        parts.append(_section(config, kind, some, results))
    with written_aside(config.out) as aside:
        aside.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _finished(trials: Sequence[Trial], title: str) -> list[Result]:
    found = [read_result(trial.folder) for trial in trials if trial.contender.title == title]
    return [result for result in found if result]


def _head(config: Config, trials: Sequence[Trial], environment: dict[str, Any]) -> str:
    found = [result for trial in trials if (result := read_result(trial.folder))]
    commits = sorted({one.manifest["environment"]["git_commit"] or "unknown" for one in found})
    seeds = ", ".join(map(str, config.seeds))
    lines = [
        "# GAN benchmark",
        "Written by one command:",
        f"```\n{config.command()}\n```",
        f"- Budget: {config.minutes:g} minutes of training for every contender, on one thread of "
        "one idle core. Speeds are measured first, by the time that a process computes, in turns, "
        "in fresh processes, the best of three rounds taken; each run then gets the steps that "
        "its contender does in the budget, so that other work on the machine changes nothing but "
        "the waiting.",
        f"- Seeds: {seeds} (of the split where the data give none, the weights and every draw); "
        f"mean ± standard deviation over them. {config.size} x {config.size} pixels, batches of "
        f"{config.batch_size}.",
        f"- Machine: {environment['cores']} cores, {environment['cpu']}; torch "
        f"{environment['versions']['torch']}; {datetime.date.today().isoformat()}.",
        f"- Trained at commit {', '.join(commits) or 'unknown'} (+ means local changes).",
        "- Reference: held-out slices, as many synthetic ones. *train-real* is the same figure "
        "for real training slices, *half-half* for two halves of the real patients, both from "
        "the first contender's evaluations: what a perfect generator would reach.",
        f"- Duplicates: of {config.samples} samples, those closer to another (root mean square "
        "over pixels) than the two closest real training slices are to each other.",
    ]
    return "\n\n".join(lines[:3]) + "\n\n" + "\n".join(lines[3:])


def _section(config: Config, kind: str, trials: Sequence[Trial], results: Results) -> str:
    first = config.contenders[0]
    textbook = {
        trial.contender.title
        for trial in trials
        if trial.contender.recipe in TEXTBOOK and trial.contender.title != first
    }
    rivals = {title: results[title] for title in config.contenders if title in textbook}
    verdicts = targets(results[first], rivals)
    verdicts += [falling(results[first])] if kind == "phantom" else []
    alarms = [
        f"- {title}, seed {result.manifest['config']['seed']}, step {alarm.get('step')}: "
        f"{alarm.get('name')}: {alarm.get('words')}"
        for title, some in results.items()
        for result in some
        for alarm in result.alarms or ()
    ]
    parts = [
        f"## {kind}",
        _table(config, trials, results, rivals),
        verdict_table(kind, first, verdicts),
    ]
    parts += ["Alarms raised:\n\n" + "\n".join(alarms)] if alarms else []
    parts += [_grid(config, trial) for trial in trials if trial.seed == config.seeds[0]]
    return "\n\n".join(part for part in parts if part)


def _table(config: Config, trials: Sequence[Trial], results: Results, rivals: Results) -> str:
    """Figures down, contenders and floors across."""
    first = config.contenders[0]
    lines = [
        line("figure", *config.contenders, "train-real", "half-half", "first / best textbook"),
        line(*["---"] * (len(config.contenders) + 4)),
    ]
    for figure in FIGURES:
        cells = [_of(results[title], figure.metric) for title in config.contenders]
        floors = [
            _of(results[first], figure.metric, of) for of in ("train_vs_held_out", "halves_mean")
        ]
        best = best_rival(rivals, figure.metric, figure.better or min)
        ratio = f"{cells[0].mean / best[1]:.2f}" if cells[0] and best and best[1] > 0 else None
        lines.append(line(figure.title, *cells, *floors, ratio))
    alike = [_likeness(results[title]) for title in config.contenders]
    lines.append(line("MS-SSIM within class (real), closest to real", *alike, None, None, None))
    for title, value in CHECKS.items():
        cells = [over_seeds(results[one], value) for one in config.contenders]
        lines.append(line(title, *cells, None, None, None))
    steps = {trial.contender.title: trial.steps for trial in trials}
    speeds = [f"{steps[one]} ({steps[one] / 60 / config.minutes:.2f}/s)" for one in steps]
    lines.append(line("Training steps (speed)", *speeds, None, None, None))
    counts = [f"{len(results[one])} of {len(config.seeds)}" for one in config.contenders]
    lines.append(line("Seeds finished", *counts, None, None, None))
    sizes = [_images(results[one]) for one in config.contenders]
    lines.append(line("Images per set", *sizes, None, None, None))
    return "\n".join(lines)


def _of(results: Sequence[Result], metric: str, of: str = "synthetic") -> Spread | None:
    return over_seeds(results, lambda result: result.figure(metric, of))


def _likeness(results: Sequence[Result]) -> str | None:
    """With its own floor: of an unconditional GAN, all slices are one class."""
    made, real = _of(results, "similarity"), _of(results, "similarity", "train_vs_held_out")
    return f"{made} ({real.mean:.3g})" if made and real else None


def _images(results: Sequence[Result]) -> str | None:
    counts = {row["images_per_set"] for one in results for row in one.evaluation["figures"]
              if row["group"] == "all"}  # fmt: skip
    return ", ".join(map(str, sorted(counts))) or None


def _grid(config: Config, trial: Trial) -> str:
    """The last preview, copied beside the page; '' where there is none."""
    result = read_result(trial.folder)
    if result is None or result.picture is None:
        return ""
    path = config.out.with_suffix("") / f"{trial.kind}-{trial.contender.name}.png"
    copy_picture(result.picture, path, MAGNIFIED)
    name = f"{trial.contender.title}, seed {trial.seed}"
    classes = (
        result.manifest["spec"]["classes"] if RECIPES[trial.contender.recipe].conditional else ()
    )
    rows = f" (rows in equal groups: {', '.join(classes)})" if classes else ""
    return f"{name}{rows}:\n\n![{name}]({path.parent.name}/{path.name})"
