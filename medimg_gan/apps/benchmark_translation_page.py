"""The benchmark of translators as one Markdown page, with a picture a recipe beside it."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medimg_gan.apps.benchmark_gans_figures import Spread
from medimg_gan.apps.benchmark_tables import copy_picture, line, verdict_table
from medimg_gan.apps.benchmark_translation_figures import (
    Result,
    lesion_targets,
    over_repeats,
    pairs_targets,
    phantom_targets,
    read_result,
    share,
)
from medimg_gan.files import written_aside

if TYPE_CHECKING:
    from medimg_gan.apps.benchmark_translation import Config, Part, Trial

Results = Mapping[str, Sequence[Result]]
"""Finished results by contender."""
TUMOURS = {
    "phantom": ", tumours in half of either",
    "tumours-in-source": ", tumours in all MRI and in no CT",
    "tumours-in-target": ", tumours in no MRI and in all CT",
}
LESIONS: dict[str, Callable[[Sequence[Result]], float | None]] = {
    "Lesions kept [% of those that the truth shows]": lambda some: share(some, "kept", "visible"),
    "Scans with invented lesions [% of those without]": lambda some: share(
        some, "scans_with_invented", "scans_without"
    ),
}


def write_page(config: Config, trials: Sequence[Trial], environment: dict[str, Any]) -> None:
    """Write the page from what has finished, and generated heads' pictures of the first seed."""
    found = {trial: result for trial in trials if (result := read_result(trial.folder))}
    parts = [_head(config, list(found.values()), environment)]
    for part in config.parts:
        some = [trial for trial in trials if trial.part == part]
        results = {
            title: [found[one] for one in some if one.contender.title == title and one in found]
            for title in config.recipes
        }
        parts.append(_section(config, part, some, results))
        if part != "pairs":  # a page may be passed on, patients may not
            parts += [_picture(config, one, found[one]) for one in _firsts(some) if one in found]
    with written_aside(config.out) as aside:
        aside.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


def _head(config: Config, found: Sequence[Result], environment: dict[str, Any]) -> str:
    commits = sorted({one.manifest["environment"]["git_commit"] or "unknown" for one in found})
    lines = [
        "# Translation benchmark",
        "MRI to CT, every recipe for the same time on the same patients. Written by one command:",
        f"```\n{config.command()}\n```",
        f"- Budget: {config.minutes:g} minutes of training for every recipe, on one thread of one "
        "idle core. Speeds are measured first, by the time that a process computes, in turns, in "
        "fresh processes, the best of three rounds taken; each run then gets the steps that its "
        "recipe does in the budget.",
        f"- {config.size} x {config.size} pixels, batches of {config.batch_size}. reggan, pix2pix "
        "and regression learn from pairs of the training patients with MRI; the others never see a "
        "pair. All figures are of patients that no training saw.",
        f"- Machine: {environment['cores']} cores, {environment['cpu']}; torch "
        f"{environment['versions']['torch']}; {datetime.date.today().isoformat()}.",
        f"- Trained at commit {', '.join(commits) or 'unknown'} (+ means local changes).",
    ]
    return "\n\n".join(lines[:3]) + "\n\n" + "\n".join(lines[3:])


def _about(config: Config, part: Part) -> str:
    if part != "pairs":
        return (
            f"{config.patients} generated heads, MRI of half of them and CT of the others, as "
            f"volumes in HU{TUMOURS[part]}. Seeds {', '.join(map(str, config.seeds))}: of the "
            "split, the weights and every draw; mean ± standard deviation over them."
        )
    return (
        "Registered pictures of real heads in display values. Of each split, two patients are "
        "scored, the one of the others with fewest slices is watched while training, the rest are "
        "learnt from (unpaired recipes see their slices without the pairing); mean ± standard "
        "deviation over the splits. What was made of them is in `evaluation/pictures` of "
        "every run: pictures of patients are not passed on with a page."
    )


def _section(config: Config, part: Part, trials: Sequence[Trial], results: Results) -> str:
    first = config.recipes[0]
    recipe_of = {one.contender.title: one.contender.recipe for one in trials}

    def of_recipe(recipe: str) -> Sequence[Result]:
        titles = [title for title in results if recipe_of.get(title) == recipe and title != first]
        return results[titles[0]] if titles else []

    ours, rivals = results[first], (of_recipe("cyclegan"), of_recipe("regression"))
    if part == "pairs":
        verdicts = pairs_targets(ours, *rivals)
    else:
        verdicts = phantom_targets(ours, *rivals) if part == "phantom" else lesion_targets(ours)
    table = _table(config, trials, results)
    words = [f"## {part}", _about(config, part), table, verdict_table(part, first, verdicts)]
    return "\n\n".join(words)


def _table(config: Config, trials: Sequence[Trial], results: Results) -> str:
    """Figures down, contenders across."""
    names = config.recipes
    lines = [line("figure", *names), line(*["---"] * (len(names) + 1))]
    known: dict[str, dict[str, Any]] = {}
    for some in results.values():
        for result in some:
            known = {**result.evaluation["figures"], **known}
    for name, what in known.items():
        unit = f" [{what['unit']}]" if what["unit"] else ""
        better = f", {what['better']}" if what["better"] else ""
        cells = [over_repeats(results[one], name) for one in names]
        lines.append(line(f"{what['title']}{unit}{better}", *cells))
    contrasts = [_contrast(results[one]) for one in names]
    if any(contrasts):
        lines.append(line("Lesions' contrast over the truth's (median), near 1", *contrasts))
    for title, value in LESIONS.items():
        shares = [value(results[one]) for one in names]
        if any(one is not None for one in shares):
            lines.append(line(title, *[None if x is None else f"{100 * x:.0f}" for x in shares]))
    steps = {trial.contender.title: trial.steps for trial in trials}
    speeds = [f"{steps[one]} ({steps[one] / 60 / config.minutes:.2f}/s)" for one in names]
    lines.append(line("Training steps (speed)", *speeds))
    repeats = len({trial.material.name for trial in trials})
    lines.append(line("Runs finished", *[f"{len(results[one])} of {repeats}" for one in names]))
    return "\n".join(lines)


def _contrast(results: Sequence[Result]) -> Spread | None:
    shown = [one for one in results if one.lesions("visible")]
    return Spread.of([one.lesions("median_contrast_ratio") for one in shown])


def _firsts(trials: Sequence[Trial]) -> list[Trial]:
    """The trials of the first seed or split, which show the same patients."""
    return [one for one in trials if one.material.name == trials[0].material.name]


def _picture(config: Config, trial: Trial, result: Result) -> str:
    """The first patient's picture, copied beside the page; '' where there is none."""
    if not result.pictures:
        return ""
    path = config.out.with_suffix("") / f"{trial.part}-{trial.contender.name}.png"
    copy_picture(result.pictures[0], path, mode="RGB")
    name = f"{trial.part}, {trial.contender.title}, {trial.material.name}"
    return f"{name}:\n\n![{name}]({path.parent.name}/{path.name})"
