"""Short runs on toys: grey levels move towards the real ones', a map is learnt, shifts are seen."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

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


def shifted_negatives(count=4):
    """Smooth images, their negatives, and those moved by up to 2 pixels, differently each."""
    coarse = torch.rand(count, 1, 9, 9)
    images = F.interpolate(coarse, (40, 40), mode="bicubic", align_corners=True).clamp(0, 1)
    images = images * 1.6 - 0.8
    shift = torch.randint(-2, 3, (count, 2))
    moved = [
        image[:, 4 + down : 36 + down, 4 + right : 36 + right]
        for image, (right, down) in zip(images, shift.tolist(), strict=True)
    ]
    source = images[..., 4:36, 4:36]
    return {"source": source, "target": -torch.stack(moved), "truth": -source, "shift": shift}


def trained_on_shifted(name):
    torch.manual_seed(0)
    recipe = RECIPES[name](RECIPES[name].Config(width=4, learning_rate=5e-3), Spec(size=32))
    recipe.to_target = nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 1, 5, padding=2), nn.Tanh()
    )
    train(recipe, shifted_negatives, 150)
    return recipe


def test_a_regression_learns_the_map():
    torch.manual_seed(0)
    recipe = RECIPES["regression"](RECIPES["regression"].Config(4, 5e-3), Spec(size=32))

    def stream():
        batch = shifted_negatives()
        return {"source": batch["source"], "target": batch["truth"]}

    held_out = stream()
    before = recipe.scores(held_out)["l1"].item()
    train(recipe, stream, 50)
    assert recipe.scores(held_out)["l1"].item() < 0.6 * before


def test_reggan_sees_through_shifts_that_blur_a_regression():
    regression, reggan = (trained_on_shifted(name) for name in ("regression", "reggan"))
    batch = shifted_negatives(64)
    with torch.no_grad():
        fakes = [recipe.translate(batch["source"]) for recipe in (regression, reggan)]
        blurred, sharp = ((fake - batch["truth"]).abs().mean().item() for fake in fakes)
        field = reggan.registration(fakes[1], batch["target"])
    assert sharp < 0.8 * blurred
    for axis in range(2):
        found, known = field[:, axis].mean(dim=(1, 2)), batch["shift"][:, axis].float()
        assert torch.corrcoef(torch.stack([found, known]))[0, 1] > 0.8
