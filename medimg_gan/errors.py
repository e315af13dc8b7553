"""Every error that a user can act on: place, observed against expected, likely cause, remedy."""

from __future__ import annotations

from functools import partial


class MedimgError(Exception):
    """A fault that the user can mend. Apps print it without a traceback and exit with 2.

    Args:
        problem: Where, and what is wrong, in one line ("data/p07: slices are not evenly spaced").
        observed: What was seen against what was expected.
        cause: The likely cause.
        fix: What the user can do about it.
    """

    shown_as = ""
    """Name in the message, where it is not the class's own."""

    def __init__(self, problem: str, *, observed: str = "", cause: str = "", fix: str = "") -> None:
        self.problem, self.observed, self.cause, self.fix = problem, observed, cause, fix
        super().__init__(problem, observed, cause, fix)

    def __reduce__(self) -> tuple[partial[MedimgError], tuple[str]]:
        """Pickle by keywords: errors come back from worker processes."""
        rest = {"observed": self.observed, "cause": self.cause, "fix": self.fix}
        return partial(type(self), **rest), (self.problem,)

    def __str__(self) -> str:
        lines = [f"{self.shown_as or type(self).__name__}: {self.problem}"]
        lines += [f"  {self.observed}"] if self.observed else []
        lines += [f"  likely cause: {self.cause}"] if self.cause else []
        lines += [f"  fix: {self.fix}"] if self.fix else []
        return "\n".join(lines)

    def one_line(self) -> str:
        """The same on one line, for tables of problems."""
        parts = [self.problem, self.observed]
        parts += [f"likely cause: {self.cause}" if self.cause else ""]
        parts += [f"fix: {self.fix}" if self.fix else ""]
        return "; ".join(part for part in parts if part)


class ConfigError(MedimgError):
    """The flags or the YAML ask for something that cannot be."""


class DataError(MedimgError):
    """A folder or file holds nothing that can be used."""


class UnreadableError(DataError):
    """One file or series cannot be decoded."""


class DicomGeometryError(DataError):
    """A DICOM series does not form one regular volume."""


class ModalityError(DataError):
    """Values that do not fit the modality they are said to be."""


class LabelError(DataError):
    """Labels that are missing, unknown or ambiguous."""


class SplitError(DataError):
    """Too few patients for a split that a claim could rest on."""


class RunError(MedimgError):
    """A run folder that is finished, foreign or damaged."""


class CheckpointError(RunError):
    """A checkpoint that cannot be read or does not fit."""


class DivergenceError(MedimgError):
    """Training produced a value that is not finite."""


class DeviceError(MedimgError):
    """The accelerator that was asked for is not there."""
