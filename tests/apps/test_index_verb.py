"""``index`` as a user meets it: what it prints, repeats, keeps and refuses."""

import contextlib
import re

import pandas as pd
import pytest

from medimg_gan.apps import cli

MASK = ["--mask", "{patient}/{visit}_Mask.nii.gz"]
TABLE = "runs/index-scans/index.csv"


@pytest.fixture
def place(nifti_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def index(capsys, *words: str, data: str = "scans") -> str:
    """What is printed, without lines of progress (which depend on time)."""
    cli.run("index", ["--data", data, *words])
    lines = capsys.readouterr().out.splitlines(keepends=True)
    return "".join(line for line in lines if not re.match(r"[\w ]+: \d+/\d+ \w+, ", line))


def stopped(capsys, *words: str) -> tuple[str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.run("index", list(words))
    assert stop.value.code == 2
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return told.out, told.err


def test_the_table_counts_labels_and_fits_the_screen(place, capsys):
    told = index(capsys, *MASK)
    assert told.startswith("18 scans of 9 patients, 0 problems")
    lines = told.splitlines()
    assert max(map(len, lines[: lines.index("") + 20])) <= 100
    (row,) = [line for line in lines if line.startswith("01/Pre_Scan_T1.nii.gz")]
    assert re.search(r"p-\w{12} +mri +16x20 +2x2x5 +5 +2 tumor of 5$", row)
    assert "no-tumor: 66, tumor: 24" in told


def test_problems_are_grouped_with_what_to_do(place, capsys):
    for number in range(3):
        (place / "scans" / f"{number}.nii.gz").write_bytes(b"x")
    told = index(capsys)
    assert "left out (21):" in told
    assert told.index("18 x named like a mask") < told.index("3 x not a NIfTI file")
    assert "to do: say whose mask it is" in told
    assert "00/Post_Mask.nii.gz, 00/Pre_Mask.nii.gz, 01/Post_Mask.nii.gz ... and 15 more" in (
        " ".join(told.split())
    )


def test_a_folder_with_problems_only_lists_them_and_fails(place, capsys):
    (place / "bad").mkdir()
    (place / "bad" / "a.nii").write_bytes(b"x")
    out, err = stopped(capsys, "--data", "bad")
    assert "1 x not a NIfTI file" in out
    assert "to do:" in out
    assert "nothing readable" in err
    table = pd.read_csv(place / "runs/index-bad/index.csv")
    assert table["path"].tolist() == ["a.nii"]


def test_an_empty_folder_or_a_file_is_said(place, capsys):
    (place / "empty").mkdir()
    assert "nothing readable" in stopped(capsys, "--data", "empty")[1]
    assert "--data scans/00" in stopped(capsys, "--data", "scans/00/Pre_Mask.nii.gz")[1]


@pytest.mark.parametrize("typo", ["scnas", "Scans", "scans/01x/y", "scan"])
def test_a_misspelt_folder_gets_a_suggestion(place, capsys, typo):
    (place / "other").mkdir()
    assert "did you mean" in stopped(capsys, "--data", typo)[1]


def test_the_same_command_or_another_flag_may_be_repeated(place, capsys):
    first = index(capsys, *MASK)
    assert index(capsys, *MASK) == first
    assert "18 x named like a mask" in index(capsys)  # other settings; nothing of the user's lost
    index(capsys, *MASK, "--html")
    assert (place / "runs/index-scans/contact_sheet.html").exists()
    assert index(capsys, *MASK) == first
    assert (place / "runs/index-scans/contact_sheet.html").exists()


def test_a_users_changes_are_not_written_over(place, capsys):
    index(capsys, *MASK)
    table = pd.read_csv(place / TABLE, keep_default_na=False)
    table.iloc[:4].to_csv(place / TABLE, index=False, sep=";", encoding="utf-8-sig")
    assert "you have changed it" in stopped(capsys, "--data", "scans", *MASK)[1]
    assert "you have changed it" in stopped(capsys, "--data", "scans")[1]
    assert index(capsys, data=TABLE).startswith("4 scans of 2 patients, 0 problems")
    index(capsys, *MASK, "--restart")
    assert len(pd.read_csv(place / TABLE)) == 18


def test_a_users_own_file_in_the_run_is_not_deleted(place, capsys):
    index(capsys, *MASK)
    (place / "runs/index-scans/notes.txt").write_text("mine")
    assert "other settings" in stopped(capsys, "--data", "scans")[1]
    assert (place / "runs/index-scans/notes.txt").exists()


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"modality": "mir"}, "did you mean mri"),
        ({"mask": "gone.nii.gz"}, "the mask of line 2 is not there"),
        ({"path": "elsewhere.nii", "series": ""}, "line 2"),
    ],
)
def test_a_mistake_in_an_edited_table_is_named(place, capsys, edit, said):
    index(capsys, *MASK)
    table = pd.read_csv(place / TABLE, keep_default_na=False, dtype=str)
    for column, value in edit.items():
        table.loc[0, column] = value
    table.to_csv(place / TABLE, index=False)
    with contextlib.suppress(SystemExit):
        cli.run("index", ["--data", TABLE])
    told = capsys.readouterr()
    assert said in told.out + told.err


def test_a_misspelt_column_is_named(place, capsys):
    (place / "scans" / "labels.csv").write_text("path,lable\n00/Pre_Scan_T1.nii.gz,ill\n")
    assert "did you mean 'label'" in stopped(capsys, "--data", "scans")[1]


def test_notes_and_layouts_are_shown(tmp_path, monkeypatch, capsys):
    import nibabel
    import numpy as np

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for case in ("BraTS20_Training_001", "BraTS20_Training_002"):
        folder = tmp_path / "scans" / case
        folder.mkdir(parents=True)
        for what, shape in (("t1", (8, 8, 3)), ("flair", (8, 8, 3, 2)), ("seg", (8, 8, 3))):
            values = rng.uniform(0, 9, shape) if what != "seg" else np.zeros(shape)
            image = nibabel.Nifti1Image(np.float32(values), np.diag([2, 2, 4, 1]))
            nibabel.save(image, folder / f"{case}_{what}.nii.gz")
    told = index(capsys)
    assert "recognised: BraTS 2020 layout, 2 patients, 4 scans" in told
    assert "2 x 4D: one volume of several is read" in told
    assert "mri flair" in told
    table = pd.read_csv(tmp_path / TABLE, keep_default_na=False)
    assert table["notes"].str.contains("4D").sum() == 2
    assert sorted(set(table["sequence"])) == ["flair", "t1"]
