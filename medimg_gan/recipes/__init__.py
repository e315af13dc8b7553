"""One GAN per file. To add one: a file and a line here; the contract tests pick it up."""

from __future__ import annotations

from medimg_gan.recipes.base import (
    Adam,
    NoiseRecipe,
    Phase,
    Recipe,
    Spec,
    TranslationRecipe,
)
from medimg_gan.recipes.cgan import Cgan
from medimg_gan.recipes.cut import Cut
from medimg_gan.recipes.cyclegan import CycleGan
from medimg_gan.recipes.cyclegan_structure import CycleGanStructure
from medimg_gan.recipes.dcgan import Dcgan
from medimg_gan.recipes.disguise import Disguise
from medimg_gan.recipes.fastgan import FastGan
from medimg_gan.recipes.pix2pix import Pix2Pix
from medimg_gan.recipes.progressive import Progressive
from medimg_gan.recipes.reggan import RegGan
from medimg_gan.recipes.regression import Regression
from medimg_gan.recipes.stylegan3 import StyleGan3
from medimg_gan.recipes.vae import Vae
from medimg_gan.recipes.vae_gan import VaeGan
from medimg_gan.recipes.wgan_gp import WganGp

RecipeEntry = type[Recipe]

RECIPES: dict[str, RecipeEntry] = {
    "cgan": Cgan,
    "cut": Cut,
    "cyclegan": CycleGan,
    "cyclegan-structure": CycleGanStructure,
    "dcgan": Dcgan,
    "disguise": Disguise,
    "fastgan": FastGan,
    "pix2pix": Pix2Pix,
    "progressive": Progressive,
    "reggan": RegGan,
    "regression": Regression,
    "stylegan3": StyleGan3,
    "vae": Vae,
    "vae-gan": VaeGan,
    "wgan-gp": WganGp,
}
"""Every recipe by its name; its settings are the dataclass ``RECIPES[name].Config``."""

__all__ = [
    "RECIPES",
    "Adam",
    "NoiseRecipe",
    "Phase",
    "Recipe",
    "RecipeEntry",
    "Spec",
    "TranslationRecipe",
]
