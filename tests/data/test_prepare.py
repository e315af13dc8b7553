import nibabel
import numpy as np
import pytest
import torch

from medimg_gan.data.chain_settings import DEFAULT_CHAIN, ChainConfig
from medimg_gan.data.prepare import prepare
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import ConfigError, DataError, LabelError, SplitError
from medimg_gan.modalities import Scale
from medimg_gan.modalities.nyul import COLUMNS

MASK = "{patient}/{visit}_Mask.nii.gz"


@pytest.fixture
def settings(nifti_folder, tmp_path):
    return DataConfig(data=nifti_folder, mask=MASK, cache=tmp_path / "cache")


def run(settings, tmp_path, modalities=(), must_have="", seed=0, chain=DEFAULT_CHAIN):
    folder = tmp_path / "run"
    return prepare(
        settings, modalities, size=32, seed=seed, folder=folder, must_have=must_have, chain=chain
    )


def test_no_patient_is_in_two_splits_and_every_slice_in_one(settings, tmp_path):
    prepared = run(settings, tmp_path, must_have="tumor")
    patients = [set(prepared.dataset(split).patients) for split in ("train", "val", "test")]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 9
    assert sum(len(prepared.dataset(split)) for split in ("train", "val", "test")) == 90


def test_slices_are_labelled_by_their_own_mask_area(settings, tmp_path):
    prepared = run(settings, tmp_path, must_have="tumor")
    assert prepared.classes == ("no-tumor", "tumor")
    rows = prepared.cache.rows
    assert ((rows["label"] == "tumor") == (rows["area"] >= 10)).all()
    assert sum(counts["tumor"] for counts in prepared.counts().values()) == 6 * 2 * 2


def test_every_split_has_the_minority(settings, tmp_path):
    counts = run(settings, tmp_path, must_have="tumor").counts()
    assert all(counts[split]["tumor"] > 0 for split in counts)


def test_a_resumed_run_refuses_changed_data(settings, tmp_path, nifti_folder):
    run(settings, tmp_path)
    run(settings, tmp_path)
    for file in (nifti_folder / "00").iterdir():
        file.unlink()
    with pytest.raises(SplitError, match="not those with which"):
        run(settings, tmp_path)


def test_an_unknown_class_lists_the_known(settings, tmp_path):
    with pytest.raises(LabelError, match="no-tumor, tumor"):
        run(settings, tmp_path, must_have="tumour")


def test_a_class_without_any_labels_says_how_to_add_them(nifti_folder, tmp_path):
    with pytest.raises(LabelError, match=r"labels\.csv"):
        run(DataConfig(data=nifti_folder, cache=tmp_path / "c"), tmp_path, must_have="tumor")


def test_a_modality_that_is_not_there_is_named(settings, tmp_path):
    with pytest.raises(DataError, match="no ct scans"):
        run(settings, tmp_path, modalities=("mri", "ct"))


def test_a_split_that_leaks_is_refused(class_folder, tmp_path):
    rows = ["file,label,patient,split"]
    splits = ["train", "val", "test"]
    rows += [f"cat/{n}.png,cat,p{n // 4},{splits[n % 3]}" for n in range(12)]
    (class_folder / "labels.csv").write_text("\n".join(rows))
    for path in (class_folder / "dog").iterdir():
        path.unlink()
    with pytest.raises(SplitError, match="3 of 3 patients"):
        run(DataConfig(data=class_folder, cache=tmp_path / "c"), tmp_path)


def test_a_given_split_is_kept(class_folder, tmp_path):
    rows = ["file,label,split"]
    for label, count in (("cat", 12), ("dog", 6)):
        for n in range(count):
            rows.append(f"{label}/{n}.png,{label},{['train', 'train', 'val', 'test'][n % 4]}")
    (class_folder / "index.csv").write_text("\n".join(rows))
    prepared = run(DataConfig(data=class_folder, cache=tmp_path / "c"), tmp_path)
    assert prepared.counts()["train"] == {"cat": 6, "dog": 4, "patients": 10}
    assert not prepared.patients_known


def test_a_missing_val_part_is_taken_from_the_training_patients(class_folder, tmp_path, capsys):
    for part in ("Training", "Testing"):
        for label in ("cat", "dog"):
            (class_folder / part / label).mkdir(parents=True)
    for path in [*class_folder.glob("cat/*.png"), *class_folder.glob("dog/*.png")]:
        part = "Testing" if int(path.stem) % 3 == 0 else "Training"
        path.rename(class_folder / part / path.parent.name / path.name)
    settings = DataConfig(data=class_folder, cache=tmp_path / "c")
    counts = run(settings, tmp_path, must_have="dog").counts()
    assert counts["test"] == {"cat": 4, "dog": 2, "patients": 6}
    assert counts["train"]["cat"] + counts["val"]["cat"] == 8
    assert counts["val"]["dog"] == 1
    assert "a fifth" in capsys.readouterr().out


def test_labels_are_not_asked_for_where_they_are_not_used(class_folder, tmp_path):
    rows = ["file,label"] + [f"cat/{n}.png,cat" for n in range(12)]
    (class_folder / "labels.csv").write_text("\n".join(rows))
    (class_folder / "dog").rename(class_folder / "P01")
    settings = DataConfig(data=class_folder, cache=tmp_path / "c")
    folder = tmp_path / "other"
    whole = prepare(settings, (), size=32, seed=0, folder=folder, labelled=False)
    assert (whole.classes, len(whole.cache.rows)) == ((), 18)


