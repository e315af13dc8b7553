"""What each tissue of the phantom looks like in CT and MR.

CT numbers are mid-range clinical values (Kalender, *Computed Tomography*, 3rd ed. 2011; Greenberg,
*Handbook of Neurosurgery*, table of Hounsfield units). T1, T2 and proton density of fluid, grey
and white matter, fat and muscle at 1.5 T are those of the BrainWeb simulator (Collins et al.
1998, IEEE TMI 17:463; Kwan et al. 1999, IEEE TMI 18:1085). The other tissues, which BrainWeb
lacks or leaves without signal, have typical values of the 1.5 T literature (Bottomley et al. 1984
and 1987, Med. Phys. 11:425 and 14:1; Stanisz et al. 2005, MRM 54:507); the tumour's rim is as
after gadolinium, with a shortened T1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Tissue(IntEnum):
    """Row of a tissue in the stack of fraction maps."""

    AIR = 0
    FAT = 1
    SKIN = 2
    MUSCLE = 3
    BONE = 4
    DIPLOE = 5
    DURA = 6
    FLUID = 7
    GREY = 8
    DEEP_GREY = 9
    WHITE = 10
    VITREOUS = 11
    LENS = 12
    CALCIFICATION = 13
    TUMOUR_CORE = 14
    TUMOUR_RIM = 15
    OEDEMA = 16


@dataclass(frozen=True)
class Properties:
    """Physical constants of one tissue at 1.5 T.

    Attributes:
        hounsfield: CT number in HU.
        t1: Longitudinal relaxation time in ms.
        t2: Transverse relaxation time in ms.
        density: Proton density relative to water.
    """

    hounsfield: float
    t1: float
    t2: float
    density: float


TISSUES: dict[Tissue, Properties] = {
    Tissue.AIR: Properties(-1000, 1.0, 1.0, 0.0),
    Tissue.FAT: Properties(-90, 350, 70, 1.0),
    Tissue.SKIN: Properties(40, 900, 47, 0.9),
    Tissue.MUSCLE: Properties(50, 900, 47, 0.85),
    Tissue.BONE: Properties(1200, 1000, 10, 0.08),
    Tissue.DIPLOE: Properties(500, 450, 60, 0.55),
    Tissue.DURA: Properties(58, 1000, 25, 0.6),
    Tissue.FLUID: Properties(8, 2569, 329, 1.0),
    Tissue.GREY: Properties(38, 833, 83, 0.86),
    Tissue.DEEP_GREY: Properties(39, 740, 78, 0.84),
    Tissue.WHITE: Properties(30, 500, 70, 0.77),
    Tissue.VITREOUS: Properties(10, 3500, 700, 1.0),
    Tissue.LENS: Properties(75, 1000, 35, 0.7),
    Tissue.CALCIFICATION: Properties(250, 1000, 15, 0.3),
    Tissue.TUMOUR_CORE: Properties(22, 1500, 140, 0.92),
    Tissue.TUMOUR_RIM: Properties(50, 380, 95, 0.88),
    Tissue.OEDEMA: Properties(19, 1150, 130, 0.9),
}
