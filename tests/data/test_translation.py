"""Translations through the real reader and cache: each voxel tells patient, sequence and slice."""

import nibabel
import numpy as np
import pytest
from PIL import Image

from medimg_gan.data.chain_settings import DEFAULT_CHAIN, ChainConfig
from medimg_gan.data.domains import parse_domains
from medimg_gan.data.settings import DataConfig
from medimg_gan.data.split_file import read_split
from medimg_gan.data.translation import prepare_translation
from medimg_gan.errors import ConfigError, DataError, SplitError

SLICES, PATIENTS = 4, 5
KINDS = {"t1": 1.0, "t2": 2.0, "ct": 3.0}


def write(path, kind: str, patient: int, shift: float = 0.0, slices: int = SLICES) -> None:
    """A volume whose slices differ; a bright corner fixes the scale, whatever is inside."""
    values = np.zeros((8, 8, slices), np.float32)
    values[1:7, 1:7] = 100 * KINDS[kind] + 10 * patient + np.arange(slices)
    values[0, 0], values[7, 7] = 0, 1000
    if kind == "ct":
        values -= 1000
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    affine[0, 3] = shift
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


@pytest.fixture
def folder(tmp_path):
    """Five patients with T1, T2 and CT on one grid, said by a table."""
    data = tmp_path / "data"
    rows = ["path,patient,modality,sequence"]
    for patient in range(PATIENTS):
        for kind in KINDS:
            name = f"{kind}/P{patient}.nii"
            write(data / name, kind, patient)
            words = "ct," if kind == "ct" else f"mri,{kind}"
            rows.append(f"{name},P{patient},{words}")
    (data / "index.csv").write_text("\n".join(rows))
    return data


def ready(
    folder, source, target, chain=DEFAULT_CHAIN, *, seed=0, drop_duplicates=False, **settings
):
    place = folder.parent
    config = DataConfig(
        data=folder, cache=place / "cache", workers=1, drop_duplicates=drop_duplicates
    )
    domains = parse_domains(source, target)
    run = place / "-".join(["run", source, target, *map(str, [seed, *settings])])
    run.mkdir(exist_ok=True)
    return prepare_translation(
        config, domains, size=32, seed=seed, folder=run, chain=chain, **settings
    )


def middles(dataset) -> np.ndarray:
    """(N, C) encoded values in the middle of each channel."""
    return dataset.images()[:, :, 16, 16]


def test_sequences_are_channels_and_each_has_its_neighbours(folder):
    prepared = ready(folder, "t1+t2", "ct")
    source, target = prepared.domains
    for split in ("train", "val", "test"):
        images = middles(prepared.domain(split, source, adjacent=3))
        assert images.shape[1] == 6
        single = middles(prepared.domain(split, source))
        t1, t2 = single.reshape(-1, SLICES, 2).transpose(2, 0, 1)
        assert (t2 > t1).all()  # 200 and more against 100 and more
        for channels, whole in ((images[:, :3], t1), (images[:, 3:], t2)):
            around = np.stack([whole[:, [0, 0, 1, 2]], whole, whole[:, [1, 2, 3, 3]]], axis=-1)
            np.testing.assert_array_equal(channels, around.reshape(-1, 3))
        assert middles(prepared.domain(split, target, adjacent=3)).shape[1] == 3


def test_pairs_show_one_slice_of_one_patient_and_their_patients_are_in_one_part(folder):
    prepared = ready(folder, "t1", "ct", paired=True)
    seen = []
    for split in ("train", "val", "test"):
        source, target = (prepared.domain(split, domain) for domain in prepared.domains)
        assert len(source) == len(target) > 0
        assert (source.patients == target.patients).all()
        assert (source.table["index"] == target.table["index"]).all()
        seen.append(set(source.patients))
    assert sum(map(len, seen)) == len(set.union(*seen)) == PATIENTS


def test_a_paired_training_holds_the_same_patients_back_as_an_unpaired_one(folder):
    splits = []
    for paired in (False, True):
        rows = ready(folder, "t1", "ct", paired=paired).cache.rows
        splits.append(dict(zip(rows["patient"], rows["split"], strict=True)))
    assert splits[0] == splits[1]


