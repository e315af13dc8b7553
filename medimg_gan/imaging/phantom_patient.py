"""One generated head in CT and MRI, with its tumour mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from medimg_gan.imaging.phantom_anatomy import Size, grid_affine, tissue_fractions
from medimg_gan.imaging.phantom_signal import Weighting, ct_image, mr_image
from medimg_gan.imaging.phantom_tissue import Tissue
from medimg_gan.imaging.phantom_traits import draw_traits
from medimg_gan.imaging.phantom_tumour import draw_tumour
from medimg_gan.imaging.volume import Volume

Weightings = Weighting | Literal["both"]
SIZE: Size = (128, 160, 26)
"""Voxels right-left, back-front, low-high: 1.5 x 1.5 x 5 mm."""


@dataclass(frozen=True)
class PhantomPatient:
    """One generated head in both modalities, on one grid.

    Attributes:
        ct: CT numbers in HU.
        mri: Spin-echo signal.
        mask: 1 in the tumour's core and rim, 0 elsewhere (its oedema is not marked).
        t2: The same in T2 weighting with noise of its own, where both are asked for.
    """

    ct: Volume
    mri: Volume
    mask: Volume
    t2: Volume | None = None


def phantom_patient(
    seed: int,
    number: int,
    size: Size = SIZE,
    *,
    tumour: bool | None = None,
    weighting: Weightings = "t1",
) -> PhantomPatient:
    """Generate one head; the same arguments give the same values.

    Args:
        seed: The set's seed, 0 or more.
        number: The patient's number, 0 or more.
        size: Voxels right-left, back-front, low-high; the box of 192 x 240 x 130 mm stays the
            same, so fewer voxels are larger ones.
        tumour: Whether it has one; None tosses a coin. With and without, the anatomy and the
            noise are the same: the two are twins.
        weighting: Contrast of the MR image: "t1" (as after gadolinium) or "t2"; "both" for T1
            with T2 beside it.
    """
    streams = np.random.SeedSequence([seed, number]).spawn(5)
    anatomy, lesion, ct_noise, mr_noise, t2_noise = map(np.random.default_rng, streams)
    drawn = draw_tumour(lesion)
    tumour = bool(lesion.random() < 0.5) if tumour is None else tumour
    fractions = tissue_fractions(draw_traits(anatomy), drawn if tumour else None, size)
    inside = fractions[Tissue.TUMOUR_CORE] + fractions[Tissue.TUMOUR_RIM] > 0.5
    provenance = {"origin": "medimg_gan phantom"}
    ct = Volume(ct_image(fractions, ct_noise), grid_affine(size), "ct", "HU", "RAS", provenance)

    def magnetic(noise: np.random.Generator, contrast: Weighting) -> Volume:
        values = mr_image(fractions, noise, contrast)
        return ct.with_array(values, modality="mri", unit="signal")

    return PhantomPatient(
        ct=ct,
        mri=magnetic(mr_noise, "t1" if weighting == "both" else weighting),
        mask=ct.with_array(inside.astype(np.float32), modality="", unit="signal"),
        t2=magnetic(t2_noise, "t2") if weighting == "both" else None,
    )
