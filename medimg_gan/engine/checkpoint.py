"""Checkpoints: tensors and plain values in one file, proven whole, kept a few deep."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from medimg_gan import runs
from medimg_gan.console import say
from medimg_gan.errors import CheckpointError, MedimgError
from medimg_gan.files import written_aside

if TYPE_CHECKING:
    from medimg_gan.recipes.base import Recipe

FORMAT = 1
"""Raised whenever an older reader could misread a newer file."""

State = dict[str, Any]
"""Nested dicts and lists of tensors and plain JSON values."""


class Checkpoints:
    """The checkpoints of one training: ``step_0000500.pt``, and ``.json`` with its SHA-256.

    The JSON is written last, so a file without one was never finished.

    Args:
        folder: Made when the first checkpoint is written.
        keep: Files to keep, the newest ones.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder, keep

    @property
    def last(self) -> Path | None:
        """The newest finished file, as far as its name and companion tell; None without one."""
        finished = [path for path in self._files() if path.with_suffix(".json").exists()]
        return finished[-1] if finished else None

    def save(self, step: int, state: State) -> Path:
        """Write a checkpoint, then remove those that are too old.

        Raises:
            CheckpointError: If it cannot be written; earlier checkpoints are untouched.
        """
        path = self.folder / f"step_{step:07d}.pt"
        write_tensors(path, state)
        with _refusals_explained(path):
            runs.write_json(path.with_suffix(".json"), {"step": step, "sha256": _sha256(path)})
        for old in self._files()[: -self.keep]:
            _remove(old)
        return path

    def newest(self) -> Path | None:
        """The newest whole checkpoint, or None before the first was finished.

        Damaged ones newer than it are removed, and it says so. For the main process, before any
        other reads the folder.

        Raises:
            CheckpointError: If there were checkpoints and none is whole; nothing is removed then,
                for beginning again would throw away all that was trained.
        """
        files = self._files()
        whole = next((path for path in reversed(files) if _is_whole(path)), None)
        # A training that ended within its first save leaves one file, without its companion.
        if whole is None and (self.last is not None or len(files) > 1):
            raise CheckpointError(
                f"{self.folder}: no checkpoint is whole",
                observed=f"{len(files)} damaged: {', '.join(path.name for path in files)}",
                cause="a failing disk, or files that were changed or copied in part",
                fix="put whole ones back from a copy, or --restart True to begin again from step 0",
            )
        for path in files[files.index(whole) + 1 if whole else 0 :]:
            say(f"{path}: damaged or unfinished; removed, falling back to {whole or 'step 0'}")
            _remove(path)
        return whole

    def load(self, path: Path) -> State:
        """Read a checkpoint; tensors land on the CPU.

        Raises:
            CheckpointError: If it cannot be read or is of another format.
        """
        return read_tensors(path)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("step_*.pt"))


def write_tensors(path: Path, content: State) -> None:
    """Write nested tensors and plain values: the whole file or none.

    Raises:
        CheckpointError: If the disk refuses.
    """
    # Through a handle: given a path, torch writes the temporary name into the file, and equal
    # contents would give unequal bytes.
    with _refusals_explained(path), written_aside(path) as aside, aside.open("wb") as file:
        torch.save({"format": FORMAT, **content}, file)