def test_true_targets_of_another_folder_become_pairs(folder, tmp_path):
    truth = tmp_path / "truth"
    for patient in range(4):  # the fifth has none
        write(truth / "ct" / f"P{patient}.nii", "ct", patient)
    for path in (folder / "ct").iterdir():
        path.unlink()
    prepared = ready(folder, "t1", "ct", paired=True, truth=truth)
    rows = prepared.cache.rows
    assert rows["patient"].nunique() == 4
    assert (rows.groupby("visit")["patient"].nunique() == 1).all()
    assert (rows.groupby(["visit", "index"])["domain"].nunique() == 2).all()


def test_the_modality_of_the_sources_is_not_the_truths(folder, tmp_path):
    """A folder's own name says nothing of what is in it, so --modality has to."""
    config = DataConfig(data=folder / "t1", modality="mri", cache=tmp_path / "cache", workers=1)
    prepared = prepare_translation(
        config, parse_domains("mri", "ct"), size=32, seed=0, folder=tmp_path, paired=True,
        truth=folder / "ct",
    )  # fmt: skip
    assert prepared.cache.rows["patient"].nunique() == PATIENTS


def test_patients_without_all_sequences_are_counted_and_left_out(folder, capsys):
    (folder / "t2/P3.nii").unlink()
    write(folder / "t2/P1.nii", "t2", 1, slices=3)
    prepared = ready(folder, "t1+t2", "ct")
    lead = prepared.cache.rows.query("domain == 't1+t2' and channel == 0")
    assert lead["patient"].nunique() == PATIENTS - 2
    assert prepared.cache.rows.query("domain == 'ct'")["patient"].nunique() == PATIENTS
    assert "left out: 2 t1, 1 t2 scans of 2 patients" in capsys.readouterr().out


def test_scans_elsewhere_in_space_are_no_channels_of_one_image(folder, capsys):
    write(folder / "t2/P2.nii", "t2", 2, shift=3.0)
    prepared = ready(folder, "t1+t2", "ct")
    lead = prepared.cache.rows.query("domain == 't1+t2' and channel == 0")
    assert lead["patient"].nunique() == PATIENTS - 1
    assert "1 visits whose scans lie on different grids" in capsys.readouterr().out


def test_a_name_that_the_data_lack_brings_what_they_hold_and_the_nearest(folder):
    with pytest.raises(DataError, match=r"no t1ce scans(.|\n)*t1 \(5\)(.|\n)*did you mean t1 \?"):
        ready(folder, "t1ce", "ct")
    with pytest.raises(DataError, match="no xray scans"):
        ready(folder, "t1", "xray")


def test_pairs_that_are_not_there_are_asked_for_in_vain(folder):
    rows = (folder / "index.csv").read_text().replace("ct/P", "ct/Q")
    lines = [line.replace(",P", ",Q") if line.startswith("ct/") else line for line in rows.split()]
    (folder / "index.csv").write_text("\n".join(lines))
    for path in (folder / "ct").iterdir():
        path.rename(path.with_name(path.name.replace("P", "Q")))
    with pytest.raises(DataError, match=r"5 with t1, 5 with ct, 0 with all(.|\n)*--truth"):
        ready(folder, "t1", "ct", paired=True)


def test_pairs_with_a_choice_of_sequences_are_asked_to_name_one(folder):
    with pytest.raises(DataError, match=r"5 with all(.|\n)*--src t1: mri is t1 and t2 here"):
        ready(folder, "mri", "ct", paired=True)


def test_chains_that_would_pull_channels_apart_are_refused(folder):
    with pytest.raises(ConfigError, match="crop"):
        ready(folder, "t1", "ct", ChainConfig(crop="body"), paired=True)
    with pytest.raises(ConfigError, match="nyul"):
        ready(folder, "t1+t2", "ct", ChainConfig(intensity="nyul"))


def test_pictures_pair_by_patient_and_name(tmp_path):
    data, rng = tmp_path / "pictures", np.random.default_rng(0)
    for patient in range(4):
        for number in range(2 + patient):
            for kind in ("mri", "ct"):
                path = data / kind / f"patient_{patient:02d}" / f"slice_{number:03d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(1, 255, (8, 8), dtype=np.uint8)).save(path)
    (data / "mri/patient_03/slice_004.png").unlink()
    prepared = ready(data, "mri", "ct", paired=True)
    counts = prepared.counts()
    assert sum(part["mri"] for part in counts.values()) == 2 + 3 + 4 + 4
    assert all(part["mri"] == part["ct"] > 0 for part in counts.values())
    assert sum(part["patients"] for part in counts.values()) == 4
    for _, stack in prepared.cache.rows.groupby(["domain", "stack"]):
        np.testing.assert_allclose(stack["position"], np.linspace(0, 1, len(stack)))


