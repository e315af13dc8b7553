"""A GAN of two matrices that uses all that the engine offers, for tests."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medimg_gan.engine.loop import Engine
from medimg_gan.engine.runtime import make_fabric
from medimg_gan.engine.settings import EngineConfig, Plan
from medimg_gan.recipes.base import Adam, Phase, Recipe, Spec

SIZE = 8
FABRIC = EngineConfig(accelerator="cpu", precision="32-true")


@dataclass(frozen=True)
class ToyConfig:
    learning_rate: float = 0.01
    jitter: float = 0.1
    """Random numbers and a buffer take part in the losses; 0 leaves both out."""


class ToyGan(Recipe):
    """Linear generator and critic on images of 8 x 8."""

    Config = ToyConfig
    averaged = ("generator",)
    agreed = ("brightness",)
    history: Tensor
    brightness: Tensor

    def __init__(self, config: ToyConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.generator = nn.Sequential(nn.Linear(4, SIZE * SIZE), nn.Unflatten(1, (1, SIZE, SIZE)))
        self.critic = nn.Sequential(nn.Flatten(), nn.Linear(SIZE * SIZE, 1))
        self.register_buffer("history", torch.zeros(1, SIZE, SIZE))
        self.register_buffer("brightness", torch.zeros(()))

    def phases(self) -> list[Phase]:
        return [
            Phase("critic", ("critic",), self.critic_loss, repeats=2),
            Phase("penalty", ("critic",), self.penalty_loss, every=3),
            Phase("generator", ("generator",), self.generator_loss),
        ]

    def adam(self, net: str) -> Adam:
        return Adam(self.config.learning_rate, (0.5, 0.9))

    def learning_rate_factor(self, progress: float) -> float:
        return 1.0 - progress / 2

    def critic_loss(self, batch):
        with torch.no_grad():
            fake = self.generator(batch["noise"])
        loss = (
            F.softplus(self.critic(fake)).mean() + F.softplus(-self.critic(batch["image"])).mean()
        )
        return loss, {"critic/real": batch["image"].mean()}

    def penalty_loss(self, batch):
        images = batch["image"].detach().requires_grad_()
        with torch.autocast(images.device.type, enabled=False):
            scores = self.critic(images)
        (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
        return gradient.square().sum((1, 2, 3)).mean() + 0.0 * scores.sum(), {}

    def generator_loss(self, batch):
        self.brightness = torch.lerp(self.brightness, batch["image"].mean(), 0.1)
        fake = self.generator(batch["noise"])
        if self.config.jitter:
            fake = fake + self.config.jitter * (torch.randn_like(fake) + self.history)
            self.history = torch.lerp(self.history, fake.detach().mean(0), 0.1)
        return F.softplus(-self.critic(fake)).mean(), {}

    @torch.no_grad()
    def scores(self, batch):
        return {
            "critic/real": self.critic(batch["image"]).mean(),
            "critic/fake": self.critic(self.generator(batch["noise"])).mean(),
        }

    @torch.no_grad()
    def preview(self, batch, seed):
        noise = torch.randn(16, 4, generator=torch.Generator().manual_seed(seed))
        return {"samples": self.generator(noise).clamp(-1, 1)}


def toy_batch(position: int, count: int = 4) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(position)
    image = torch.randn(count, 1, SIZE, SIZE, generator=random) / 4 + 0.3
    return {"image": image, "noise": torch.randn(count, 4, generator=random)}


@dataclass
class Signalling:
    """A stream that sends its own process a signal at one position."""

    at: int
    number: int = signal.SIGINT
    sent: list[int] = field(default_factory=list)

    def __call__(self, position: int) -> dict[str, Tensor]:
        if position == self.at and not self.sent:
            self.sent.append(position)
            os.kill(os.getpid(), self.number)
        return toy_batch(position)


def toy_engine(
    folder: Path,
    *,
    steps: int | None = 12,
    minutes: float | None = None,
    stream=toy_batch,
    config: ToyConfig = ToyConfig(),
    settings: EngineConfig = FABRIC,
    fabric=None,
    batch_size: int = 4,
) -> Engine:
    torch.manual_seed(0)
    return Engine(
        fabric or make_fabric(settings),
        ToyGan(config, Spec(size=32)),
        stream,
        Plan(steps, minutes, seed=0, batch_size=batch_size),
        folder,
        settings,
        held_out=toy_batch(10_000),
        preview=toy_batch(20_000),
    )


def weights_of(engine: Engine) -> dict[str, Tensor]:
    """Trained and averaged weights and the buffers, copied."""
    found = {
        f"{name}.{key}": value.clone()
        for name, net in engine.networks.items()
        for key, value in net.module.state_dict().items()
    }
    for name in engine.recipe.averaged:
        averaged = engine.ema.recipe.get_submodule(name).state_dict()
        found |= {f"ema.{name}.{key}": value.clone() for key, value in averaged.items()}
    return found | {k: v.clone() for k, v in engine.recipe.state_buffers().items()}


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
