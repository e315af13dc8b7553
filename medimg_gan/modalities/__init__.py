"""Raw values <-> network range, one file per modality. To add one: a file and a line here."""

from medimg_gan.modalities.base import DISPLAY, Modality, Scale
from medimg_gan.modalities.ct import Ct
from medimg_gan.modalities.mri import Mri
from medimg_gan.modalities.picture import Picture
from medimg_gan.modalities.xray import XRay

MODALITIES: dict[str, Modality] = {
    modality.name: modality for modality in (Ct(), Mri(), XRay(), Picture())
}

__all__ = ["DISPLAY", "MODALITIES", "Ct", "Modality", "Mri", "Picture", "Scale", "XRay"]
