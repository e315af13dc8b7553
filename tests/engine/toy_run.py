"""A training in a process of its own: python toy_run.py FOLDER STEPS SECONDS_PER_BATCH."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from toy_gan import FABRIC, toy_batch, toy_engine


def slow_batch(position):
    time.sleep(float(sys.argv[3]))
    return toy_batch(position)


if __name__ == "__main__":
    torch.set_num_threads(1)
    settings = replace(FABRIC, checkpoint_minutes=0.0, log_every=1)
    toy_engine(
        Path(sys.argv[1]), steps=int(sys.argv[2]), stream=slow_batch, settings=settings
    ).fit()
