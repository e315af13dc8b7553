import math

import pytest
import torch

from medimg_gan import losses


def test_penalty_of_a_linear_critic_has_a_closed_form():
    weight = torch.tensor([3.0, 4.0])  # norm 5
    penalty = losses.gradient_penalty(lambda x: x @ weight, torch.zeros(8, 2), torch.ones(8, 2))
    assert penalty.item() == pytest.approx(16.0)  # (5 - 1) ** 2


def test_penalty_is_taken_between_real_and_fake():
    seen = []

    def critic(images):
        seen.append(images.detach())
        return images.sum(dim=(1, 2, 3))

    losses.gradient_penalty(critic, torch.zeros(64, 1, 2, 2), torch.ones(64, 1, 2, 2))
    points = seen[0].flatten(1)
    assert torch.all((points >= 0) & (points <= 1))
    assert torch.all(points == points[:, :1])  # one share for a whole image
    assert points[:, 0].std() > 0.2  # and another for the next


def test_r1_of_a_quadratic_critic_has_a_closed_form():
    images = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    penalty = losses.zero_centred_penalty(lambda x: x.square().sum(dim=1), images)
    # The gradient is 2x: |2x|^2 = 4 (1 + 4) and 4 * 9, on average 28.
    assert penalty.item() == pytest.approx(28.0)


def test_r1_can_be_differentiated_again():
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    losses.zero_centred_penalty(lambda x: x @ weight, torch.ones(5, 2)).backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == pytest.approx([6.0, 8.0])  # d|w|^2 / dw = 2w


def test_r1_gives_a_bias_a_zero_gradient_not_none():
    layer = torch.nn.Linear(2, 1)
    losses.zero_centred_penalty(lambda x: layer(x).squeeze(1), torch.ones(5, 2)).backward()
    assert layer.bias.grad is not None
    assert layer.bias.grad.item() == 0.0


def test_penalties_are_float32_under_autocast():
    layer = torch.nn.Linear(4, 1)
    kinds = []

    def critic(images):
        scores = layer(images)
        kinds.append(scores.dtype)
        return scores.squeeze(1)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.ones(1, 4)).dtype == torch.bfloat16
        losses.gradient_penalty(critic, torch.zeros(3, 4).bfloat16(), torch.ones(3, 4))
        losses.zero_centred_penalty(critic, torch.zeros(3, 4).bfloat16())
    assert kinds == [torch.float32, torch.float32]


def test_penalties_leave_the_images_without_gradient():
    images = torch.ones(3, 2)
    losses.zero_centred_penalty(lambda x: x.sum(dim=1), images)
    assert not images.requires_grad


def test_adversarial_losses_at_values_computed_by_hand():
    zero = torch.zeros(4)
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0])
    log = math.log
    assert losses.non_saturating_critic(zero, zero).item() == pytest.approx(2 * log(2))
    assert losses.non_saturating_critic(real, fake).item() == pytest.approx(
        (log(1 + math.exp(-1)) + log(1 + math.exp(-3))) / 2 + (log(2) + log(1 + math.exp(1))) / 2,
        rel=1e-5,
    )
    assert losses.non_saturating_generator(fake).item() == pytest.approx(
        (log(2) + log(1 + math.exp(-1))) / 2, rel=1e-5
    )
    assert losses.relativistic(real, fake).item() == pytest.approx(
        (log(1 + math.exp(-1)) + log(1 + math.exp(-2))) / 2, rel=1e-5
    )
    assert losses.least_squares(real, 1.0).item() == pytest.approx(2.0)  # (0 + 4) / 2
    assert losses.least_squares(real, 0.0).item() == pytest.approx(5.0)  # (1 + 9) / 2


