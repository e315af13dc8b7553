"""What two processes do; Fabric starts the second by running this file again.

python two_processes.py FOLDER: each process writes ``FOLDER/rank_R.pt``.
"""

import dataclasses
import sys
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from large_batch import end_of_every_recipe
from toy_gan import FABRIC, Signalling, ToyConfig, toy_engine, weights_of
from watched_gan import WatchedConfig, watched_engine

from medimg_gan.engine import clock
from medimg_gan.engine.loop import Engine
from medimg_gan.engine.runtime import make_fabric
from medimg_gan.engine.settings import Plan
from medimg_gan.errors import CheckpointError, DivergenceError
from medimg_gan.recipes import RECIPES, Spec
from medimg_gan.recipes.cgan import Cgan, CganConfig


def averaged_over_a_large_batch(fabric, folder):
    """No random numbers of its own: comparable with one process and twice the batch."""
    engine = toy_engine(folder, fabric=fabric, config=ToyConfig(jitter=0.0))
    engine.fit()
    return weights_of(engine)


def resumed(fabric, folder):
    """Undisturbed, and stopped by a signal that only the first process gets."""
    undisturbed = toy_engine(folder / "a", fabric=fabric)
    undisturbed.fit()
    at = 12 if fabric.global_rank == 0 else -1
    stopped = toy_engine(folder / "b", fabric=fabric, stream=Signalling(at))
    try:
        stopped.fit()
    except KeyboardInterrupt:
        again = toy_engine(folder / "b", fabric=fabric)
        again.fit()
        return weights_of(undisturbed), weights_of(again), stopped.step
    raise AssertionError("the signal was not heard by every process")


def diverged(fabric, folder):
    """Only the second process sees a value that is not finite."""
    engine = toy_engine(folder, fabric=fabric, settings=replace(FABRIC, devices=2, log_every=1))
    if fabric.global_rank == 1:
        engine.batches.stream = lambda position: {"image": torch.full((4, 1, 8, 8), float("nan")),
                                                  "noise": torch.zeros(4, 4)}  # fmt: skip
    try:
        engine.fit()
    except DivergenceError as error:
        return error.observed
    return "trained on"


def all_damaged(fabric, folder):
    """Only the first process looks at the checkpoints."""
    toy_engine(folder, fabric=fabric).fit()
    if fabric.global_rank == 0:
        for path in (folder / "checkpoints").glob("*.pt"):
            path.write_bytes(b"")
    fabric.barrier()
    try:
        toy_engine(folder, fabric=fabric, steps=24).fit()
    except CheckpointError as error:
        return error.problem
    return "trained on"


REMEDIED = "cgan with every remedy"
REMEDIES = {
    "spectral_norm": True, "lecam": 0.1, "consistency_real": 1.0, "consistency_fake": 1.0,
    "feature_matching": 1.0, "minibatch": "discrimination", "pack": 2,
}  # fmt: skip


def stopped_early(fabric, folder):
    """Only the first process looks at samples; both stop on the plateau that it finds."""
    config = WatchedConfig(generator_rate=0.0)
    engine = watched_engine(folder, config, steps=40, every=4, patience=2, fabric=fabric)
    engine.fit()
    return engine.step, engine.watch.reference is None


def recipe_batch(position):
    random = torch.Generator().manual_seed(position)
    names = ("image", "source", "target")
    images = {name: torch.rand(2, 1, 32, 32, generator=random) * 2 - 1 for name in names}
    return {**images, "label": torch.randint(2, (2,), generator=random)}


def every_recipe(fabric, folder):
    """A step and a look of each; every weight must learn, or the processes would wait for ever."""
    found = {}
    for name in (*RECIPES, REMEDIED):
        recipe = RECIPES[name.split()[0]]
        settings = REMEDIES if name == REMEDIED else {}
        fields = {field.name for field in dataclasses.fields(recipe.Config)}
        config = recipe.Config(**{k: 4 for k in ("width", "widest") if k in fields}, **settings)
        spec = Spec(size=32, classes=("a", "b"))
        plan = Plan(steps=1, minutes=None, seed=0, batch_size=2)
        engine = Engine(fabric, recipe(config, spec), recipe_batch, plan, folder / name, FABRIC,
                        held_out=recipe_batch(999), preview=recipe_batch(1000))  # fmt: skip
        engine.fit()
        found[name] = weights_of(engine)
    return found


def adapted(fabric, folder):
    """Six steps in which the chance of augmentation moves, on images of each process's own."""
    config = CganConfig(width=4, widest=4, ada=0.6, ada_images=200)
    plan = Plan(steps=6, minutes=None, seed=0, batch_size=2)
    recipe = Cgan(config, Spec(size=32, classes=("a", "b")))
    engine = Engine(fabric, recipe, recipe_batch, plan, folder, FABRIC)
    engine.fit()
    return engine.recipe.state_buffers()


def main(folder):
    torch.set_num_threads(1)
    clock.SECONDS_BETWEEN_AGREEMENTS = 0.0
    fabric = make_fabric(replace(FABRIC, devices=2))
    content = {
        "world_size": fabric.world_size,
        "large_batch": averaged_over_a_large_batch(fabric, folder / "large"),
        "resumed": resumed(fabric, folder / "resumed"),
        "diverged": diverged(fabric, folder / "diverged"),
        "all_damaged": all_damaged(fabric, folder / "all_damaged"),
        "stopped_early": stopped_early(fabric, folder / "stopped_early"),
        "adapted": adapted(fabric, folder / "adapted"),
        "recipes": every_recipe(fabric, folder / "recipes"),
        "halves": end_of_every_recipe(fabric, folder / "halves"),
    }
    torch.save(content, folder / f"rank_{fabric.global_rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
