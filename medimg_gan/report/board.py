"""The plots and grids of a study's page, for TensorBoard."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from torch.utils.tensorboard.writer import SummaryWriter

from medimg_gan.report.figures import all_plots
from medimg_gan.report.pictures import grid
from medimg_gan.report.raster import as_pixels

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from medimg_gan.types import FloatArray

FOLDER = "tensorboard"


def write_board(folder: Path, report: dict[str, Any], pictures: Mapping[str, FloatArray]) -> Path:
    """Write ``tensorboard/`` in a study's folder; what an earlier report left there is replaced.

    Args:
        folder: The study's.
        report: Follows ``report_schema.json``.
        pictures: Title of a grid -> (n, 1, H, W) slices in [-1, 1].

    Returns:
        The folder of the events.
    """
    place = folder / FOLDER
    shutil.rmtree(place, ignore_errors=True)
    with SummaryWriter(str(place)) as board:
        board.add_text("verdict", report["verdict"], 0)
        for name, plots in all_plots(report).items():
            for number, plot in enumerate(plots):
                board.add_image(f"study/{name}", as_pixels(plot), number, dataformats="HWC")
        for title, images in pictures.items():
            board.add_image(f"slices/{title}", grid(images), 0, dataformats="HW")
    return place
