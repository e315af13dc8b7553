"""Varied slices: other heads of the same few, drawn alike by position, and nothing a fold."""

import numpy as np
import pytest
import torch

from medimg_gan.data.settings import STRONGEST
from medimg_gan.data.variation import FEW_PATIENTS, Variation, VariedStream, variation_for

EVERYTHING = Variation(mirror=True, tones=True)


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def heads(count=8, size=32, channels=1):
    """An ellipse with a brighter spot on its left, on background."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, size)] * 2, indexing="ij")
    head = torch.where((x / 0.6) ** 2 + (y / 0.75) ** 2 < 1, 0.0, -1.0)
    head = torch.where((x + 0.3) ** 2 + y**2 < 0.02, 0.9, head)
    return head.expand(count, channels, size, size).clone()


def test_strength_zero_is_the_identity():
    images = heads()
    assert Variation(0.0, mirror=True, tones=True)(images, random()) is images


def test_every_image_becomes_another_within_the_range():
    varied = EVERYTHING(heads(), random())
    assert varied.shape == (8, 1, 32, 32)
    assert -1 <= varied.min() <= varied.max() <= 1
    assert len(torch.unique(varied.flatten(1), dim=0)) == 8


def test_channels_of_an_image_change_alike():
    varied = EVERYTHING(heads(channels=3), random())
    assert torch.equal(varied[:, 0], varied[:, 2])


@pytest.mark.parametrize("mirror", [False, True])
def test_half_are_mirrored_only_where_that_is_plausible(mirror):
    varied = Variation(mirror=mirror)(heads(200), random())[:, 0]
    left = (varied[:, :, :16].amax(dim=(1, 2)) > varied[:, :, 16:].amax(dim=(1, 2))).float()
    assert left.mean() == pytest.approx(0.5 if mirror else 1, abs=0.12)


def test_only_values_without_a_unit_change_and_never_the_background():
    flat = torch.full((50, 1, 32, 32), -0.4)
    centre = [Variation(tones=tones)(flat, random())[:, 0, 16, 16] for tones in (False, True)]
    torch.testing.assert_close(centre[0], torch.full((50,), -0.4))
    assert centre[1].std() > 0.02
    empty = torch.full((4, 1, 32, 32), -1.0)
    torch.testing.assert_close(EVERYTHING(empty, random()), empty)


def test_the_strongest_variation_folds_no_tissue_over_another():
    """The map keeps its orientation: its Jacobian's determinant is positive everywhere."""
    places = Variation(STRONGEST).places(300, 32, 32, random())
    across = places[:, :-1, 1:] - places[:, :-1, :-1]
    down = places[:, 1:, :-1] - places[:, :-1, :-1]
    assert (across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]).min() > 0


def test_heads_differ_in_size_by_what_patients_do():
    """Length along y over the mean, from where the picture's middle row and column come from."""
    places = Variation(displacement=0.0).places(2000, 32, 32, random())
    lengths = (places[:, -1, 16] - places[:, 0, 16]).norm(dim=1)
    assert (lengths / lengths.mean()).std() == pytest.approx(0.08 / np.sqrt(3), rel=0.1)


def test_a_batch_is_a_function_of_seed_and_position():
    def plain(position):
        return {"image": heads(4), "label": torch.full((4,), position)}

    stream = VariedStream(plain, EVERYTHING, seed=1)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = stream(3), stream(4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first["image"], VariedStream(plain, EVERYTHING, seed=1)(3)["image"])
    assert not torch.equal(first["image"], second["image"])
    assert not torch.equal(first["image"], VariedStream(plain, EVERYTHING, seed=2)(3)["image"])
    assert first["label"].tolist() == [3] * 4


@pytest.mark.parametrize(
    ("vary", "patients", "strength"),
    [
        ("auto", FEW_PATIENTS - 1, 1.0),
        ("auto", FEW_PATIENTS, 0.0),
        ("auto", None, 0.0),
        (0.0, 3, 0.0),
        (0.5, 300, 0.5),
    ],
)
def test_slices_are_varied_where_patients_are_few_or_as_asked(vary, patients, strength, capsys):
    found = variation_for(vary, patients, mirror=True, tones=False)
    assert found == Variation(strength, mirror=True, tones=False)
    said = capsys.readouterr().out
    assert ("19 training patients are few" in said) == (vary == "auto" and strength == 1)
