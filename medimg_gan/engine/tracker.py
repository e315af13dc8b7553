"""What a training leaves to look at: figures (TensorBoard, ``metrics.jsonl``), grids, alarms."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.tensorboard.writer import SummaryWriter
from torchvision.utils import make_grid, save_image

from medimg_gan.engine.alarms import Alarm, Alarms
from medimg_gan.engine.rows import forget_after, read_rows
from medimg_gan.errors import RunError
from medimg_gan.files import written_aside
from medimg_gan.recipes.base import PREVIEW_COLUMNS
from medimg_gan.slices import middle_slice

METRICS = "metrics.jsonl"
SAMPLES = "samples"
PADDING = 2
"""Pixels between the images of a grid."""


class Tracker:
    """Writes figures and pictures of one training; for the main process.

    Figures and alarms of steps after ``step`` (written by a part of the training that was killed
    before it could save) are removed, so that none appears twice.

    Args:
        folder: The run's; gets ``metrics.jsonl``, ``alarms.jsonl``, ``samples/`` and
            ``tensorboard/``.
        step: Where the training begins or continues.
        settings: Hyper-parameters to show.
        generators: Names of the networks that users sample from.

    Attributes:
        alarms: Judge every row of figures.
    """

    def __init__(
        self,
        folder: Path,
        step: int,
        settings: Mapping[str, Any],
        generators: Iterable[str] = (),
    ) -> None:
        self.folder = folder
        self.path = folder / METRICS
        folder.mkdir(parents=True, exist_ok=True)
        forget_after(self.path, step)
        self.alarms = Alarms(folder, step, read_rows(self.path), generators)
        self.file = self.path.open("a", encoding="utf-8")
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
        self.board.add_text("settings", _as_table(settings), 0)

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """Write one row and judge it; a value that is not finite becomes null."""
        finite = {
            name: round_figure(value) if math.isfinite(value) else None
            for name, value in values.items()
        }
        with full_disk_explained(self.folder):
            self.file.write(json.dumps({"step": step, **finite}) + "\n")
            self.file.flush()
            for name, value in values.items():
                self.board.add_scalar(name, value, step)
            for alarm in self.alarms.see(step, finite):
                self._show(alarm)

    def ring(self, step: int, name: str, observed: str, cause: str, fix: str) -> None:
        """Set off an alarm that no figure does."""
        with full_disk_explained(self.folder):
            self._show(self.alarms.ring(step, name, observed, cause, fix))

    def pictures(self, step: int, images: Mapping[str, Tensor], kind: str = "preview") -> Path:
        """Write the stacks of a preview to TensorBoard, and as one PNG.

        Args:
            step: Steps done.
            images: Name -> (N, C, H, W) in [-1, 1]. A single stack is laid out in rows of
                ``PREVIEW_COLUMNS``; of several, each is a row, so that columns can be compared.
            kind: What they are: their tag in TensorBoard.

        Returns:
            The PNG, ``samples/step_000500.png``; its name begins with ``kind`` for other kinds.
        """
        columns = PREVIEW_COLUMNS if len(images) == 1 else max(map(len, images.values()))
        grids = {name: grid(stack, columns) for name, stack in images.items()}
        for name, picture in grids.items():
            self.board.add_image(f"{kind}/{name}", picture, step)
        widest = max(picture.shape[2] for picture in grids.values())
        rows = [F.pad(picture, (0, widest - picture.shape[2])) for picture in grids.values()]
        prefix = "" if kind == "preview" else f"{kind}_"
        path = self.folder / SAMPLES / f"{prefix}step_{step:06d}.png"
        with full_disk_explained(self.folder), written_aside(path) as aside:
            save_image(torch.cat(rows, dim=1), aside)
            self.board.flush()
        return path

    def close(self) -> None:
        """Write out what is pending."""
        self.file.close()
        self.board.close()

    def _show(self, alarm: Alarm) -> None:
        self.board.add_text("alarms", f"**{alarm.name}**: {alarm.words}", alarm.step)


def grid(images: Tensor, columns: int) -> Tensor:
    """Lay images out in rows.

    Args:
        images: (N, C, H, W) in [-1, 1]; of several channels (adjacent slices) the middle is shown.
        columns: Images in a row.

    Returns:
        (3, height, width) in [0, 1].
    """
    shown = middle_slice(images).detach().float().cpu().clamp(-1, 1)
    return make_grid((shown + 1) / 2, nrow=columns, padding=PADDING)


@contextmanager
def full_disk_explained(folder: Path) -> Iterator[None]:
    """Turn a refusal of the disk into an error that says what to do.

    Raises:
        RunError: In place of an OSError in the block.
    """
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be written",
            observed=str(error),
            cause="the disk is full, or the folder cannot be written to",
            fix="make room and repeat the command: it continues from the last checkpoint",
        ) from error


def round_figure(value: float) -> float:
    """Six significant digits, all that float32 holds."""
    return float(f"{value:.6g}")


def _as_table(settings: Mapping[str, Any]) -> str:
    """A Markdown table, which TensorBoard renders."""
    rows = [f"| {name} | {json.dumps(value)} |" for name, value in settings.items()]
    return "\n".join(["| setting | value |", "|---|---|", *rows])
