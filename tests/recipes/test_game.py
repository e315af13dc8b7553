"""The game as a choice: every loss with every remedy, and what each remedy promises."""

import dataclasses
import typing

import pytest
import torch
from torch import nn

from medimg_gan import losses
from medimg_gan.engine import state
from medimg_gan.engine.loop import Engine
from medimg_gan.engine.runtime import make_fabric
from medimg_gan.engine.settings import EngineConfig, Plan
from medimg_gan.errors import ConfigError
from medimg_gan.nets.heads import Judgement
from medimg_gan.recipes import RECIPES, Spec
from medimg_gan.recipes.cgan import Cgan, CganConfig
from medimg_gan.recipes.game import GameConfig, GameRecipe, LossName

SPEC = Spec(channels=1, size=32, classes=("healthy", "tumor"), mirror=True)
SETTINGS = EngineConfig(accelerator="cpu", precision="32-true", log_every=2)
GAME_RECIPES = [name for name, kind in RECIPES.items() if issubclass(kind, GameRecipe)]
REMEDIES = {
    "none": {},
    "no penalty": {"gamma": 0.0, "spectral_norm": True},
    "spectral norm": {"spectral_norm": True},
    "lecam": {"lecam": 0.3},
    "cr": {"consistency_real": 10.0},
    "bcr": {"consistency_real": 10.0, "consistency_fake": 10.0},
    "feature matching": {"feature_matching": 1.0},
    "deviation": {"minibatch": "deviation"},
    "discrimination": {"minibatch": "discrimination"},
    "pack": {"pack": 2},
}
ALL = {
    "spectral_norm": True, "lecam": 0.1, "consistency_real": 10.0, "consistency_fake": 10.0,
    "feature_matching": 1.0, "minibatch": "discrimination", "pack": 2, "penalty_every": 2,
}  # fmt: skip


def tiny(name="cgan", spec=SPEC, **settings):
    torch.manual_seed(0)
    return RECIPES[name](RECIPES[name].Config(width=4, widest=8, **settings), spec)


def batch(position=0, count=4):
    random = torch.Generator().manual_seed(position)
    images = torch.rand(count, 1, 32, 32, generator=random) * 2 - 1
    return {"image": images, "label": torch.randint(2, (count,), generator=random)}


def engine(folder, recipe, precision="32-true", steps=4):
    settings = dataclasses.replace(SETTINGS, precision=precision)
    plan = Plan(steps=steps, minutes=None, seed=0, batch_size=4)
    return Engine(make_fabric(settings), recipe, batch, plan, folder, settings)


def trained(recipe, phase):
    for name, net in recipe.named_children():
        net.requires_grad_(name in phase.trains)
        yield from ((name, key, p) for key, p in net.named_parameters() if name in phase.trains)


def test_the_setting_offers_every_game_of_the_table():
    assert set(typing.get_args(LossName)) == losses.GAMES.keys()


@pytest.mark.parametrize("remedy", REMEDIES)
@pytest.mark.parametrize("loss", losses.GAMES)
def test_every_loss_plays_with_every_remedy(loss, remedy, tmp_path):
    training = engine(tmp_path, tiny(loss=loss, **REMEDIES[remedy]))
    training.run_step()
    for net in training.networks.values():
        for key, weight in net.module.named_parameters():
            assert weight.grad is not None, f"{net.name}.{key} is not reached"
            assert weight.grad.isfinite().all()
    assert all(value.isfinite() for value in training.averages.take().values())


@pytest.mark.parametrize("name", GAME_RECIPES)
def test_every_phase_reaches_every_weight_with_all_remedies_at_once(name):
    recipe = tiny(name, **ALL)
    for phase in recipe.phases():
        for net in phase.trains:
            recipe.get_submodule(net).zero_grad()
        value, logs = phase.loss(batch())
        value.backward()
        for net in phase.trains:
            for key, weight in recipe.get_submodule(net).named_parameters():
                assert weight.grad is not None, f"{phase.name} does not reach {net}.{key}"
        assert not any(log.requires_grad for log in logs.values())


