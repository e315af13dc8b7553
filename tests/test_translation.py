"""Whole volumes through a translator: slices, blocks, sequences, grids and uncertainty."""

import tracemalloc
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch

from medimg_gan.data.chain_settings import ChainConfig
from medimg_gan.engine.checkpoint import save_weights
from medimg_gan.errors import DataError
from medimg_gan.imaging import Volume, read_files, write_nifti
from medimg_gan.imaging.orientation import reoriented
from medimg_gan.modalities import Ct, Scale
from medimg_gan.modalities.ct import WINDOWS
from medimg_gan.nets.translation import ResnetGenerator
from medimg_gan.recipes import Spec, TranslationRecipe
from medimg_gan.runs import write_json
from medimg_gan.synthesis import Translator, blocks, build_recipe, load_run
from medimg_gan.synthesis.uncertainty import Move, Spread, moved, shifted

WIDE = Scale(*Ct().window)


class Copy(TranslationRecipe):
    """Gives back the slices of its last sequence, and remembers the most that it was shown."""

    def __init__(self, size: int, channels: int = 1, sequences: int = 1) -> None:
        super().__init__(None, Spec(channels, size, source_channels=channels * sequences))
        self.to_target = torch.nn.Linear(1, 1)  # holds the device
        self.most = 0

    def translate(self, image):
        self.most = max(self.most, len(image))
        return image[:, -self.spec.channels :]


def ct(shape=(32, 32, 21), seed=0) -> Volume:
    array = np.random.default_rng(seed).integers(-1000, 1500, shape).astype(np.float32)
    return Volume(array, np.diag([1.0, 1.0, 3.0, 1.0]), "ct", "HU")


def translator(recipe, adjacent=1, **more) -> Translator:
    return Translator(recipe, "ct", "ct", "HU", WIDE, adjacent=adjacent, **more)


