"""Draws what ``explore`` is asked for (the heavy half)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.apps.common import plain_name
from medimg_gan.console import progress, say
from medimg_gan.files import new_file
from medimg_gan.latent import (
    Knobs,
    Projection,
    between_classes,
    between_seeds,
    directions_of,
    project,
    rendered,
    spread,
    told,
    write_animation,
    write_sheet,
)
from medimg_gan.slices import spread_over

if TYPE_CHECKING:
    from medimg_gan.apps.explore import Config
    from medimg_gan.synthesis import Generator
    from medimg_gan.types import FloatArray

FOUND, NEAR = 0.1, 0.5
"""Shares of the way from the generator's own samples to any two samples, up to which an image
counts as found, and as something near it."""
AMOUNTS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
"""How far a direction is followed, in standard deviations."""
STRIP = 13
"""Frames of a walk that its strip shows."""
FEWEST = 64
"""Samples of a class that its diversity is taken from."""


def draw_grid(
    config: Config, generator: Generator, labels: tuple[str | None, ...]
) -> dict[str, Any]:
    """A row of samples for each class, and their diversity; facts for the manifest."""
    knobs = Knobs(truncation=config.truncation)
    noise, at = generator.draw_noise(max(config.count, FEWEST), config.seed), config.numbers()
    rows, diversity = [], {}
    for label in labels:
        images = rendered(generator, noise, told(generator, [label] * len(noise), at), knobs)
        rows.append((label or "", images[: config.count]))
        diversity[label or "all"] = round(spread(images), 4)
    write_sheet(config.out / "grid.png", rows)
    say("mean distance of two samples (root mean square, of the range [-1, 1]):")
    for name, value in diversity.items():
        say(f"  {name}: {value:.3f}")
    return {"diversity": diversity}


def draw_interpolate(
    config: Config, generator: Generator, labels: tuple[str | None, ...]
) -> dict[str, Any]:
    """Walks as a strip and an animation; facts for the manifest."""
    if config.through == "classes":
        names = tuple(label for label in labels if label is not None)
        walks = {
            f"seed {seed}": between_classes(generator, names, seed, config.frames, config.numbers())
            for seed in range(config.seed, config.seed + config.count)
        }
    else:
        seeds = tuple(range(config.seed, config.seed + config.count))
        walks = {
            label or "": between_seeds(generator, label, seeds, config.frames, config.numbers())
            for label in labels
        }
    length = len(next(iter(walks.values())))
    shown = spread_over(length, STRIP)
    write_sheet(config.out / "walk.png", [(name, walk[shown]) for name, walk in walks.items()])
    write_animation(config.out / "walk.gif", np.stack(list(walks.values()), axis=1))
    say(f"{len(walks)} walks; the animation has {length} frames, the strip {len(shown)} of them")
    return {"frames": length}


def draw_project(
    config: Config,
    generator: Generator,
    labels: tuple[str | None, ...],
    target: FloatArray,
) -> dict[str, Any]:
    """The likeness of ``target`` (C, size, size) and its noise; facts for the manifest."""
    with progress("searching", 2 * config.steps, "steps") as ticker:
        found = project(
            generator, target, labels, steps=config.steps, starts=config.starts,
            seed=config.seed, at=config.numbers(), advance=ticker.advance,
        )  # fmt: skip
    difference = (found.image - target).clip(-1, 1)
    words = f"{found.label or ''} target, likeness, difference".strip()
    write_sheet(config.out / "likeness.png", [(words, np.stack([target, found.image, difference]))])
    with new_file(config.out / "noise.npy") as aside:
        np.save(aside, found.noise)
    say("\n".join(_verdict(found)))
    names = ("label", "distance", "psnr", "own", "typical", "share", "numbers")
    figures = {name: getattr(found, name) for name in names}
    return {"projection": figures}


def _verdict(found: Projection) -> list[str]:
    """The figures in words."""
    words = [
        f"  distance to the target {found.distance:.3f} (PSNR {found.psnr:.1f} dB)",
        f"  its own samples are found again to within {found.own:.3f}",
        f"  two of its samples are {found.typical:.3f} apart, typically",
    ]
    if found.numbers:
        words += ["  at " + ", ".join(f"{one} {v:.3g}" for one, v in found.numbers.items())]
    if found.share <= FOUND:
        return ["the generator makes this image", *words]
    if found.share <= NEAR:
        return ["the generator makes something near this image, but not this one", *words]
    return ["the generator cannot reach this image: what it found is not a likeness", *words]


def draw_directions(
    config: Config, generator: Generator, labels: tuple[str | None, ...]
) -> dict[str, Any]:
    """What the strongest directions change in each class; facts for the manifest."""
    directions = directions_of(generator.recipe)
    count = min(config.count, len(directions.vectors))
    noise = generator.draw_noise(1, config.seed)
    heads = [f"{amount:+g}" for amount in AMOUNTS]
    for label in labels:
        known, rows = told(generator, [label], config.numbers()), []
        for number in range(1, count + 1):
            strip = [
                rendered(generator, noise, known, Knobs(moves=((number, amount),)))
                for amount in AMOUNTS
            ]
            strength = float(directions.strengths[number - 1])
            rows.append((f"direction {number}, strength {strength:.2f}", np.concatenate(strip)))
        name = "directions" + (f"-{plain_name(label)}" if label else "")
        write_sheet(config.out / f"{name}.png", rows, heads)
    with new_file(config.out / "directions.npz") as aside:
        np.savez(
            aside,
            vectors=directions.vectors.cpu().numpy(),
            strengths=directions.strengths.cpu().numpy(),
            unit=directions.unit,
        )
    say(f"{count} of {len(directions.vectors)} directions of the {directions.of}, strongest first")
    say(f"turn one: python scripts/synthesize.py --run {config.run} --out DIR --move 1=2")
    return {"moved": directions.of, "unit": directions.unit}
