"""Translators through the verb, on phantoms and on pairs of pictures; trained for no step."""

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from medimg_gan.apps import cli
from medimg_gan.engine.checkpoint import save_weights
from medimg_gan.imaging import write_nifti
from medimg_gan.imaging.phantom import make_phantom, phantom_patient
from medimg_gan.runs import read_json, write_json
from medimg_gan.synthesis import build_recipe

FACTS = {
    "verb": "train-cyclegan",
    "finished": True,
    "recipe": "cyclegan",
    "options": {"width": 4},
    "spec": {"channels": 1, "size": 32, "classes": [], "mirror": False},
    "source": "mri",
    "target": "ct",
}
SCALES = {"HU": (-1000.0, 1500.0), "display": (0.0, 255.0), "signal": (0.0, 900.0)}


def write_run(folder: Path, unit: str, data: Path, split: dict[str, str], **more) -> None:
    low, high = SCALES[unit]
    scale = {"low": low, "high": high, "pixel_mm": 2.0}
    config = {"source": {"data": str(data)}, "seed": 0}
    facts = {**FACTS, "unit": unit, "scale": scale, "config": config, **more}
    write_json(folder / "manifest.json", facts)
    save_weights(folder / "weights.pt", build_recipe(facts))
    rows = [f"{patient},{name}" for patient, name in split.items()]
    (folder / "split.csv").write_text("\n".join(["patient,split", *rows]) + "\n")


def patients_of(data: Path, out: Path) -> dict[str, str]:
    """Pseudonym by path of the scan."""
    cli.run("index", ["--data", str(data), "--run", str(out)])
    with (out / "index.csv").open() as file:
        return {row["path"]: row["patient"] for row in csv.DictReader(file)}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(*words: str) -> dict:
    cli.run("evaluate", ["--run", "runs/it", *words])
    return read_json(Path("runs/it/evaluation/evaluation.json"))


