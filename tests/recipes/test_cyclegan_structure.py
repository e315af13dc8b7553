"""The step of CycleGAN beside a plain one, and what its structural kin adds to it."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from medimg_gan import losses
from medimg_gan.recipes.base import Spec
from medimg_gan.recipes.cyclegan import CycleGan, CycleGanConfig
from medimg_gan.recipes.cyclegan_structure import CycleGanStructure, CycleGanStructureConfig

CONFIG = CycleGanStructureConfig(width=4)
OFF = {"gradient_weight": 0.0, "mind_weight": 0.0, "body_weight": 0.0, "depth_weight": 0.0,
       "augment": 0.0, "identity_weight": 5.0}  # fmt: skip


def build(kind=CycleGanStructure, config=CONFIG, **spec):
    torch.manual_seed(0)
    return kind(config, Spec(**{"size": 16, **spec}))


def unpaired(source=1, target=1):
    torch.manual_seed(1)
    return {"source": torch.rand(2, source, 16, 16) * 2 - 1,
            "target": torch.rand(2, target, 16, 16) * 2 - 1}  # fmt: skip


def test_the_joined_calls_give_the_losses_of_the_papers_step_and_its_gradients(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    batch = {name: images.double() for name, images in unpaired().items()}
    recipe = build(CycleGan, CycleGanConfig(width=4)).double()
    _plain_norms(plain := build(CycleGan, CycleGanConfig(width=4)).double())
    x, y = batch["source"], batch["target"]
    fake_y, fake_x = plain.to_target(x), plain.to_source(y)
    expected = (plain.target_critic(fake_y) - 1).square().mean()
    expected = expected + (plain.source_critic(fake_x) - 1).square().mean()
    expected = expected + 10 * F.l1_loss(plain.to_source(fake_y), x)
    expected = expected + 10 * F.l1_loss(plain.to_target(fake_x), y)
    expected = expected + 5 * F.l1_loss(plain.to_target(y), y)
    expected = expected + 5 * F.l1_loss(plain.to_source(x), x)
    loss = recipe.generators_loss(batch)[0]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    on_y = plain.target_critic(y), plain.target_critic(fake_y.detach())
    on_x = plain.source_critic(x), plain.source_critic(fake_x.detach())
    wanted = sum((real - 1).square().mean() / 2 + fake.square().mean() / 2
                 for real, fake in (on_y, on_x))  # fmt: skip
    critics = recipe.critics_loss(batch)[0]
    assert critics.item() == pytest.approx(wanted.item(), rel=1e-6)
    for ours, papers, nets in ((loss, expected, ("to_target", "to_source")),
                               (critics, wanted, ("target_critic", "source_critic"))):  # fmt: skip
        for net in nets:
            mine = torch.autograd.grad(
                ours, [*getattr(recipe, net).parameters()], retain_graph=True
            )
            its = torch.autograd.grad(
                papers, [*getattr(plain, net).parameters()], retain_graph=True
            )
            for one, other in zip(mine, its, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-9)


def _slopes(loss, recipe, net):
    return torch.autograd.grad(loss, [*getattr(recipe, net).parameters()], retain_graph=True)


class TorchsInstanceNorm(nn.Module):
    def forward(self, features):
        return F.instance_norm(features)


def _plain_norms(recipe):
    for part in list(recipe.modules()):
        for name, child in list(part.named_children()):
            if type(child).__name__ == "InstanceNorm":
                setattr(part, name, TorchsInstanceNorm())


def test_without_its_weights_it_is_cyclegan():
    plain = build(CycleGan, CycleGanConfig(width=4)).generators_loss(unpaired())[0]
    same = build(config=dataclasses.replace(CONFIG, **OFF)).generators_loss(unpaired())[0]
    assert torch.equal(plain, same)


def test_every_part_has_its_weight():
    loss, logs = build().generators_loss(unpaired())
    weights = {"fool": 1.0, "cycle": CONFIG.cycle_weight, "identity": CONFIG.identity_weight,
               "gradient": CONFIG.gradient_weight, "mind": CONFIG.mind_weight,
               "body": CONFIG.body_weight, "depth": CONFIG.depth_weight}  # fmt: skip
    found = {name: logs[f"generators/{name}"] for name in weights if f"generators/{name}" in logs}
    total = sum(weights[name] * value.item() for name, value in found.items())
    assert {"gradient", "mind", "body", "depth"} <= set(found)
    assert loss.item() == pytest.approx(total, rel=1e-5)


def test_a_translation_that_keeps_everything_has_no_structure_loss():
    recipe = build()
    recipe.to_target, recipe.to_source = nn.Identity(), nn.Identity()
    logs = recipe.generators_loss(unpaired())[1]
    for name in ("gradient", "mind", "body", "cycle"):
        assert logs[f"generators/{name}"].item() == pytest.approx(0, abs=1e-6)


def test_depths_are_held_against_the_real_image_beside_not_the_source():
    recipe, batch = build(), unpaired()
    recipe.to_target, recipe.to_source = nn.Identity(), nn.Identity()
    apart = recipe.generators_loss(batch)[1]["generators/depth"].item()
    assert apart > 0.01
    batch["target"] = batch["source"].flip(-1)  # at every depth what the source has
    assert recipe.generators_loss(batch)[1]["generators/depth"].item() == pytest.approx(0, abs=1e-6)


class Brightest(nn.Module):
    def forward(self, images):
        return images.amax(dim=1, keepdim=True)


class Twice(nn.Module):
    def forward(self, images):
        return images.expand(-1, 2, -1, -1)


def test_the_body_is_where_any_sequence_shows_one():
    recipe = build(source_channels=2)
    recipe.to_target, recipe.to_source = Brightest(), Twice()
    recipe.source_critic = nn.Identity()
    head = torch.full((2, 1, 16, 16), -1.0)
    head[..., 3:13, 2:12] = torch.rand(2, 1, 10, 10)
    found = []
    for sequences in ([head, torch.full_like(head, -1)], [torch.full_like(head, -1), head]):
        batch = {**unpaired(), "source": torch.cat(sequences, dim=1)}
        found.append(recipe.generators_loss(batch)[1]["generators/depth"].item())
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_two_sequences_of_three_slices_to_three_slices():
    recipe = build(channels=3, source_channels=6)
    batch = unpaired(6, 3)
    for phase in recipe.phases():
        assert phase.loss(batch)[0].isfinite()
    assert recipe.translate(batch["source"]).shape == (2, 3, 16, 16)


def test_critics_see_moved_images_in_both_phases():
    recipe = build(config=dataclasses.replace(CONFIG, augment=1.0))
    seen, batch = [], unpaired()
    recipe.target_critic.register_forward_pre_hook(lambda _, images: seen.append(images[0]))
    recipe.generators_loss(batch)
    made = recipe._fakes
    assert made is not None
    recipe.critics_loss(batch)
    assert not torch.equal(seen[0].detach(), made[0])
    assert not torch.equal(seen[1][:2], batch["target"])
    assert not torch.equal(seen[1][2:], made[0])


def test_least_squares_of_a_critic_is_halved():
    real, fake = torch.tensor([3.0]), torch.tensor([2.0])
    assert losses.least_squares_critic(real, fake).item() == 4.0  # (4 + 4) / 2