@pytest.fixture
def few_at_once(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_PIXELS", 4 * 32 * 32)


@pytest.mark.parametrize("adjacent", [1, 3, 5])
@pytest.mark.parametrize("slices", [1, 2, 4, 21])
def test_copied_slices_are_every_voxel_of_the_source(few_at_once, adjacent, slices):
    volume = ct((32, 32, slices))
    made = translator(Copy(32, adjacent), adjacent).translate(volume)
    np.testing.assert_array_equal(made.array, volume.array)


def test_the_estimates_of_a_slice_are_weighted_by_a_triangle():
    class Step(Copy):
        """Says 0, .25, .5 for the slice below, the middle one and the one above."""

        def translate(self, image):
            return torch.tensor([0.0, 0.25, 0.5])[:, None, None].expand(len(image), 3, 32, 32)

    stack = np.zeros((4, 32, 32), np.float32)
    made = blocks.translate_stack(Step(32, 3).translate, [stack], 3, torch.device("cpu"))
    first, middle, last = (0.25 * 2 + 0) / 3, (0.5 + 2 * 0.25 + 0) / 4, (0.5 + 2 * 0.25) / 3
    np.testing.assert_allclose(made[:, 0, 0], [first, middle, middle, last], rtol=1e-6)


def test_sequences_go_in_one_after_the_other(few_at_once):
    volumes = [ct(seed=0), ct(seed=1)]
    both = translator(Copy(32, 3, 2), 3, sequences=("t1", "t2"))
    np.testing.assert_array_equal(both.translate(volumes).array, volumes[1].array)
    with pytest.raises(DataError, match=r"t1\+t2"):
        both.translate(volumes[0])
    moved_away = volumes[1].affine.copy()
    moved_away[0, 3] += 1
    with pytest.raises(DataError, match="one grid"):
        both.translate([volumes[0], replace(volumes[1], affine=moved_away)])


class Trained(Copy):
    """A network that mixes neighbouring slices, with the weights it was born with."""

    def __init__(self, channels: int) -> None:
        super().__init__(32, channels)
        torch.manual_seed(0)
        self.to_target = ResnetGenerator(channels, channels, 4, 1)

    def translate(self, image):
        return torch.tanh(3 * self.to_target(image))


@pytest.mark.parametrize("adjacent", [1, 3])
def test_blocks_leave_no_seam_in_a_volume_that_no_training_saw(monkeypatch, adjacent):
    k, i, j = np.meshgrid(*(np.linspace(-1, 1, n) for n in (30, 32, 32)), indexing="ij")
    smooth = np.float32(400 * np.cos(2 * i) * np.cos(j) * np.cos(k) - 300)
    volume = Volume(smooth.transpose(1, 2, 0), np.diag([1.0, 1, 1.7, 1]), "ct", "HU")
    model = translator(Trained(adjacent), adjacent)
    whole = model.translate(volume).array
    monkeypatch.setattr(blocks, "BLOCK_PIXELS", 7 * 32 * 32)
    made = model.translate(volume).array
    assert np.abs(made - whole).max() <= 1  # rounded to whole HU
    jumps = np.abs(np.diff(made, axis=2)).mean(axis=(0, 1))
    assert made.std() > 20
    seams = jumps[6::7]
    neighbours = np.maximum(np.maximum(jumps[5::7][: len(seams)], jumps[7::7][: len(seams)]), 1)
    assert (seams <= 1.5 * neighbours).all()


def test_memory_is_bounded_by_the_volume_and_a_block(few_at_once):
    recipe = Copy(32, 3)
    peaks = []
    for slices in (50, 400):
        volume = ct((32, 32, slices))
        tracemalloc.start()
        translator(recipe, 3).translate(volume)
        peaks.append(tracemalloc.get_traced_memory()[1] / volume.array.nbytes)
        tracemalloc.stop()
    assert recipe.most == 4
    assert peaks[1] < max(8, peaks[0])  # volumes: encoded, pictures, made, decoded, on its grid


def test_slices_with_nothing_on_them_become_air():
    volume = ct()
    volume.array[..., :3] = volume.array[..., 10] = -1000

    class Bright(Copy):
        def translate(self, image):
            return torch.ones_like(image)

    made = translator(Bright(32)).translate(volume).array
    assert (made[..., [0, 1, 2, 10]] == -1000).all()
    assert (made[..., 3:10] == 1500).all()


@pytest.mark.parametrize("window", [name for name, (low, _) in WINDOWS.items() if low > -1000])
def test_air_of_the_source_is_air_where_the_window_does_not_reach_so_low(window):
    array = np.zeros((32, 32, 6), np.float32)
    array[8:24, 8:24] = 500  # a body, in whose middle is air
    array[14:18, 14:18] = 0
    source = Volume(array, np.diag([1.0, 1.0, 3.0, 1.0]), "mri", "signal")

    class Dark(Copy):
        def translate(self, image):
            return -torch.ones_like(image)

    chain = ChainConfig(window=window)
    low, high = WINDOWS[window]
    it = Translator(Dark(32), "mri", "ct", "HU", Scale(low, high), chain)
    made = it.translate(source).array
    assert (made[8:24, 8:24] == low).all()
    made[8:24, 8:24] = -1000
    assert (made == -1000).all()
    Ct(window=(low, high)).fit(made, "HU")  # so that it can be read again


AXES = {"LPS": 0.0, "RAS": 0.0, "PSR": 0.0, "RSA": 20.0, "ASL": -12.0}


@pytest.mark.parametrize("codes", AXES)
def test_a_written_translation_has_the_grid_of_its_file(tmp_path, codes):
    """Sagittal, coronal and oblique ones, with an affine that float32 does not hold exactly."""
    turn = np.radians(AXES[codes])
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine[:3, :3] *= (0.9, 1.1, 3.3)
    affine[:3, 3] = -12.1, 30.7, -7.3
    array, own = reoriented(ct((9, 8, 7)).array, affine, codes)
    image = nibabel.Nifti1Image(np.int16(array), own)
    nibabel.save(image, tmp_path / "source.nii.gz")
    source = read_files([tmp_path / "source.nii.gz"], "ct")
    write_nifti(translator(Copy(32)).translate(source), tmp_path / "made.nii.gz")
    before, after = (nibabel.load(tmp_path / f"{name}.nii.gz") for name in ("source", "made"))
    np.testing.assert_array_equal(after.affine, before.affine)
    assert after.shape == before.shape
    assert after.header.get_zooms() == pytest.approx(before.header.get_zooms(), rel=1e-6)
    assert after.get_data_dtype() == np.int16
    assert after.header.get_xyzt_units()[0] == "mm"


def test_ct_stays_within_12_bits():
    volume = ct()
    volume.array[0, 0] = 9000
    made = Translator(Copy(32), "ct", "ct", "HU", Scale(-4000, 5000)).translate(volume).array
    assert (made.min(), made.max()) == (-1024, 3071)


@pytest.mark.parametrize("move", [Move(2, -1), Move(-1, 2, mirrors=True)])
def test_a_move_is_undone(move):
    images = torch.rand(2, 3, 16, 16)
    again = moved(lambda shown: shown, move)(images)
    torch.testing.assert_close(again[..., 2:-2, 2:-2], images[..., 2:-2, 2:-2])
    assert not torch.equal(shifted(images, 1, 0), images)


def test_the_spread_is_the_standard_deviation():
    stacks = np.random.default_rng(0).uniform(-1, 1, (6, 3, 4, 4)).astype(np.float32)
    spread = Spread(stacks.shape[1:])
    for stack in stacks:
        spread.add(stack)
    np.testing.assert_allclose(spread.deviation(), stacks.std(axis=0, ddof=1), rtol=1e-5)


def test_uncertainty_is_in_the_targets_unit_and_none_where_all_answers_agree():
    class Half(Copy):
        """The same everywhere, but for the left half, where it depends on where it looks."""

        def translate(self, image):
            made = torch.zeros_like(image)
            made[..., :, 8:16] = torch.where(image[..., :1, 0] > 0, 0.2, 0.0)[..., None]
            return made

    volume = ct()
    model = translator(Half(32))
    made, unsure = model.translate_with_spread(volume)
    np.testing.assert_array_equal(made.array, model.translate(volume).array)
    assert unsure.modality == ""
    assert (unsure.array >= 0).all()
    there = unsure.array > 1e-3
    assert 0 < there.mean() < 0.6
    assert unsure.array.max() <= 0.2 / 2 * 2500  # the deviation of numbers that are 0.2 apart
    agreed = translator(Copy(32)).translate_with_spread(volume)[1].array[3:-3, 3:-3]
    assert agreed.max() == 0


def test_a_chest_is_not_mirrored(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "medimg_gan.synthesis.translator.moved",
        lambda translate, move: asked.append(move) or translate,
    )
    recipe = Copy(32)
    translator(recipe).translate_with_spread(ct())
    assert not any(move.mirrors for move in asked)
    recipe.spec = replace(recipe.spec, mirror=True)
    translator(recipe).translate_with_spread(ct())
    assert sum(move.mirrors for move in asked) == 5


FACTS = {
    "verb": "train-cyclegan",
    "finished": True,
    "recipe": "cyclegan",
    "options": {"width": 4},
    "spec": {"channels": 3, "size": 32, "classes": [], "mirror": True, "source_channels": 6},
    "source": "t1+t2",
    "target": "ct",
    "sources": ["t1", "t2"],
    "source_modality": "mri",
    "target_modality": "ct",
    "adjacent": 3,
    "unit": "HU",
    "scale": {"low": -1000.0, "high": 1500.0, "pixel_mm": 2.0},
}


def test_a_run_brings_its_sequences_and_neighbours(tmp_path):
    write_json(tmp_path / "manifest.json", FACTS)
    torch.manual_seed(0)
    recipe = build_recipe(FACTS)
    save_weights(tmp_path / "weights.pt", recipe)
    plain = load_run(tmp_path)
    assert isinstance(plain, Translator)
    assert (plain.source, plain.target, plain.adjacent) == ("mri", "ct", 3)
    assert plain.sequences == ("t1", "t2")