@pytest.mark.parametrize(
    ("name", "critic", "generator"),
    [
        # Real scores 2 and 0, fakes -2 and 0.5.
        ("hinge", (0 + 1) / 2 + (0 + 1.5) / 2, 0.75),
        ("wasserstein", -0.75 - 1, 0.75),
        ("least-squares", (1 + 1) / 4 + (4 + 0.25) / 4, (9 + 0.25) / 4),
        ("relativistic", None, None),
        ("non-saturating", None, None),
    ],
)
def test_games_at_values_computed_by_hand(name, critic, generator):
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 0.5])
    log = math.log
    if name == "relativistic":  # real ahead by 4 and -0.5
        critic = (log(1 + math.exp(-4)) + log(1 + math.exp(0.5))) / 2
        generator = (log(1 + math.exp(4)) + log(1 + math.exp(-0.5))) / 2
    if name == "non-saturating":
        critic = (log(1 + math.exp(-2)) + log(2)) / 2
        critic += (log(1 + math.exp(-2)) + log(1 + math.exp(0.5))) / 2
        generator = (log(1 + math.exp(2)) + log(1 + math.exp(-0.5))) / 2
    game = losses.GAMES[name]
    assert game.critic(real, fake).item() == pytest.approx(critic, rel=1e-5)
    assert game.generator(fake, real).item() == pytest.approx(generator, rel=1e-5)
    assert game.paired == (game.generator(fake, real) != game.generator(fake, real + 1)).item()


@pytest.mark.parametrize("name", losses.GAMES)
def test_either_side_of_a_game_pulls_the_scores_its_own_way(name):
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    losses.GAMES[name].critic(real, fake).backward()
    assert (real.grad < 0).all()  # a descent raises the scores of real images
    assert (fake.grad >= 0).all()
    fake.grad = None
    losses.GAMES[name].generator(fake, real.detach()).backward()
    assert (fake.grad < 0).all()


def test_lecam_by_hand():
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([-3.0, 1.0])
    # a_R = 0.5, a_F = -0.5: leads of real 2.5 and 0, of fake behind 3.5 and 0.
    found = losses.lecam(real, fake, torch.tensor(0.5), torch.tensor(-0.5))
    assert found.item() == pytest.approx((2.5**2 + 3.5**2) / 2)


def test_lecam_does_not_see_a_constant_that_scores_and_averages_share():
    scores = torch.randn(4, 8).unbind()
    averages = torch.tensor(0.3), torch.tensor(-0.2)
    found = [
        losses.lecam(scores[0] + c, scores[1] + c, *(average + c for average in averages)).item()
        for c in (0.0, 7.0)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_consistency_and_feature_distance_by_hand():
    one, other = torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0])
    assert losses.consistency(one, one).item() == 0
    assert losses.consistency(one, other).item() == pytest.approx(2.0)  # (0 + 4) / 2
    fake, real = torch.tensor([[0.0, 0.0], [2.0, 4.0]]), torch.tensor([[1.0, 2.0]] * 3)
    assert losses.feature_distance(fake, real).item() == 0  # the means agree
    assert losses.feature_distance(fake, real + 1).item() == pytest.approx(2.0)  # 1 + 1


def test_weighted_terms_are_plotted_without_their_weights():
    one, other = torch.tensor(2.0, requires_grad=True), torch.tensor(3.0)
    total, logs = losses.weighted({"a": (1.0, one), "b": (0.5, other)})
    assert total.item() == 3.5
    assert {name: value.item() for name, value in logs.items()} == {"a": 2.0, "b": 3.0}
    assert not logs["a"].requires_grad


def test_relativistic_loss_sees_only_differences():
    real, fake = torch.randn(8), torch.randn(8)
    shifted = losses.relativistic(real + 7, fake + 7)
    assert shifted.item() == pytest.approx(losses.relativistic(real, fake).item(), rel=1e-5)


@pytest.mark.parametrize(
    ("real", "fake", "share"),
    [
        ([2.0, 3.0], [0.0, 1.0], 1.0),
        ([0.0], [1.0], 0.0),
        ([0.0, 2.0], [1.0, 1.0], 0.5),
        ([1.0], [1.0], 0.5),
    ],
)
def test_share_ranked_right(real, fake, share):
    assert losses.share_ranked_right(torch.tensor(real), torch.tensor(fake)).item() == share


def test_share_ranked_right_averages_maps():
    real = torch.tensor([3.0, -1.0]).view(1, 1, 1, 2)  # mean 1
    assert losses.share_ranked_right(real, torch.zeros(4, 1, 1, 2)).item() == 1.0
