import pytest

from medimg_gan.data.prepare import prepare
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import DataError, LabelError, SplitError

MASK = "{patient}/{visit}_Mask.nii.gz"


@pytest.fixture
def settings(nifti_folder, tmp_path):
    return DataConfig(data=nifti_folder, mask=MASK, cache=tmp_path / "cache")


def run(settings, tmp_path, modalities=(), must_have="", seed=0):
    return prepare(
        settings, modalities, size=32, seed=seed, folder=tmp_path / "run", must_have=must_have
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
