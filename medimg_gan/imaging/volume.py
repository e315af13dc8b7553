"""A volume: values, where they lie in the patient, and where they came from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from medimg_gan.imaging.orientation import spacing_of

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray


@dataclass(frozen=True)
class Volume:
    """One scan on a regular grid, axes nearest to Right, Anterior, Superior.

    Attributes:
        array: (I, J, K) float32 in ``unit``; i grows to the patient's right, j to the front, k to
            the top (or as near to that as the scan's own axes lie). A 2D picture is (I, J, 1).
        affine: (4, 4) float64, voxel index -> millimetres in RAS+.
        modality: A key of ``MODALITIES``, or "" where nothing says what it is.
        unit: "HU", "signal" (arbitrary) or "display" (8-bit grey levels of a picture).
        stored: Axis codes of the file that was read ("LPS"); writers put that order back.
        provenance: Facts without identity: format, transfer syntax, counts.
    """

    array: FloatArray
    affine: FloatArray
    modality: str = ""
    unit: str = "signal"
    stored: str = "RAS"
    provenance: dict[str, str] = field(default_factory=dict)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along I, J, K in millimetres."""
        return spacing_of(self.affine)

    def with_array(self, array: FloatArray, *, modality: str, unit: str) -> Volume:
        """Other values on the same grid (a translation, a mask)."""
        assert array.shape == self.array.shape, (array.shape, self.array.shape)
        return replace(self, array=array, modality=modality, unit=unit)
