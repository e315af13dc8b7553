"""Trainings that are killed again and again: python killed_run.py FOLDER.

Every life is a fork of this process, which imports once and trains nothing itself. A life ends by
SIGKILL, which nothing can catch: at a random moment, or at a file operation of its own. The number
of lives goes to ``FOLDER/lives.json``.
"""

import json
import os
import random
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from large_batch import batch_at
from toy_gan import FABRIC, toy_batch, toy_engine

from medimg_gan.engine.loop import Engine
from medimg_gan.engine.runtime import make_fabric
from medimg_gan.engine.settings import Plan
from medimg_gan.recipes import RECIPES, Spec

EVERY_STEP = replace(FABRIC, checkpoint_minutes=0.0, log_every=1)
STEPS = {"toy": 30, "cgan": 24}
KILLS = 10


def small_cgan(folder, stream):
    recipe = RECIPES["cgan"]
    torch.manual_seed(0)
    net = recipe(recipe.Config(width=4, widest=8), Spec(size=32, classes=("a", "b")))
    plan = Plan(STEPS["cgan"], None, seed=0, batch_size=4)
    return Engine(make_fabric(FABRIC), net, stream, plan, folder, EVERY_STEP)


def train(kind, folder, disturb=lambda position: None):
    def stream(position):
        disturb(position)
        return toy_batch(position) if kind == "toy" else batch_at(position, 4, 32)

    if kind == "toy":
        settings = {"stream": stream, "settings": EVERY_STEP, "steps": STEPS[kind]}
        toy_engine(folder, **settings).fit()
    else:
        small_cgan(folder, stream).fit()


def life(work):
    """Whether ``work`` came to its end, in a process of its own."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status == 0


def end():
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at_random(kind, folder):
    """Ten lives end a moment after a batch, spread over the training; the eleventh finishes it."""
    chance = random.Random(kind)
    positions = {"toy": 3, "cgan": 2}[kind] * STEPS[kind]
    for number in range(KILLS):
        fatal = int(positions * (number + chance.random()) / (KILLS + 2))
        killer = threading.Timer(chance.uniform(0, 0.02), end)

        def disturb(position, fatal=fatal, killer=killer):
            if position >= fatal and killer.ident is None:
                killer.start()

        assert not life(lambda disturb=disturb: train(kind, folder, disturb)), "came to its end"
    assert life(lambda: train(kind, folder))
    return KILLS + 1


def killed_at_files(folder):
    """Life n ends at its n-th file operation in the folder, until one finishes."""
    number = 0
    while True:
        number += 1

        def counted(at=number):
            left = [at]

            def audit(event, arguments):
                if event in ("open", "os.rename", "os.remove") and str(folder) in str(arguments):
                    left[0] -= 1
                    if left[0] == 0:
                        end()

            sys.addaudithook(audit)
            train("toy", folder)

        if life(counted):
            return number


def main(folder):
    torch.set_num_threads(1)
    lives = {}
    for kind in STEPS:
        assert life(lambda kind=kind: train(kind, folder / kind / "undisturbed"))
        lives[f"{kind}/killed"] = killed_at_random(kind, folder / kind / "killed")
    lives["toy/killed_at_files"] = killed_at_files(folder / "toy" / "killed_at_files")
    (folder / "lives.json").write_text(json.dumps(lives))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
