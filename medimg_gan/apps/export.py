"""Write a trained network as a file that other programs load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medimg_gan import runs
from medimg_gan.apps.common import WeightsName
from medimg_gan.console import say
from medimg_gan.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Config:
    """Write a trained network as a file that other programs load."""

    run: Path
    """Folder of a finished train-gan or train-cyclegan run."""
    out: Path
    """The file; an older one is replaced."""
    format: Literal["torchscript", "onnx", "safetensors"] = "torchscript"
    """torchscript runs in plain torch, onnx in any ONNX runtime; safetensors holds weights only."""
    weights: WeightsName = "best"


def main(config: Config) -> None:
    """Export, hold the file against the Python network, and say what goes in and what comes out."""
    if config.out.is_dir():
        raise ConfigError(f"--out {config.out}: is a folder", fix="name a file in it")
    runs.read_json(config.run / runs.MANIFEST)  # a misspelt --run is answered at once
    from medimg_gan.export import METADATA, TOLERANCE, export
    from medimg_gan.synthesis import load_run

    done = export(load_run(config.run, weights=config.weights), config.format, config.out)
    facts = done.metadata
    for name, shape in facts["inputs"].items():
        sizes = " x ".join(str(side) for side in ("N", *shape))
        say(f"input   {name}: {sizes}")
    if facts.get("classes"):
        labels = ", ".join(f"{number} {name}" for number, name in enumerate(facts["classes"]))
        say(f"labels  {labels}")
    low, high = facts["scale"]["low"], facts["scale"]["high"]
    say(f"output  images in [-1, 1]: {low:g} to {high:g} {facts['unit']}")
    say(
        f"parity  values differ by up to {done.difference:.1e} from the Python network's "
        f"in {done.images} images (at most {TOLERANCE:g} is let through)"
    )
    megabytes = config.out.stat().st_size / 1e6
    say(f"\n{config.format}: {config.out} ({megabytes:.1f} MB)   facts: {METADATA} inside it")