def read_tensors(path: Path) -> State:
    """Read what :func:`write_tensors` wrote; no code in the file is ever run.

    Raises:
        CheckpointError: If the file is absent, damaged or of another format.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found = content["format"]
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path}: not found",
            cause="the training has not finished, or this is not a training's folder",
            fix="repeat the training command: it continues where it stopped",
        ) from error
    except Exception as error:  # a damaged file can fail in any layer below
        raise CheckpointError(
            f"{path}: cannot be read",
            observed=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            cause="a damaged file, or one that was not written by medimg-gan",
            fix="repeat the training command with --restart True",
        ) from error
    if found != FORMAT:
        raise CheckpointError(
            f"{path}: written by another version",
            observed=f"format {found}, expected {FORMAT}",
            fix="use the version of medimg-gan that wrote it, or train again",
        )
    return content


def compare_settings(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of another training.

    Args:
        path: The checkpoint, for the message.
        found: Its settings.
        expected: Those of the training that would use it.

    Raises:
        CheckpointError: Naming every setting that differs.
    """
    differing = [
        f"{key}: found {found.get(key)}, expected {expected.get(key)}"
        for key in sorted(found.keys() | expected.keys())
        if found.get(key) != expected.get(key)
    ]
    if differing:
        raise CheckpointError(
            f"{path}: belongs to another training",
            observed="; ".join(differing),
            cause="the recipe, its settings or the image size changed since it was written",
            fix="give another --run folder, or --restart True to begin again",
        )


def fill(path: Path, nets: Mapping[str, nn.Module], states: Mapping[str, State]) -> None:
    """Load a state into each network.

    Raises:
        CheckpointError: If names or shapes differ.
    """
    if nets.keys() != states.keys():
        raise _misfit(path, f"found networks {sorted(states)}, expected {sorted(nets)}")
    for name, net in nets.items():
        try:
            net.load_state_dict(states[name])
        except RuntimeError as error:
            lines = [line.strip() for line in str(error).splitlines()]
            raise _misfit(path, f"{name}: {' '.join(lines[1:3])}") from error


def save_weights(path: Path, recipe: Recipe, facts: Mapping[str, Any] | None = None) -> None:
    """Write the networks that users sample from.

    Args:
        path: ``weights.pt`` of a run, or ``weights_best.pt``.
        recipe: Holds the moving average (``Ema.recipe``).
        facts: Plain values to keep with them.

    Raises:
        CheckpointError: If the disk refuses.
    """
    nets = {name: _on_cpu(recipe.get_submodule(name).state_dict()) for name in recipe.averaged}
    state = _on_cpu({name: getattr(recipe, name) for name in recipe.sampled_with})
    content = {"recipe": type(recipe).__name__, "nets": nets, "state": state}
    write_tensors(path, content if facts is None else {**content, "facts": dict(facts)})


def load_weights(path: Path, recipe: Recipe) -> None:
    """Read ``weights.pt`` into a recipe of the same settings, in place.

    Raises:
        CheckpointError: If the file is absent or damaged, or fits another recipe or size.
    """
    content = read_tensors(path)
    compare_settings(path, {"recipe": content["recipe"]}, {"recipe": type(recipe).__name__})
    fill(path, {name: recipe.get_submodule(name) for name in recipe.averaged}, content["nets"])
    state = content.get("state", {})
    if state.keys() != set(recipe.sampled_with):
        raise _misfit(path, f"found {sorted(state)}, expected {sorted(recipe.sampled_with)}")
    for name, value in state.items():
        getattr(recipe, name).copy_(value)


@contextmanager
def _refusals_explained(path: Path) -> Iterator[None]:
    """Turn what a full disk makes Python or torch raise into an error that says what to do."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError
        raise CheckpointError(
            f"{path}: cannot be written",
            observed=str(error).splitlines()[0],
            cause="the disk is full, or the folder cannot be written to",
            fix="make room and repeat the command: it continues from the last checkpoint",
        ) from error


def _misfit(path: Path, observed: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: does not fit",
        observed=observed,
        cause="it was trained with another recipe, image size or set of conditions, or by an "
        "older version of medimg-gan",
        fix="use the settings in the manifest.json of its run",
    )


def _on_cpu(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in state.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_whole(path: Path) -> bool:
    try:
        return runs.read_json(path.with_suffix(".json"))["sha256"] == _sha256(path)
    except (MedimgError, OSError, KeyError, TypeError):
        return False


def _remove(path: Path) -> None:
    # The JSON goes first: a kill in between leaves a file that counts as unfinished.
    path.with_suffix(".json").unlink(missing_ok=True)
    path.unlink(missing_ok=True)