def test_scans_of_one_name_are_held_back_together_though_nobody_names_patients(tmp_path, capsys):
    for number in range(8):
        write(tmp_path / "data" / "mri" / f"scan{number}.nii", "t1", number)
        write(tmp_path / "data" / "ct" / f"scan{number}.nii", "ct", number)
    prepared = ready(tmp_path / "data", "mri", "ct")
    assert "count as one patient" in capsys.readouterr().out
    sides = [
        {prepared.domain(part, domain, 1).patients[0] for domain in prepared.domains}
        for part in ("val", "test")
    ]
    split = read_split(tmp_path / "run-mri-ct-0" / "split.csv")
    assert len(split) == 8
    assert all(split[patient] != "train" for side in sides for patient in side)


@pytest.fixture
def shared(folder):
    """The last patient's T1 has one slice of the first one's."""
    last = nibabel.load(folder / f"t1/P{PATIENTS - 1}.nii")
    values = last.get_fdata()
    values[..., 1] = nibabel.load(folder / "t1/P0.nii").get_fdata()[..., 1]
    nibabel.save(nibabel.Nifti1Image(values, last.affine), last.get_filename())
    return folder


def test_patients_who_share_a_picture_are_in_one_part(shared, capsys):
    parts = set()
    for seed in range(6):
        prepared = ready(shared, "t1", "ct", seed=seed)
        split = read_split(shared.parent / f"run-t1-ct-{seed}/split.csv")
        assert len(split) == PATIENTS
        rows = prepared.cache.rows
        names = rows.groupby("patient")["split"].agg(set)
        assert len(names) == PATIENTS - 1
        assert all(len(found) == 1 for found in names)
        scans = rows[rows["domain"] == "t1"].groupby("scan")
        first, *_, last = (own["split"].iloc[0] for _, own in scans)
        assert first == last
        parts.add(first)
        assert {"train", "val", "test"} == {*split.values()}
    assert len(parts) > 1
    assert "2 patients (or files) that share some count as 1" in capsys.readouterr().out


def test_a_given_split_with_a_picture_in_two_parts_is_refused(shared):
    table = (shared / "index.csv").read_text().splitlines()
    parts = [
        "split",
        *("train", "train", "train", "val", "val", "val", *["train"] * 6, *["test"] * 3),
    ]
    (shared / "index.csv").write_text(
        "\n".join(f"{line},{part}" for line, part in zip(table, parts, strict=True))
    )
    with pytest.raises(SplitError, match="1 of 8 test slices are exact copies of train ones"):
        ready(shared, "t1", "ct")
    prepared = ready(shared, "t1", "ct", drop_duplicates=True)
    assert prepared.counts()["train"] == {"t1": 3 * SLICES - 1, "ct": 3 * SLICES, "patients": 3}


def test_pictures_are_in_the_order_of_their_numbers(tmp_path):
    for patient in range(4):
        for kind in ("mri", "ct"):
            place = tmp_path / "data" / kind / f"patient_{patient:02d}"
            place.mkdir(parents=True)
            for number in (1, 2, 9, 10, 11):
                pixels = np.full((8, 8), 20 * number + patient, np.uint8)
                pixels[0] = 0
                Image.fromarray(pixels).save(place / f"slice_{number}.png")
    prepared = ready(tmp_path / "data", "mri", "ct")
    dataset = prepared.domain("train", prepared.domains[0], 1)
    for patient in np.unique(dataset.patients):
        own = dataset.patients == patient
        brightness, position = middles(dataset)[own, 0], dataset.position[own]
        assert (brightness.argsort() == position.argsort()).all()
        assert (position.min(), position.max()) == (0, 1)


def test_a_side_that_mixes_sequences_says_so(folder, capsys):
    ready(folder, "mri", "ct")
    assert "--src mri mixes sequences: t1 (5), t2 (5)" in capsys.readouterr().out
    ready(folder, "t1", "ct")
    assert "mixes" not in capsys.readouterr().out
