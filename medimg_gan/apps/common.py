"""What several verbs share: flags of a training, the embedded data, the end of a run."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from medimg_gan import runs
from medimg_gan.config import as_dict
from medimg_gan.console import say
from medimg_gan.data.chain_settings import ChainConfig
from medimg_gan.data.settings import DataConfig
from medimg_gan.engine.settings import EngineConfig
from medimg_gan.errors import ConfigError, DataError, RunError

if TYPE_CHECKING:
    from collections.abc import Callable

    from medimg_gan.imaging import Origin, Volume
    from medimg_gan.modalities import Scale

RUNS = Path("runs")
ENDING = {"nifti": ".nii.gz", "png": ".png", "dicom": ""}
"""What the formats' names end with; a DICOM series is a folder."""
STARTED = time.monotonic()
"""When this verb began, as near as makes no difference."""

WeightsName = Annotated[
    Literal["best", "last"],
    tyro.conf.arg(
        help="best: those nearest to the validation patients while training, if it was looked "
        "at; last: those that the training ended with."
    ),
]
"""Which weights of a run a verb uses: see ``synthesis.weights_file``."""

FlatData = Annotated[DataConfig, tyro.conf.arg(name="")]
"""The data flags without a prefix: ``--data``, ``--mask`` ..."""


@dataclass(frozen=True)
class Budget:
    """How long to train: steps, or minutes."""

    steps: int | None
    minutes: float | None


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Flags of every verb that trains; each app adds its own."""

    source: FlatData = field(default_factory=DataConfig)
    transform: ChainConfig = field(default_factory=ChainConfig)
    run: Path | None = None
    """Folder of the run; default runs/<verb>-<what>."""
    steps: int | None = None
    """Training steps; a run bounded by steps repeats bit by bit."""
    minutes: float | None = None
    """Wall-clock budget of the whole verb; goes before --steps."""
    seed: int = 0
    """Seed of the split, the weights and every draw."""
    size: int = 64
    """Side of the square pictures in pixels: 32, 64, 128, 256 or 512."""
    batch_size: int = 16
    """Images per step and device."""
    restart: bool = False
    """Delete what an earlier run left in the folder and begin again."""
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        """Refuse at once what no training could do."""
        if self.size not in (32, 64, 128, 256, 512):
            raise ConfigError(f"--size {self.size}", observed="sizes are 32, 64, 128, 256 and 512")
        for name in ("steps", "minutes", "batch_size"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"--{name.replace('_', '-')} {value:g}: must be positive")
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed}: must be 0 or more")


def minutes_left(config: TrainingConfig) -> Budget:
    """The training's share of what was asked for: ``--minutes`` counts from the verb's start.

    Minutes go before steps, which the app's YAML gives where nobody typed them.
    """
    if config.steps is None and config.minutes is None:
        raise ConfigError("the training has no end", fix="--steps 4000, or --minutes 30")
    if config.minutes is None:
        return Budget(config.steps, None)
    used = (time.monotonic() - STARTED) / 60
    return Budget(None, max(config.minutes - used, 0.05 * config.minutes))


def run_folder(config: TrainingConfig, name: str) -> Path:
    """The run's folder: as asked for, else ``runs/<name>``."""
    return config.run or RUNS / name


def alarms_of(run: Path) -> list[str]:
    """The alarms that rang while a run's GAN trained, each in a sentence; for reports."""
    alarms = runs.read_json(run / runs.MANIFEST).get("alarms", [])
    return [
        f"alarm at step {alarm['step']} of the GAN's training, {alarm['name']}: {alarm['words']}"
        for alarm in alarms
    ]


def say_if_embedded(config: DataConfig) -> None:
    """The first line of a verb to which the user named no data."""
    if config.data is None:
        say(
            "no --data given: using the embedded phantom (generated heads, not patients); "
            "give --data DIR for your own scans"
        )


def with_embedded_data(config: DataConfig, purpose: str) -> DataConfig:
    """The same config, with the phantom's folder where the user named no data.

    Args:
        config: The user's data flags.
        purpose: "translation" (MRI and CT of disjoint patients), "sequences" (the same with T1 and
            T2 of the MRI patients) or "classification" (MRI only).
    """
    if config.data is not None:
        return config
    from medimg_gan.imaging.phantom import make_phantom

    settings = PHANTOMS[purpose]
    # Its size is in its name: a later version may embed a larger one.
    folder = RUNS / f"phantom-{purpose}-{settings['patients']}"
    make_phantom(folder, **settings)
    return replace(config, data=folder / "data")


def plain_name(text: str) -> str:
    """A class's name as part of a file's: letters, digits, dots and dashes only."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "class"


def default_device() -> str:
    """Where sampling and translation compute: a GPU if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


PHANTOMS: dict[str, dict[str, Any]] = {
    "translation": {"patients": 40, "seed": 0},
    "sequences": {"patients": 24, "seed": 0, "weighting": "both"},
    "classification": {"patients": 64, "seed": 1, "mri_fraction": 1.0},
}


def already_finished(
    folder: Path,
    verb: str,
    config: Any,
    next_step: str,
    *,
    check: Callable[[], None] = lambda: None,
) -> bool:
    """Whether the same command has finished before; then says so, before anything heavy loads.

    Args:
        folder: Of the run.
        verb: Its verb.
        config: Resolved flags.
        next_step: What to do with what is there.
        check: Refuses misspelt settings, which differ from a run's, but should not be told as that.

    Raises:
        RunError: As :func:`medimg_gan.runs.open_run`.
    """
    try:
        run = runs.find_run(folder, verb, as_dict(config), restart=config.restart)
    except RunError:
        check()
        raise
    if run is None or not run.finished:
        return False
    say(f"{folder} is finished already; --restart begins again")
    say(f"next: {next_step}")
    return True


def write_volume(
    volume: Volume,
    path: Path,
    file_format: str,
    scale: Scale,
    about: str,
    *,
    patient: str = "ANON",
    origin: Origin | None = None,
    bits: Literal[8, 16] = 16,
) -> None:
    """Write one result in the format that was asked for.

    Args:
        volume: What to write.
        path: Its place, with the format's ``ENDING``; a folder for DICOM.
        file_format: nifti, dicom or png.
        scale: The range of a png's grey levels.
        about: Series description.
        patient: Pseudonym in DICOM files.
        origin: What a DICOM series shares with its source.
        bits: Of a png.

    Raises:
        DataError: If a volume of many slices is to become one picture, or the disk refuses.
    """
    from medimg_gan.data.planes import as_picture
    from medimg_gan.imaging import write_dicom, write_nifti, write_picture

    if file_format == "nifti":
        write_nifti(volume, path)
    elif file_format == "dicom":
        write_dicom(volume, path, description=about, template_patient=patient, origin=origin)
    elif 1 in volume.array.shape:
        write_picture((scale.encode(as_picture(volume.array)) + 1) / 2, path, bits)
    else:
        raise DataError("a volume of many slices is no picture", fix="--format nifti")


def typical_scale(rows: Any) -> dict[str, float]:
    """One scale for synthetic images: the medians over the training slices' own scales."""
    return {
        "low": float(rows["low"].median()),
        "high": float(rows["high"].median()),
        "pixel_mm": float(rows["pixel_mm"].median()),
    }
