"""Synthetic slices as other programs read them, and in a training of one's own."""

import json
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.data.decathlon_datalist import load_decathlon_datalist
from torchvision.datasets import ImageFolder

from medimg_gan import runs
from medimg_gan.apps import cli
from medimg_gan.apps.synthetic_layouts import refuse_classes
from medimg_gan.data import SyntheticSet
from medimg_gan.errors import LabelError
from medimg_gan.synthesis import load_run

DOCS = Path(__file__).parents[2] / "docs"
MASK = ["--mask", "{patient}/{visit}_Mask.nii.gz"]
TINY = ["--size", "32", "--batch-size", "4", "--engine.precision", "32-true", "--steps", "2"]


@pytest.fixture(scope="module")
def gan(tmp_path_factory) -> Path:
    """A working folder with scans of nine patients and a GAN of them in ``runs/gan``."""
    place = tmp_path_factory.mktemp("place")
    rng = np.random.default_rng(0)
    for patient in range(9):
        scan = rng.uniform(50, 100, (16, 16, 5)).astype(np.float32)
        mask = np.zeros_like(scan)
        mask[5:10, 5:10, 2:4] = patient % 3 > 0
        folder = place / "scans" / f"{patient:02d}"
        folder.mkdir(parents=True)
        for name, array in (("Pre_Scan_T1", scan), ("Pre_Mask", mask)):
            nibabel.save(
                nibabel.Nifti1Image(array, np.diag([2, 2, 5, 1])), folder / f"{name}.nii.gz"
            )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        cli.run("train-gan", ["--data", "scans", *MASK, *TINY, "--run", "runs/gan"])
    return place


@pytest.fixture
def place(gan, monkeypatch) -> Path:
    monkeypatch.chdir(gan)
    return gan


def made(out: str, *words: str) -> Path:
    cli.run("synthesize", ["--run", "runs/gan", "--count", "6", "--out", out, *words])
    return Path(out)


def expected() -> tuple[np.ndarray, list[str]]:
    """The six slices in [-1, 1], and their classes."""
    generator = load_run("runs/gan")
    labels = [generator.classes[number] for number in generator.draw_labels(6, None, 0)]
    return generator.sample_encoded(6), labels


def test_an_image_folder_shows_the_slices_and_not_white(place):
    folder = made("imagefolder", "--layout", "imagefolder")
    images, labels = expected()
    found = ImageFolder(folder)
    assert found.classes == ["no-tumor", "tumor"] == sorted(set(labels))
    assert len(found) == 6
    for path, label in found.samples:
        number = int(Path(path).stem.removeprefix("synthetic_"))
        assert found.classes[label] == labels[number]
        grey = np.asarray(found.loader(path))[..., 0] / 127.5 - 1
        np.testing.assert_allclose(grey, images[number, 0], atol=1 / 255 + 1e-6)


@pytest.mark.parametrize("file_format", ["nifti", "png"])
def test_monai_reads_the_datalist(place, file_format):
    folder = made(f"monai-{file_format}", "--layout", "monai", "--format", file_format)
    items = load_decathlon_datalist(str(folder / "datalist.json"), is_segmentation=False)
    names = json.loads((folder / "datalist.json").read_text())["labels"]
    assert [names[str(item["label"])] for item in items] == expected()[1]
    assert all(Path(item["image"]).is_file() and item["synthetic"] for item in items)


def test_nnunet_finds_named_images_and_is_promised_no_masks(place, capsys):
    folder = made("nnunet", "--layout", "nnunet")
    assert "nnU-Net learns from masks" in capsys.readouterr().out
    facts = json.loads((folder / "dataset.json").read_text())
    assert facts["channel_names"] == {"0": "MRI"}
    assert facts["numTraining"] == 0
    names = sorted(path.name for path in (folder / "imagesTs").iterdir())
    assert len(names) == 6
    assert all(re.fullmatch(r"synthetic_\d{5}_.*_0000\.nii\.gz", name) for name in names)


@pytest.mark.parametrize(
    "words",
    [["plain"], ["plain", "--format", "dicom"], ["imagefolder"], ["monai", "--format", "png"]],
)
def test_every_layout_is_read_back_as_it_was_made(place, words):
    folder = made("-".join(["back", *words]), "--layout", *words)
    found = SyntheticSet.read(folder)
    images, labels = expected()
    depth = 255 if words == ["imagefolder"] else 4000
    np.testing.assert_allclose(found.images, images, atol=1.01 / depth)
    assert found.labels.tolist() == labels
    assert found.sources[3].startswith("gan seed 0 number 3: back-")
    assert runs.read_json(folder / runs.MANIFEST)["synthetic"] is True
    assert found.gan_split is not None
    assert set(found.gan_split.values()) == {"train", "val", "test"}


def test_an_interrupted_layout_is_completed(place):
    folder = made("again", "--layout", "imagefolder")
    before = {path: path.read_bytes() for path in folder.rglob("*.png")}
    facts = runs.read_json(folder / runs.MANIFEST)
    runs.write_json(folder / runs.MANIFEST, {**facts, "finished": False})
    lost, kept = list(before)[:2]
    lost.unlink()
    (lost.parent / ".unfinished-12345678.synthetic_00000.png").write_bytes(b"half")
    stamp = kept.stat().st_mtime_ns
    made("again", "--layout", "imagefolder")
    assert {path: path.read_bytes() for path in folder.rglob("*.png")} == before
    assert kept.stat().st_mtime_ns == stamp


def test_slices_that_are_not_there_or_not_complete_are_refused(place, capsys):
    for words, said in (
        (["--layout", "imagefolder", "--format", "nifti"], "readers take png"),
        (["--layout", "nnunet", "--format", "png"], "readers take nifti"),
    ):
        with pytest.raises(SystemExit):
            made("wrong", *words)
        assert said in capsys.readouterr().err
    assert not Path("wrong").exists()
    with pytest.raises(runs.RunError, match="made by 'train-gan'"):
        SyntheticSet.read("runs/gan")


def test_classes_that_would_share_a_folder_are_refused():
    with pytest.raises(LabelError, match="'a b' and 'a/b'"):
        refuse_classes("imagefolder", ("a b", "a/b", "c"))
    with pytest.raises(LabelError, match="knows none"):
        refuse_classes("imagefolder", ())
    refuse_classes("monai", ("a b", "a/b"))


def test_the_loop_of_the_documentation_runs(place):
    made("synthetic", "--label", "tumor", "--count", "30")
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "own-training.md").read_text(), re.DOTALL)
    assert code.count("range(10)") == 1
    names: dict = {}
    exec(code.replace("range(10)", "range(1)"), names)
    counts = names["mixed"].counts()
    assert counts["real"]["tumor"] + counts["synthetic"]["tumor"] == counts["real"]["no-tumor"]
    assert counts["synthetic"]["tumor"] > 0
    assert torch.isfinite(names["loss"])
