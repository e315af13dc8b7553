"""Our translator: what it gives back, what it is held to, and what it needs to know."""

import pytest
import torch
from torch import nn

from medimg_gan.recipes import Spec
from medimg_gan.recipes.disguise import Disguise, DisguiseConfig

CONFIG = DisguiseConfig(width=4, gradient_weight=0.5, mind_weight=0.25)


def build(**spec):
    torch.manual_seed(0)
    return Disguise(CONFIG, Spec(**{"size": 16, **spec}))


def unpaired(source=1, target=1):
    torch.manual_seed(1)
    return {"source": torch.rand(2, source, 16, 16) * 2 - 1,
            "target": torch.rand(2, target, 16, 16) * 2 - 1}  # fmt: skip


class Given(nn.Module):
    """Remembers what it was given; answers with what it was told."""

    def __init__(self, answer=None):
        super().__init__()
        self.seen, self.answer = [], answer

    def forward(self, images):
        self.seen.append(images)
        return images if self.answer is None else self.answer


def test_every_part_has_its_weight():
    loss, logs = build().generator_loss(unpaired())
    weights = {"fool": 1.0, "disguise": CONFIG.disguise_weight, "gradient": CONFIG.gradient_weight,
               "mind": CONFIG.mind_weight, "body": CONFIG.body_weight,
               "depth": CONFIG.depth_weight}  # fmt: skip
    assert {f"generator/{name}" for name in weights} == set(logs)
    total = sum(weights[name] * logs[f"generator/{name}"].item() for name in weights)
    assert loss.item() == pytest.approx(total, rel=1e-5)


def test_the_disguised_target_is_to_be_given_back_and_the_source_to_keep_its_structure():
    recipe, batch = build(), unpaired()
    recipe.to_target = Given(torch.cat([batch["source"], batch["target"]]))
    logs = recipe.generator_loss(batch)[1]
    for name in ("disguise", "gradient", "mind", "body"):
        assert logs[f"generator/{name}"].item() == pytest.approx(0, abs=1e-6)
    (given,) = recipe.to_target.seen
    assert torch.equal(given[:2], batch["source"])
    assert (given[2:] - batch["target"]).abs().mean() > 0.1
    recipe.to_target.answer = torch.cat([batch["source"], batch["target"] + 0.5])
    assert recipe.generator_loss(batch)[1]["generator/disguise"].item() == pytest.approx(0.5)


def test_the_critic_judges_translations_of_sources_alone():
    recipe, batch = build(), unpaired()
    fake = recipe.translate(batch["source"]).detach()
    recipe.augment = lambda images: images
    recipe.generator_loss(batch)
    recipe.critic = Given()
    recipe.critic_loss(batch)
    torch.testing.assert_close(recipe.critic.seen, [batch["target"], fake])


def test_the_critic_sees_images_moved_in_training_and_as_they_are_when_scored():
    recipe, batch = build(), unpaired()
    recipe.critic, recipe.augment = Given(), lambda images: images.flip(-1)
    recipe.generator_loss(batch)
    recipe.critic_loss(batch)
    fake = recipe.translate(batch["source"]).detach()
    moved, target = recipe.augment(fake), recipe.augment(batch["target"])
    torch.testing.assert_close(recipe.critic.seen, [moved, target, moved])
    recipe.critic.seen.clear()
    recipe.scores(batch)
    torch.testing.assert_close(recipe.critic.seen, [fake, batch["target"]])


def test_every_sequence_gets_a_disguise_of_its_own():
    recipe = build(source_channels=6, channels=3)
    batch = unpaired(6, 3)
    recipe.to_target = Given(torch.cat([batch["source"][:, :3], batch["target"]]))
    recipe.generator_loss(batch)
    hidden = recipe.to_target.seen[0][2:]
    assert hidden.shape == (2, 6, 16, 16)
    assert (hidden[:, :3] - hidden[:, 3:]).abs().mean() > 0.05


@pytest.mark.parametrize("dark", [True, False])
def test_bone_is_dark_where_the_data_say_so(dark):
    recipe, batch = build(dark_bone=dark), unpaired()
    batch["target"] = torch.full_like(batch["target"], 0.6)
    batch["target"][..., :4] = -0.2
    brightest = -1.0
    for _ in range(20):
        recipe.to_target = Given(torch.cat([batch["source"], batch["target"]]))
        recipe.generator_loss(batch)
        brightest = max(brightest, recipe.to_target.seen[0][2:, :, :, 4:].mean().item())
    assert (brightest < -0.5) == dark