def stopped(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as stop:
        evaluate(*words)
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_a_phantoms_truth_is_found_and_everything_is_measured(place, capsys):
    make_phantom(place / "phantom", 4, size=(32, 40, 8), format="nifti", workers=1)
    data = place / "phantom/data"
    patient = patients_of(data, place / "runs/index")
    scans = sorted(path for path in patient if path.startswith("mri"))
    split = dict.fromkeys(patient.values(), "test") | {patient[scans[-1]]: "train"}
    write_run(place / "runs/it", "HU", data, split)
    found = evaluate("--uncertainty", "1")
    assert set(found["patients"]) == {patient[path] for path in scans[:-1]}
    assert -1 <= found["figures"]["spread_spearman"]["mean"] <= 1
    wanted = {"mae", "mae_bone", "ms_ssim", "bone_dice", "slope_ratio", "edges", "structure",
              "structure_of_truth", "histogram", "histogram_of_real", "cycle"}  # fmt: skip
    assert wanted <= found["figures"].keys()
    assert found["figures"]["mae"]["unit"] == "HU"
    assert found["lesions"]["scans_without"] == 1  # tumours are dealt to every second patient
    assert any("1 patient:" in note for note in found["notes"])
    page = (place / "runs/it/evaluation/translation.html").read_text()
    assert page.count("data:image/png") == 1
    assert list((place / "runs/it/tensorboard").glob("events*"))
    capsys.readouterr()
    evaluate("--uncertainty", "1")
    assert "finished already" in capsys.readouterr().out

    write_run(place / "runs/it", "HU", data, dict.fromkeys(patient.values(), "train"))
    assert "did not see" in stopped(capsys, "--restart")


def test_a_phantoms_truth_is_of_the_sequence_that_is_made(place, capsys):
    make_phantom(
        place / "phantom", 4, size=(32, 40, 8), format="nifti", workers=1, weighting="both"
    )
    sides = {"source": "ct", "source_modality": "ct", "target_modality": "mri"}
    write_run(place / "runs/it", "signal", place / "phantom/data", {}, target="t1", **sides)
    found = evaluate("--uncertainty", "0")
    assert "truth: phantom/truth/mri/t1" in capsys.readouterr().out.replace(f"{place}/", "")
    assert len(found["patients"]) == 2
    assert found["figures"]["mae"]["mean"] > 0


@pytest.fixture
def pairs(place) -> Path:
    """Four patients of three pairs of pictures each."""
    rng = np.random.default_rng(0)
    for patient in range(4):
        for number in range(3):
            for kind in ("mri", "ct"):
                pixels = np.zeros((40, 40), np.uint8)
                pixels[6:34, 8:32] = rng.integers(60, 200, (28, 24))
                path = place / f"pairs/{kind}/patient_{patient}/slice_{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return place / "pairs"


def test_pairs_of_pictures_lie_in_the_data_themselves(pairs, place):
    patient = patients_of(pairs, place / "runs/index")
    names = sorted(set(patient.values()))
    write_run(
        place / "runs/it", "display", pairs, dict.fromkeys(names[:3], "train") | {names[3]: "val"}
    )
    found = evaluate()
    assert set(found["patients"]) == {names[3]}
    assert any("validation" in note for note in found["notes"])
    assert found["figures"]["mae"]["unit"] == "grey levels"
    assert "mae_bone" not in found["figures"]
    assert found["lesions"] is None
    json.dumps(found, allow_nan=False)


def test_without_a_truth_what_can_be_said_is_said(pairs, place, capsys):
    patient = patients_of(pairs, place / "runs/index")
    for path in (pairs / "ct").glob("*/*.png"):
        path.rename(path.with_name(f"other_{path.name}"))
    write_run(place / "runs/it", "display", pairs, dict.fromkeys(patient.values(), "test"))
    (place / "elsewhere").mkdir()
    Image.fromarray(np.full((40, 40), 9, np.uint8)).save(place / "elsewhere/x.png")
    words = ["--truth", "elsewhere"]
    assert "no scan has a truth" in stopped(capsys, *words)
    found = evaluate("--restart")
    assert found["figures"].keys() == {"structure", "histogram", "histogram_of_real", "cycle"}
    assert any("no truth" in note for note in found["notes"])


def test_patients_whom_nobody_names_are_those_of_the_training(place, capsys):
    """Of a pair, the training names both scans' patient by the first, the CT."""
    for kind in ("mri", "ct"):
        (place / "data" / kind).mkdir(parents=True)
        for number in range(2):
            pixels = np.full((40, 40), 9, np.uint8)
            pixels[9:30, 9:30] = 90 + number
            Image.fromarray(pixels).save(place / f"data/{kind}/{number}.png")
    patient = patients_of(place / "data", place / "runs/index")
    split = {patient[f"ct/{number}.png"]: "train" for number in range(2)}
    assert not set(split) & {patient[f"mri/{number}.png"] for number in range(2)}
    write_run(place / "runs/it", "display", place / "data", split, recipe="pix2pix")
    assert "did not see" in stopped(capsys)


def write_heads(data: Path, *names: str) -> None:
    """Two patients' scans: the MRI, the MRI moved on by some voxels, the CT; and a table."""
    rows = ["path,patient,modality,sequence"]
    for number in range(2):
        head = phantom_patient(number, 0, (32, 40, 6))
        moved = np.roll(head.mri.array, 3, axis=1)
        second = head.mri.with_array(moved, modality="mri", unit="signal")
        for name, volume in {"t1": head.mri, "t2": second, "ct": head.ct}.items():
            if name in names:
                write_nifti(volume, data / f"{number}_{name}.nii.gz")
                kind = "ct," if name == "ct" else f"mri,{name}"
                rows.append(f"{number}_{name}.nii.gz,{number},{kind}")
    (data / "index.csv").write_text("\n".join(rows) + "\n")


def test_sequences_of_a_visit_are_measured_together(place):
    """In 2.5D: six channels in, three out, and back to six."""
    write_heads(place / "data", "t1", "t2", "ct")
    spec = {"channels": 3, "source_channels": 6, "size": 32, "classes": [], "mirror": False}
    write_run(
        place / "runs/it", "HU", place / "data", {}, spec=spec, source="t1+t2", adjacent=3,
        source_modality="mri", target_modality="ct", sources=["t1", "t2"],
    )  # fmt: skip
    found = evaluate()
    assert found["source"] == "t1+t2"
    assert len(found["patients"]) == 2
    assert {"mae", "cycle", "structure", "histogram"} <= found["figures"].keys()


def test_a_sequence_is_held_against_the_other_and_never_against_itself(place):
    write_heads(place / "data", "t1", "t2")
    write_run(
        place / "runs/it", "signal", place / "data", {}, source="t2", target="t1",
        source_modality="mri", target_modality="mri", sources=["t2"],
    )  # fmt: skip
    found = evaluate()
    assert (found["source"], found["target"]) == ("t2", "t1")
    # Of the source itself the distance would be 0.
    assert all(one["structure_of_truth"] > 0.01 for one in found["patients"].values())


def test_a_truth_elsewhere_in_space_is_counted_and_not_compared(place):
    write_heads(place / "data", "t1", "ct")
    path = place / "data" / "1_ct.nii.gz"
    image = nibabel.load(path)
    affine = image.affine.copy()
    affine[0, 3] += 40
    moved = nibabel.Nifti1Image(np.asarray(image.dataobj), affine)
    path.unlink()
    nibabel.save(moved, path)
    write_run(
        place / "runs/it", "HU", place / "data", {}, source="mri", target="ct",
        source_modality="mri", target_modality="ct", sources=["mri"],
    )  # fmt: skip
    found = evaluate()
    assert sum(one.get("mae") is not None for one in found["patients"].values()) == 1
    assert any("their scan's grid, not compared: 1" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("truth", "expected"),
    [("pairs/mri", "no ct scans"), ("absent", "--truth absent: no such folder")],
)
def test_a_truth_of_another_kind_is_refused(pairs, place, capsys, truth, expected):
    write_run(place / "runs/it", "display", pairs, {})
    assert expected in stopped(capsys, "--data", str(pairs), "--truth", truth)


def test_grey_levels_are_no_truth_for_a_translator_to_hu(pairs, place, capsys):
    write_run(place / "runs/it", "HU", pairs, {})
    assert "a truth in display for a translator to HU" in stopped(capsys, "--data", str(pairs))


def test_a_scan_that_cannot_be_measured_costs_only_itself(place, capsys):
    write_heads(place / "data", "t1", "ct")
    path = place / "data/1_t1.nii.gz"
    image = nibabel.load(path)
    values = np.asarray(image.dataobj, np.float32).copy()
    values[0, 0, 0] = np.nan
    path.unlink()
    nibabel.save(nibabel.Nifti1Image(values, image.affine), path)
    split = dict.fromkeys(patients_of(place / "data", place / "runs/index").values(), "test")
    write_run(place / "runs/it", "HU", place / "data", split)
    found = evaluate()
    assert len(found["patients"]) == 1
    assert "scans that could not be measured: 1" in found["notes"]
    assert "1_t1" not in json.dumps(found)
    assert "not measured: 1_t1.nii.gz" in capsys.readouterr().out


def test_patients_whom_the_split_does_not_name_are_pointed_out(place):
    write_heads(place / "data", "t1", "ct")
    write_run(place / "runs/it", "HU", place / "data", {"p-0123456789ab": "train"})
    assert any("named in the run's split" in note for note in evaluate()["notes"])
    split = dict.fromkeys(patients_of(place / "data", place / "runs/index").values(), "test")
    write_run(place / "runs/it", "HU", place / "data", split)
    assert not any("the run's split" in note for note in evaluate("--restart")["notes"])


def test_lesions_are_what_the_user_says_that_the_mask_marks(place):
    head = phantom_patient(0, 2, (64, 80, 13), tumour=True)
    tumour = head.mask.array > 0
    mask = np.where(tumour, 2, tumour[::-1])
    for name, volume in (
        ("p_mr", head.mri),
        ("p_ct", head.ct),
        ("p_mask", head.mask.with_array(mask.astype(np.float32), modality="", unit="")),
    ):
        write_nifti(volume, place / f"data/{name}.nii.gz")
    table = "path,patient,modality,mask\np_mr.nii.gz,p,mri,p_mask.nii.gz\np_ct.nii.gz,p,ct,\n"
    (place / "data/index.csv").write_text(table)
    write_run(place / "runs/it", "HU", place / "data", {})
    everything = evaluate()["lesions"]["lesions"]
    named = evaluate("--mask-label", "2=tumor", "--restart")["lesions"]["lesions"]
    assert 0 < named < everything