@pytest.mark.parametrize("remedy", REMEDIES)
def test_every_remedy_agrees_with_itself_in_bfloat16(remedy):
    found = []
    for bfloat16 in (False, True):
        recipe = tiny(**REMEDIES[remedy])
        for phase in recipe.phases():
            torch.manual_seed(1)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
                found.append(phase.loss(batch())[0])
    exact, rounded = found[: len(found) // 2], found[len(found) // 2 :]
    assert all(value.dtype == torch.float32 for value in rounded)
    torch.testing.assert_close(torch.stack(rounded), torch.stack(exact), rtol=0.3, atol=0.05)


@pytest.mark.parametrize(
    ("name", "precision"),
    [("cgan", "32-true"), ("cgan", "bf16-mixed"), ("progressive", "32-true")],
)
def test_a_resumed_game_goes_on_with_the_same_bits(name, precision, tmp_path):
    undisturbed = engine(tmp_path / "a", tiny(name, **ALL), precision)
    stopped = engine(tmp_path / "b", tiny(name, **ALL), precision)
    for training in (undisturbed, undisturbed, undisturbed, stopped):
        training.run_step()
    stopped.save()
    resumed = engine(tmp_path / "b", tiny(name, **ALL), precision)
    resumed.resume()
    resumed.run_step()
    resumed.run_step()
    one, other = (state.collect(training) for training in (undisturbed, resumed))
    assert one["buffers"]["score_averages"].abs().sum() > 0
    for kind in ("nets", "ema", "buffers"):
        torch.testing.assert_close(one[kind], other[kind], rtol=0, atol=0)


@pytest.mark.parametrize("name", GAME_RECIPES)
def test_a_phase_leaves_the_spectral_vectors_of_other_networks_alone(name, tmp_path):
    training = engine(tmp_path, tiny(name, **ALL))
    critic = training.networks["critic"].module
    for phase in training.phases:
        before = {key: value.clone() for key, value in critic.state_dict().items()}
        training.run_phase(phase)
        same = all(torch.equal(before[key], value) for key, value in critic.state_dict().items())
        assert same == ("critic" not in phase.trains)


def test_remedies_that_are_off_cost_nothing():
    recipe, calls = tiny(), []
    recipe.critic.register_forward_hook(lambda *_: calls.append(1))
    _, logs = recipe.critic_loss(batch())
    assert len(calls) == 1
    assert {key for key in logs if key.startswith("critic/")} == {"critic/loss"}
    assert not recipe.score_averages.any()
    assert [phase.name for phase in tiny(gamma=0.0).phases()] == ["critic", "generator"]


@pytest.mark.parametrize("loss", losses.GAMES)
def test_the_generator_asks_for_real_scores_only_where_a_term_needs_them(loss):
    for weight in (0.0, 1.0):
        recipe, calls = tiny(loss=loss, feature_matching=weight), []
        recipe.critic.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        recipe.generator_loss(batch())
        assert len(calls) == (2 if weight or loss == "relativistic" else 1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lecam": -1.0}, "lecam"),
        ({"pack": 0}, "pack"),
        ({"penalty_every": 0}, "penalty_every"),
        ({"loss": "wasserstein", "gamma": 0.0}, "slope"),
        (
            {
                "loss": "wasserstein",
                "gamma": 0.0,
                "spectral_norm": True,
                "minibatch": "discrimination",
            },
            "slope",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        GameConfig(**settings)
    GameConfig(loss="wasserstein", gamma=0.0, spectral_norm=True, minibatch="deviation")
    GameConfig(loss="wasserstein", gamma=0.5, spectral_norm=True, minibatch="discrimination")


class Judge(nn.Module):
    """Scores the mean grey level, or what it is given; keeps what it saw."""

    def __init__(self, slope=1.0):
        super().__init__()
        self.slope, self.seen, self.claims = slope, [], []

    def forward(self, images, claim):
        self.seen.append(images)
        self.claims.append(claim)
        means = images.flatten(1).mean(dim=1)
        return Judgement(self.slope * means, means[:, None])


class Grey(nn.Module):
    """A generator of one grey level."""

    def __init__(self, level):
        super().__init__()
        self.level = level

    def forward(self, noise, condition):
        return torch.full((len(noise), 1, 32, 32), self.level)


def staged(level=-0.5, **settings):
    recipe = Cgan(CganConfig(width=4, widest=8, augment=0.0, **settings), SPEC)
    recipe.critic, recipe.generator = Judge(), Grey(level)
    return recipe


def grey(*levels):
    image = torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 1, 32, 32)
    return {"image": image, "label": torch.arange(len(levels)) % 2}


def test_lecam_compares_with_averages_that_follow_slowly():
    recipe = staged(lecam=2.0)
    loss, logs = recipe.critic_loss(grey(0.5, 0.5))
    # Averages begin at 0: max(0, .5)^2 + max(0, .5)^2.
    assert logs["critic/lecam"].item() == pytest.approx(0.5, rel=1e-5)
    assert loss.item() == pytest.approx(logs["critic/loss"].item() + 2 * 0.5, rel=1e-5)
    assert recipe.score_averages.tolist() == pytest.approx([0.005, -0.005], rel=1e-4)
    recipe.scores(grey(0.5, 0.5))  # looking moves nothing
    assert recipe.score_averages.tolist() == pytest.approx([0.005, -0.005], rel=1e-4)
    assert set(recipe.agreed) <= recipe.state_buffers().keys()


def test_consistency_asks_nothing_of_an_invariant_critic():
    class Blind(nn.Module):
        def forward(self, images, claim):
            return Judgement(claim.sum(dim=1), claim)

    recipe = staged(consistency_real=10.0, consistency_fake=10.0)
    recipe.critic = Blind()
    _, logs = recipe.critic_loss(batch())
    assert logs["critic/consistency_real"] == logs["critic/consistency_fake"] == 0


def test_consistency_moves_real_and_fake_as_asked():
    torch.manual_seed(0)
    for kinds in (("real",), ("fake",), ("real", "fake")):
        recipe = staged(**{f"consistency_{kind}": 3.0 for kind in kinds})
        recipe.generator = tiny().generator
        loss, logs = recipe.critic_loss(batch())
        terms = [logs[f"critic/consistency_{kind}"] for kind in kinds]
        assert sum("consistency" in key for key in logs) == len(kinds)
        assert all(term > 0 for term in terms)
        expected = logs["critic/loss"] + 3 * torch.stack(terms).sum()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_feature_matching_compares_means():
    recipe = staged(level=0.25, feature_matching=2.0)
    assert recipe.generator_loss(grey(0.0, 0.5))[1]["generator/feature_distance"] == 0
    loss, logs = recipe.generator_loss(grey(0.75, 0.75))
    assert logs["generator/feature_distance"].item() == pytest.approx(0.25, rel=1e-4)
    assert loss.item() == pytest.approx(logs["generator/loss"].item() + 2 * 0.25, rel=1e-4)


def test_packs_hold_one_class_and_say_what_each_image_claims():
    recipe = staged(pack=2, lecam=1.0)
    data = grey(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)  # classes 0 1 0 1 0 1
    data["label"] = torch.tensor([0, 1, 0, 1, 0, 0])
    recipe.critic_loss(data)
    seen, claims = recipe.critic.seen[0], recipe.critic.claims[0]
    assert seen.shape == (6, 2, 32, 32)  # three packs of real images, three of fakes
    assert seen[:3, :, 0, 0].flatten().tolist() == pytest.approx([0.1, 0.3, 0.5, 0.6, 0.2, 0.4])
    assert (seen[3:] == -0.5).all()
    assert claims[:3].tolist() == [[1, 0, 1, 0], [1, 0, 1, 0], [0, 1, 0, 1]]
    assert torch.equal(claims[:3], claims[3:])


def test_penalty_of_packs_is_taken_by_all_their_images():
    found = []
    for pack in (1, 2):
        recipe = staged(pack=pack, gamma=1.0)
        _, logs = recipe.penalty_loss(grey(0.1, 0.2, 0.3, 0.4))
        found.append(logs["critic/r1_r2"].item())
    # The mean of n values has |grad|^2 = 1 / n; a pack of two has twice as many. R1 and R2.
    assert found == pytest.approx([2 / 1024, 2 / 2048])


def test_gamma_falls_by_a_cosine_to_the_part_that_is_left():
    recipe = staged(gamma=2.0, gamma_end=0.1)
    for progress, expected in ((0.0, 2.0), (0.5, 1.1), (1.0, 0.2)):
        recipe.begin_step(progress)
        assert recipe.gamma == pytest.approx(expected)


def test_a_batch_that_the_pack_does_not_divide_is_refused_but_can_be_scored():
    recipe = staged(pack=2)
    for phase in recipe.phases():
        with pytest.raises(ConfigError, match="--batch-size 2"):
            phase.loss(grey(0.1, 0.2, 0.3))
    assert recipe.scores(grey(0.1, 0.2, 0.3))["critic/real"].item() == pytest.approx(0.15)
    assert recipe.scores(grey(0.4))["critic/real"].item() == pytest.approx(0.4)  # twice in a pack


@pytest.mark.parametrize("minibatch", ["deviation", "discrimination"])
@pytest.mark.parametrize("name", GAME_RECIPES)
def test_real_and_fake_never_meet_in_a_group(name, minibatch):
    recipe = tiny(name, minibatch=minibatch, augment=0.0)
    real, fake = batch(0, 2)["image"], batch(1, 2)["image"]
    others = batch(2, 2)["image"]
    claim = recipe._condition(batch(0, 2))
    scores = [recipe._judgements(real, images, claim)[0].scores for images in (fake, others)]
    assert torch.equal(*scores)


def test_the_critic_of_a_game_without_classes_and_with_numbers_packs():
    for spec in (Spec(size=32), Spec(size=32, classes=("a", "b"), numbers=("position",))):
        recipe = tiny(spec=spec, **ALL)
        data = batch() | {"numbers": torch.rand(4, len(spec.numbers))}
        assert all(phase.loss(data)[0].isfinite() for phase in recipe.phases())
