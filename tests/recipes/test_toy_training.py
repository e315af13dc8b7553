"""A 200-step run on grey images moves the fakes' mean towards the real ones'."""

import pytest
import torch

from medimg_gan.recipes import RECIPES, Recipe, Spec

SPEC = Spec(channels=1, size=16, classes=("dark", "light"))
LEVELS = torch.tensor([0.2, 0.8])
SETTINGS = {
    "cgan": {"width": 4, "widest": 8, "learning_rate": 2e-3, "augment": 0.0},
    "dcgan": {"width": 8, "learning_rate": 3e-3, "augment": 0.0},
    "vae": {"width": 4, "widest": 8, "learning_rate": 3e-3, "augment": 0.0},
    "wgan-gp": {"width": 4, "learning_rate": 2e-3, "critic_steps": 2, "augment": 0.0},
}


def train(recipe: Recipe, stream, steps: int) -> None:
    nets = {name: net for name, net in recipe.named_children() if list(net.parameters())}
    optimisers = {
        name: torch.optim.Adam(
            net.parameters(), recipe.adam(name).lr, recipe.adam(name).betas, foreach=True
        )
        for name, net in nets.items()
    }
    for step in range(steps):
        for phase in recipe.phases():
            if step % phase.every:
                continue
            for name, net in nets.items():
                net.requires_grad_(name in phase.trains)
            for _ in range(phase.repeats):
                recipe.zero_grad()
                phase.loss(stream())[0].backward()
                for name in phase.trains:
                    optimisers[name].step()


def stream():
    label = torch.arange(8) % 2
    image = LEVELS[label].view(-1, 1, 1, 1) + 0.05 * torch.randn(8, 1, 16, 16)
    return {"image": image, "label": label}


@pytest.mark.parametrize("name", SETTINGS)
def test_fakes_move_towards_the_real_ones(name):
    torch.manual_seed(0)
    recipe = RECIPES[name](RECIPES[name].Config(**SETTINGS[name]), SPEC)
    noise, label = torch.randn(64, recipe.latent), torch.arange(64) % 2

    def distance():
        # An unconditional recipe owes the mean over both classes, a conditional one each of them.
        with torch.no_grad():
            level = recipe.sample(noise, label).mean(dim=(1, 2, 3))
        if recipe.conditional:
            return (level - LEVELS[label]).abs().mean().item()
        return (level.mean() - LEVELS.mean()).abs().item()

    before = distance()
    train(recipe, stream, 200)
    assert distance() < 0.5 * before
