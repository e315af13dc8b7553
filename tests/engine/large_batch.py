"""Two processes against one with the doubled batch, for every recipe.

By nature, random numbers differ by process. Here they are a function of the step's call and of the
image's place among all images of the step, so that both ways draw the same for each image.
"""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import torch
from toy_gan import FABRIC, weights_of

from medimg_gan.engine import loop
from medimg_gan.engine.loop import Engine
from medimg_gan.engine.settings import Plan
from medimg_gan.recipes import RECIPES, Spec, cyclegan

IMAGES = 8
"""In a step; two processes have half each, which is one group of the critics that compare."""
STEPS = 20
SMALLER = {"cyclegan": 16, "cyclegan-structure": 16}
"""Sides of pictures that are not of 32 pixels, to be quick."""
FEWER = dict.fromkeys(("cut", "disguise", "pix2pix", "reggan", "regression"), 6)
"""Steps that are not ``STEPS``, to be quick; cut's contrast makes 1e-3 of 1e-15 within twenty."""
SMALLER |= dict.fromkeys(FEWER, 16)
NEVER_FULL = STEPS * IMAGES
"""Fakes that a replay buffer holds: each process has its own, which gives back nothing here."""
SMALL = {
    "width": 4, "widest": 8, "critic_width": 4, "latent": 8,
    "augment": 0.0,  # moves images by draws that belong to no image
}  # fmt: skip


def end_of_every_recipe(fabric, folder):
    """Weights of each recipe after ``STEPS`` steps."""
    found = {}
    with (
        in_double_precision(),
        shared_draws(fabric),
        mock.patch.object(cyclegan, "REPLAY", NEVER_FULL),
    ):
        for name in RECIPES:
            engine = small_engine(fabric, folder / name, name)
            engine.fit()
            found[name] = weights_of(engine)
    return found


def small_engine(fabric, folder, name):
    recipe = RECIPES[name]
    fields = {field.name for field in dataclasses.fields(recipe.Config)}
    config = recipe.Config(**{key: value for key, value in SMALL.items() if key in fields})
    torch.manual_seed(0)
    images, size = IMAGES // fabric.world_size, SMALLER.get(name, 32)
    settings = replace(FABRIC, devices=fabric.world_size, log_every=STEPS)
    net = recipe(config, Spec(size=size, classes=("a", "b"))).double()
    plan = Plan(FEWER.get(name, STEPS), None, seed=0, batch_size=images)
    return Engine(fabric, net, lambda at: batch_at(at, images, size), plan, folder, settings)


def batch_at(position, images, size):
    items = [item_at(position * images + number, size) for number in range(images)]
    return {name: torch.stack([item[name] for item in items]) for name in items[0]}


def item_at(number, size):
    random = torch.Generator().manual_seed(number)
    names = ("image", "source", "target")
    pictures = {name: torch.rand(1, size, size, generator=random) * 2 - 1 for name in names}
    return {**pictures, "label": torch.randint(2, (), generator=random)}


@contextmanager
def shared_draws(fabric):
    """Replace torch's draws: equal for the same image of the same step, however many processes."""
    images = IMAGES // fabric.world_size
    first = fabric.global_rank * images
    calls = [0, 0]  # step, draws in it

    def enter_step(_seed, _rank, step, _device):
        calls[:] = [step, 0]

    def shared(own, bounded=False):
        def draw(*arguments, **options):
            if options.get("generator") is not None:
                return own(*arguments, **options)
            calls[1] += 1
            random = torch.Generator().manual_seed(1000 * calls[0] + calls[1])
            *before, size = arguments if bounded else ([*arguments],)
            size = [*size[0]] if size and not isinstance(size[0], int) else [*size]
            mine = size[:1] == [images]
            size = [IMAGES, *size[1:]] if mine else size
            options.pop("device", None)
            drawn = own(*before, size, **options, generator=random)
            return drawn[first : first + images] if mine else drawn

        return draw

    rand, randn = shared(torch.rand), shared(torch.randn)
    with (
        mock.patch.object(torch, "rand", rand),
        mock.patch.object(torch, "randn", randn),
        mock.patch.object(torch, "rand_like", lambda like: rand(*like.shape)),
        mock.patch.object(torch, "randn_like", lambda like: randn(*like.shape)),
        mock.patch.object(torch, "randint", shared(torch.randint, bounded=True)),
        mock.patch.object(loop, "seed_step", enter_step),
    ):
        yield


@contextmanager
def in_double_precision():
    """Adam makes of a gradient that is 0 but for rounding a full step; here rounding is small."""
    torch.set_default_dtype(torch.float64)
    try:
        with mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
            yield
    finally:
        torch.set_default_dtype(torch.float32)
