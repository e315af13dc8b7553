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


def stream_of_ages():
    age = 2 * torch.rand(8, 1) - 1
    image = 0.6 * age.view(-1, 1, 1, 1) + 0.05 * torch.randn(8, 1, 16, 16)
    return {"image": image, "numbers": age}


def test_a_sample_is_as_bright_as_the_number_asked_for():
    torch.manual_seed(0)
    config = RECIPES["cgan"].Config(**SETTINGS["cgan"])
    recipe = RECIPES["cgan"](config, Spec(size=16, numbers=("age",)))
    train(recipe, stream_of_ages, 140)
    asked = torch.linspace(-0.9, 0.9, 32)
    with torch.no_grad():
        noise = torch.randn(32, recipe.latent)
        found = recipe.sample(noise, None, asked[:, None]).mean(dim=(1, 2, 3))
    assert torch.corrcoef(torch.stack([asked, found]))[0, 1] > 0.8


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
