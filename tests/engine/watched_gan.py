"""A noise GAN for tests of looks and alarms: it does, or does not, what a test needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from toy_gan import FABRIC

from medimg_gan.engine.look import Reference, shrunk
from medimg_gan.engine.loop import Engine
from medimg_gan.engine.runtime import make_fabric
from medimg_gan.engine.settings import EngineConfig, Plan
from medimg_gan.engine.watch import Watch
from medimg_gan.losses import summary
from medimg_gan.metrics.features import Extractor
from medimg_gan.recipes.base import Adam, NoiseRecipe, Phase, Spec

SIDE, LATENT, PER_CLASS = 32, 6, 16
SPEC = Spec(size=SIDE, classes=("left", "right"))
BLOBS = torch.randn(LATENT, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
BLOBS = F.avg_pool2d(F.pad(BLOBS, (4, 4, 4, 4), mode="circular"), 9, 1) * 3
"""What real images are sums of, so that six numbers make one."""
SETTINGS = replace(FABRIC, log_every=10)
NUMBERED = replace(SPEC, numbers=("position",))
"""Position darkens or brightens a whole image, more than its noise does."""


def images_of(noise: Tensor, label: Tensor, numbers: Tensor | None = None) -> Tensor:
    """Smooth random images, each class brighter on its own side."""
    ramp = torch.linspace(-0.5, 0.5, SIDE).expand(SIDE, SIDE)
    side = torch.where(label[:, None, None] == 0, -ramp, ramp)
    level = 0 if numbers is None else numbers[:, :, None]
    return (torch.einsum("nk,khw->nhw", noise, BLOBS) + side + level).tanh()[:, None]


def real_batch(seed: int, count: int = 2 * PER_CLASS) -> dict[str, Tensor]:
    noise = torch.randn(count, LATENT, generator=torch.Generator().manual_seed(seed))
    label = torch.arange(count) % 2
    return {"image": images_of(noise, label), "label": label}


TRAINING, HELD_OUT = real_batch(100, 64), real_batch(200)


@dataclass(frozen=True)
class WatchedConfig:
    makes: Literal["real", "one image", "few images", "training", "learnt"] = "real"
    generator_rate: float = 1e-3
    critic_rate: float = 1e-4
    saturating: bool = False
    """Goodfellow's first loss, whose gradient vanishes when the critic is sure."""


class WatchedGan(NoiseRecipe):
    Config = WatchedConfig
    conditional = True
    latent = LATENT

    def __init__(self, config: WatchedConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.generator = nn.Linear(LATENT, LATENT)
        self.critic = nn.Sequential(
            nn.Flatten(), nn.Linear(SIDE**2, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1)
        )
        with torch.no_grad():
            # Starts far from the real distribution, or at it.
            self.generator.weight.copy_(
                (0.1 if config.makes == "learnt" else 1) * torch.eye(LATENT)
            )
            self.generator.bias.fill_(2.0 if config.makes == "one image" else 0.0)

    def sample(self, noise, label=None, numbers=None):
        assert label is not None
        inner = self.generator(noise)
        if self.config.makes == "one image":
            inner = 0 * inner + self.generator.bias
        if self.config.makes == "few images":  # a quarter of all, of 4 kinds a class
            few = torch.randn(4, LATENT, generator=torch.Generator().manual_seed(3))
            again = noise[:, :1] > 0.67
            inner = torch.where(again, few[(noise[:, 1].abs() * 1e4).long() % 4], inner)
        if self.config.makes == "training":
            pairs = TRAINING["image"].unflatten(0, (-1, 2))  # of each class
            chosen = (noise[:, 0].abs() * 1e4).long() % len(pairs)
            return pairs[chosen, label] + 0 * inner.sum()
        return images_of(inner, label, numbers)

    def phases(self):
        return [
            Phase("critic", ("critic",), self.critic_loss),
            Phase("generator", ("generator",), self.generator_loss),
        ]

    def adam(self, net):
        rates = {"critic": self.config.critic_rate, "generator": self.config.generator_rate}
        return Adam(rates[net], (0.0, 0.9))

    def _fake(self, batch):
        return self.sample(self.noise_for(batch), batch["label"])

    def critic_loss(self, batch):
        with torch.no_grad():
            fake = self._fake(batch)
        loss = F.softplus(self.critic(fake)) + F.softplus(-self.critic(batch["image"]))
        return loss.mean(), {}

    def generator_loss(self, batch):
        scores = self.critic(self._fake(batch))
        return (-F.softplus(scores) if self.config.saturating else F.softplus(-scores)).mean(), {}

    @torch.no_grad()
    def scores(self, batch):
        return summary(self.critic(batch["image"]), self.critic(self._fake(batch)))


def reference(unseen: bool = True) -> Reference:
    network = nn.Sequential(nn.AvgPool2d(4), nn.Flatten())
    part = {name: values[: len(HELD_OUT["image"])] for name, values in TRAINING.items()}
    return Reference(
        held_out=HELD_OUT,
        patients=np.arange(len(HELD_OUT["image"])),
        training=part,
        searched=shrunk(TRAINING["image"].numpy()),
        extractors={"pooled": Extractor("pooled", network)},
        unseen=unseen,
    )


def stream(position: int, batch_size: int = 16) -> dict[str, Tensor]:
    rows = np.random.default_rng(position).choice(64, batch_size, replace=False)
    return {name: values[rows] for name, values in TRAINING.items()}


def watched_engine(
    folder: Path,
    config: WatchedConfig = WatchedConfig(),
    *,
    steps: int | None = 40,
    minutes: float | None = None,
    every: int | None = 10,
    patience: int = 0,
    stream=stream,
    settings: EngineConfig = SETTINGS,
    fabric=None,
    seen=None,
) -> Engine:
    """An engine on a toy; ``every=None`` leaves the watch out."""
    torch.manual_seed(0)
    fabric = fabric or make_fabric(settings)
    watch = None
    if every is not None:
        held_against = (seen or reference()) if fabric.is_global_zero else None
        watch = Watch(held_against, every, patience=patience, by_clock=minutes is not None)
    return Engine(
        fabric, WatchedGan(config, SPEC), stream, Plan(steps, minutes, seed=0, batch_size=16),
        folder, settings, held_out=HELD_OUT, preview=stream(0), watch=watch,
    )  # fmt: skip
