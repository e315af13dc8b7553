"""What lies between noise and image: grids, walks, likenesses and directions of a trained GAN.

::

    generator = load_run("runs/train-gan-cgan")
    frames = between_seeds(generator, "tumor", (0, 1, 2), frames=12)
    likeness = project(generator, picture, ("tumor",), steps=200, starts=4)
    moved = generator.sample(8, "tumor", knobs=Knobs(truncation=0.7, moves=((1, 2.0),)))
"""

from medimg_gan.latent.conditions import classes_of, rendered, told
from medimg_gan.latent.diversity import spread
from medimg_gan.latent.pictures import sheet, write_animation, write_sheet
from medimg_gan.latent.projection import Projection, project
from medimg_gan.latent.walks import between_classes, between_seeds, slerp
from medimg_gan.recipes.knobs import Directions, Knobs, directions_of

__all__ = [
    "Directions",
    "Knobs",
    "Projection",
    "between_classes",
    "between_seeds",
    "classes_of",
    "directions_of",
    "project",
    "rendered",
    "sheet",
    "slerp",
    "spread",
    "told",
    "write_animation",
    "write_sheet",
]
