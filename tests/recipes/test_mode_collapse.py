"""The remedies do what they are for: a game that loses modes without them keeps all with them."""

import math

import pytest
import torch
from torch import nn

from medimg_gan.nets.blocks import MEASURES, MinibatchDiscrimination
from medimg_gan.nets.heads import Judgement
from medimg_gan.recipes import Spec
from medimg_gan.recipes.cgan import Cgan, CganConfig

MODES, NOISE, WIDTH, STEPS = 8, 8, 32, 300


class Points(nn.Module):
    """Noise -> "images" of 1x2 pixels: points in the plane."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(NOISE, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(),
            nn.Linear(WIDTH, 2),
        )  # fmt: skip

    def forward(self, noise, condition):
        return self.layers(noise)[:, None, None]


class Judge(nn.Module):
    """Packs of points -> scores."""

    def __init__(self, pack, minibatch):
        super().__init__()
        discriminates = minibatch == "discrimination"
        self.layers = nn.Sequential(
            nn.Linear(2 * pack, WIDTH), nn.LeakyReLU(0.2),
            nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.compare = MinibatchDiscrimination(WIDTH) if discriminates else nn.Identity()
        self.score = nn.Linear(WIDTH + MEASURES * discriminates, 1)

    def forward(self, packs, claim):
        features = self.layers(packs.flatten(1))
        return Judgement(self.score(self.compare(features)).squeeze(1), features)


def ring():
    """The centres of the modes (8, 2), on the unit circle."""
    angles = torch.arange(MODES) * 2 * math.pi / MODES
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def real_points():
    points = ring()[torch.randint(MODES, (32,))] + 0.02 * torch.randn(32, 2)
    return {"image": points[:, None, None]}


def modes_found(seed=0, **settings):
    """Modes that 512 samples come near to, after a short training of a non-saturating game."""
    torch.manual_seed(seed)
    config = CganConfig(latent=NOISE, width=4, widest=8, augment=0.0, loss="non-saturating",
                        gamma=0.0, **settings)  # fmt: skip
    recipe = Cgan(config, Spec(size=32))
    nets = {"generator": Points(), "critic": Judge(config.pack, config.minibatch)}
    recipe.generator, recipe.critic = nets.values()
    adams = {
        name: torch.optim.Adam(net.parameters(), 2e-3, (0.5, 0.99), fused=True)
        for name, net in nets.items()
    }
    for _ in range(STEPS):
        for phase in recipe.phases():
            for name, net in nets.items():
                net.requires_grad_(name in phase.trains)
            recipe.zero_grad()
            phase.loss(real_points())[0].backward()
            for name in phase.trains:
                adams[name].step()
    with torch.no_grad():
        points = recipe.sample(torch.randn(512, NOISE))[:, 0, 0]
    distance, mode = torch.cdist(points, ring()).min(dim=1)
    return len(mode[distance < 0.3].unique())


def test_without_a_remedy_modes_are_lost():
    assert modes_found() <= MODES // 2


@pytest.mark.parametrize("remedy", [{"pack": 4}, {"minibatch": "discrimination"}], ids=str)
def test_a_remedy_keeps_them(remedy):
    assert modes_found(**remedy) >= MODES - 2