def test_what_was_left_out_is_named(nifti_folder, tmp_path, capsys, settings):
    (nifti_folder / "broken.nii.gz").write_bytes(b"x")
    run(settings, tmp_path)
    assert "broken.nii.gz" in capsys.readouterr().out


def test_batches_bring_the_numbers_asked_for_standardised(settings, tmp_path, nifti_folder):
    rows = ["patient,age"] + [f"{patient:02d},{30 + 5 * patient}" for patient in range(9)]
    (nifti_folder / "labels.csv").write_text("\n".join(rows))
    folder = tmp_path / "run"
    prepared = prepare(settings, (), size=32, seed=0, folder=folder, condition=("position", "age"))
    position, age = prepared.numbers
    assert (position.low, position.high) == (0, 1)
    for split in ("train", "val", "test"):
        dataset = prepared.dataset(split)
        batch = dataset.gather(np.arange(len(dataset)))
        expected = [2 * batch["position"] - 1]
        years = torch.tensor(dataset.table["number age"].to_numpy())
        expected += [((2 * years - age.low - age.high) / (age.high - age.low)).clip(-1.5, 1.5)]
        torch.testing.assert_close(batch["numbers"], torch.stack(expected, dim=1).float())
    plain = prepare(settings, (), size=32, seed=0, folder=folder).dataset("train")
    assert "numbers" not in plain.gather(np.arange(2))


NYUL = ChainConfig(intensity="nyul")


def bend(folder, patients):
    """Change the contrast of some patients' scans (a power keeps 0 and the order of values)."""
    for patient in patients:
        for path in (folder / patient).glob("*_T1.nii.gz"):
            image = nibabel.load(path)
            values = image.get_fdata() ** 3 / 1e4
            nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), image.affine), path)


def test_the_standard_scale_is_learnt_from_training_patients_alone(
    settings, tmp_path, nifti_folder
):
    before = run(settings, tmp_path, chain=NYUL)
    rows = before.cache.rows
    # Patients are pseudonyms here, in the order of their folders.
    folders = [f"{number:02d}" for number in range(9)]
    parts = rows.drop_duplicates("patient", keep="first")["split"].tolist()
    of_part = {
        part: [folder for folder, own in zip(folders, parts, strict=True) if own == part]
        for part in ("train", "val", "test")
    }
    bend(nifti_folder, of_part["val"] + of_part["test"])
    held_out_changed = run(settings, tmp_path, chain=NYUL)
    assert held_out_changed.standard == before.standard
    old, new = (each.dataset("test").images() for each in (before, held_out_changed))
    assert not np.array_equal(old, new)
    bend(nifti_folder, of_part["train"][:1])
    training_changed = run(settings, tmp_path, chain=NYUL)
    assert training_changed.standard != before.standard


def test_bent_scans_end_with_the_same_histogram_after_standardising(
    settings, tmp_path, nifti_folder
):
    bend(nifti_folder, [f"{number:02d}" for number in range(0, 9, 2)])
    medians = {}
    for name, chain in (("percentile", DEFAULT_CHAIN), ("nyul", NYUL)):
        dataset = run(settings, tmp_path, chain=chain).dataset("train")
        shown = [image[image > -0.9] for image in dataset.images()]
        medians[name] = np.std([np.median(values) for values in shown])
    assert medians["nyul"] < 0.25 * medians["percentile"]


def test_what_is_kept_with_each_slice_leads_back_to_its_raw_values(
    settings, tmp_path, nifti_folder
):
    bend(nifti_folder, ["04"])
    # As large as the scans' planes, so that nothing is resized.
    prepared = prepare(settings, (), size=20, seed=0, folder=tmp_path / "run", chain=NYUL)
    dataset = prepared.dataset("train")
    assert dataset.standard is not None
    own = torch.from_numpy(dataset.table[list(COLUMNS)].to_numpy(np.float32))
    encoded = dataset.standard.invert(torch.from_numpy(dataset.images()), own).numpy()
    files = sorted(nifti_folder.rglob("*_T1.nii.gz"), key=lambda path: path.as_posix())
    for row, picture in zip(dataset.table.itertuples(index=False), encoded[:, 0], strict=True):
        scale = Scale(row.low, row.high)
        raw = nibabel.load(files[row.scan]).get_fdata()[:, :, row.index]
        expected = np.clip(raw.T, scale.low, scale.high)
        np.testing.assert_allclose(scale.decode(picture)[:, 2:18], expected, atol=0.02)


def test_no_standard_is_learnt_where_none_is_asked_for(settings, tmp_path):
    prepared = run(settings, tmp_path)
    assert prepared.standard is None
    assert not [name for name in prepared.cache.rows if name.startswith("landmark")]


def test_a_chain_for_another_modality_is_refused_before_anything_is_decoded(settings, tmp_path):
    with pytest.raises(ConfigError, match=r"--transform\.window brain"):
        run(settings, tmp_path, chain=ChainConfig(window="brain"))
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").rglob("*.int16"))
