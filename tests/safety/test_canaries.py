"""No name, id, date, UID or free text of a file gets into anything that is written or printed."""

from __future__ import annotations

import gzip
import io
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from canaries import WORD, found_below, plant_dicom, plant_nifti, plant_png, signs_in
from PIL import Image
from pydicom import dcmread

from medimg_gan.apps import cli
from medimg_gan.errors import MedimgError
from medimg_gan.imaging import Volume, read_files, read_volumes, write_dicom, write_nifti
from medimg_gan.imaging.dicom_header import TAGS, read_headers
from medimg_gan.imaging.untrusted import LeftOutError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pytest forgets our own filter

TINY = ["--size", "32", "--batch-size", "4", "--engine.precision", "32-true", "--steps", "2"]


def head(modality: str, patient: int) -> Volume:
    """A bright ball, of another size for each patient, in 24 x 24 x 4 voxels."""
    grid = np.indices((24, 24, 4)) - np.array([12, 12, 2])[:, None, None, None]
    ball = (np.square(grid[:2]).sum(0) < (5 + patient / 2) ** 2).astype(np.float32)
    noise = np.random.default_rng(patient).integers(0, 60, ball.shape).astype(np.float32)
    array = ball * 900 + noise if modality == "mri" else ball * 1040 + noise - 1024
    unit = "HU" if modality == "ct" else "signal"
    return Volume(array.astype(np.float32), np.diag([8.0, 8.0, 5.0, 1.0]), modality, unit)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working folder deep enough that '../../..' in a name would show."""
    folder = tmp_path / "a" / "b" / "work"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def dicom(place) -> Path:
    rows = ["path,label"]
    for modality in ("mri", "ct"):
        for patient in range(8):
            name = f"{modality}/{patient}"
            paths = write_dicom(head(modality, patient), place / "scans" / name)
            for number, path in enumerate(paths):
                assert plant_dicom(path, f"{patient}{modality == 'ct':d}", number) > 1500
            rows.append(f"{name},{'ill' if patient % 2 else 'well'}")
    (place / "scans" / "labels.csv").write_text("\n".join(rows) + "\n")
    return place / "scans"


def test_the_search_finds_what_is_hidden():
    png = io.BytesIO()
    Image.new("L", (9, 9)).save(png, "PNG")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner", WORD)
    assert signs_in(gzip.compress(packed.getvalue()))
    assert signs_in("CANARY".encode("utf-16"))
    assert not signs_in(png.getvalue())


def test_no_verb_repeats_what_a_file_says(dicom, place, capfd):
    data = ["--data", "scans"]
    damaged = dicom / "mri" / "0" / "0002.dcm"
    damaged.write_bytes(damaged.read_bytes()[:-300])
    cli.run("index", data)
    cli.run("train-gan", [*data, "--only", "mri", *TINY, "--run", "runs/gan"])
    for form in ("nifti", "dicom", "png"):
        words = ["--run", "runs/gan", "--count", "2", "--out", f"made-{form}", "--format", form]
        cli.run("synthesize", words)
    cli.run("train-cyclegan", ["--src", "mri", "--tgt", "ct", *data, *TINY, "--run", "runs/cycle"])
    for form in ("nifti", "dicom"):
        words = ["--run", "runs/cycle", *data, "--out", f"seen-{form}", "--format", form]
        # Kept, as it is by default, the frame of reference is the one thing of a file that stays.
        cli.run("translate", [*words, "--frame-of-reference", "new"])
    study = ["--minority-class", "ill", *data, "--only", "mri", *TINY]
    cli.run(
        "augment",
        [
            *study,
            "--ratios",
            "4",
            "--classifier-steps",
            "2",
            "--seeds",
            "1",
            "--features",
            "random",
            "--arms",
            "real",
            "synthetic",
        ],
    )
    printed = "".join(capfd.readouterr())
    assert "0002.dcm" in printed  # the damaged file was named
    assert signs_in(printed.encode()) == []
    root = place.parents[1]
    assert sum(path.is_file() for path in root.rglob("*")) > 150
    assert found_below(root, besides=dicom) == []
    assert [path.name for path in root.iterdir()] == ["b"]  # nothing climbed out
    assert [path.name for path in (root / "b").iterdir()] == ["work"]


@pytest.mark.parametrize("form", ["nifti", "png"])
def test_texts_of_nifti_and_png_stay_where_they_are(place, capfd, form):
    for patient in range(8):
        path = place / "scans" / f"p{patient}" / ("a.nii.gz" if form == "nifti" else "a.png")
        if form == "nifti":
            plant_nifti(write_nifti(head("mri", patient), path))
        else:
            path.parent.mkdir(parents=True)
            Image.fromarray(head("mri", patient).array[:, :, 1].astype(np.uint8)).save(path)
            plant_png(path)
        assert signs_in(path.read_bytes())
    modality = ["--modality", "mri"] if form == "nifti" else []
    cli.run(
        "train-gan", ["--data", "scans", *modality, *TINY, "--recipe", "dcgan", "--run", "runs/g"]
    )
    cli.run("synthesize", ["--run", "runs/g", "--count", "2", "--out", "made"])
    assert signs_in("".join(capfd.readouterr()).encode()) == []
    assert found_below(place, besides=place / "scans") == []


@pytest.mark.parametrize("keyword", TAGS.split())
def test_a_damaged_attribute_is_not_quoted(place, keyword, capfd):
    paths = write_dicom(head("mri", 1), place / "scans")
    for path in paths:
        image = dcmread(path)
        if keyword in image:
            del image[keyword]
        image.add_new(keyword, "LO", f"{WORD}^JANE\\{WORD}")
        image.save_as(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, problems = read_volumes(place / "scans")
        said = [problem.reason for problem in problems]
        for read in (lambda: read_files(paths), lambda: read_headers(paths[0])):
            try:
                read()
            except (MedimgError, LeftOutError) as error:
                # What a traceback would show as well.
                said += [str(error), str(error.__cause__)]
    assert [line for line in said if WORD in str(line)] == []
    assert WORD not in "".join(capfd.readouterr())


def test_burned_in_annotation_is_told(place):
    paths = write_dicom(head("mri", 1), place / "scans")
    assert not read_headers(paths[0])[0].burned_in
    image = dcmread(paths[0])
    image.BurnedInAnnotation = "YES"
    image.save_as(paths[0])
    assert read_headers(paths[0])[0].burned_in
