"""CUT: what a place must be recognised by, and what learns from it."""

import math

import pytest
import torch
from torch import nn

from medimg_gan import losses
from medimg_gan.nets.contrastive import PatchHead, encoder_and_decoder
from medimg_gan.nets.translation import ResnetGenerator
from medimg_gan.recipes import Spec
from medimg_gan.recipes.cut import Cut, CutConfig


def cut(**spec):
    torch.manual_seed(0)
    return Cut(CutConfig(width=4), Spec(size=32, **spec))


def unpaired(count=2, inputs=1):
    source, target = torch.rand(count, inputs, 32, 32), torch.rand(count, 1, 32, 32)
    return {"source": source * 2 - 1, "target": target * 2 - 1}


def test_patch_nce_by_hand():
    alike = torch.ones(2, 5, 1)
    assert losses.patch_nce(alike, alike, 0.07).item() == pytest.approx(math.log(5))
    apart = torch.eye(3).expand(2, 3, 3)
    right = losses.patch_nce(apart, apart, 0.5).item()
    wrong = losses.patch_nce(apart, apart[:, [1, 2, 0]], 0.5).item()
    assert right == pytest.approx(math.log(1 + 2 * math.exp(-2)))
    assert wrong == pytest.approx(right + 2)  # the right key scores 0 and one of the others 2


def test_negatives_come_from_the_same_image():
    apart, other = torch.eye(4)[:2], torch.eye(4)[2:]
    both = torch.stack([apart, other])
    one = losses.patch_nce(apart[None], apart[None], 0.5)
    torch.testing.assert_close(losses.patch_nce(both, both, 0.5), one)


def test_keys_get_no_gradient():
    queries, keys = (torch.rand(1, 4, 3, requires_grad=True) for _ in range(2))
    losses.patch_nce(queries, keys, 0.07).backward()
    assert queries.grad is not None
    assert keys.grad is None


def test_the_contrast_teaches_through_the_translation_alone():
    recipe, seen = cut(), []
    recipe.head.register_forward_hook(lambda _, __, found: seen.append(found[0].requires_grad))
    recipe.generator_loss(unpaired())
    assert seen == [False, True]  # keys, queries


def test_queries_and_keys_are_of_the_same_places():
    recipe, seen = cut(), []
    recipe.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))
    recipe.generator_loss(unpaired())
    keys, queries = seen
    assert [len(places) for places in keys] == [256, 256, 64, 64, 64]
    for places, again in zip(keys, queries, strict=True):
        assert torch.equal(places, again)
        assert len(places.unique()) == len(places)


def test_the_halves_are_a_generator_of_the_same_weights():
    torch.manual_seed(0)
    whole = ResnetGenerator(1, 1, 4, 6)
    torch.manual_seed(0)
    encoder, decoder = encoder_and_decoder(1, 1, 4, 6)
    images = torch.rand(1, 1, 32, 32)
    shown = encoder(images)
    torch.testing.assert_close(decoder(shown[-1]), whole(images))
    assert [tuple(feature.shape[1:]) for feature in shown] == [
        (1, 32, 32), (8, 16, 16), (16, 8, 8), (16, 8, 8), (16, 8, 8),
    ]  # fmt: skip
    torch.testing.assert_close(shown[2], whole.layers[:7](images))  # before its norm
    torch.testing.assert_close(shown[3], whole.layers[:10](images))


def test_head_reads_the_asked_places_into_unit_vectors():
    head = PatchHead((2,), 2)
    head.maps[0] = nn.Identity()
    feature = torch.tensor([[[3.0, 0.0], [0.0, 1.0]], [[4.0, 0.0], [0.0, 0.0]]])[None]
    (found,) = head([feature], [torch.tensor([3, 0])])
    torch.testing.assert_close(found, torch.tensor([[[1.0, 0.0], [0.6, 0.8]]]))


def test_the_identity_term_is_there_where_a_target_can_be_a_source():
    for inputs, images in ((1, 4), (2, 2)):
        recipe, seen = cut(source_channels=inputs), []
        recipe.decoder.register_forward_hook(lambda _, __, made, seen=seen: seen.append(len(made)))
        recipe.generator_loss(unpaired(2, inputs))
        assert seen == [images]


def test_the_critic_sees_the_fakes_of_sources_only_and_nothing_is_made_again():
    recipe, batch, seen, made = cut(), unpaired(), [], []
    recipe.decoder.register_forward_hook(lambda _, __, images: made.append(images))
    recipe.generator_loss(batch)
    recipe.critic.register_forward_pre_hook(lambda _, images: seen.append(images[0]))
    recipe.critic_loss(batch)
    real, fake = seen
    assert torch.equal(real, batch["target"])
    assert torch.equal(fake, made[0][:2])
    assert len(made) == 1


def test_terms_have_their_weights():
    loss, logs = cut().generator_loss(unpaired())
    expected = logs["generator/fool"] + logs["generator/contrast"]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert 0 < logs["generator/contrast"].item() < 2 * math.log(256)
