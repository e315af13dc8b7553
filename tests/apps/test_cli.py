"""Words on a command line: help, mistakes, and what they cost."""

import subprocess
import sys
from pathlib import Path

import pytest

from medimg_gan.apps import cli

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "monai", "pandas", "SimpleITK", "matplotlib", "scipy", "sklearn")


def stopped(verb: str, words: str, capsys) -> tuple[int, str]:
    """Exit status and what went to the error stream."""
    with pytest.raises(SystemExit) as stop:
        cli.run(verb, words.split())
    return int(stop.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize("verb", cli.VERBS)
def test_help_is_given_without_loading_anything_heavy(verb):
    code = (
        "import sys\nfrom medimg_gan.apps import cli\n"
        f"try: cli.run({verb!r}, ['--help'])\n"
        f"except SystemExit: sys.exit(','.join(n for n in {HEAVY} if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == ""
    assert "usage:" in done.stdout


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_has_a_script_of_at_most_ten_lines(verb):
    lines = (ROOT / "scripts" / f"{verb.replace('-', '_')}.py").read_text().splitlines()
    assert len(lines) <= 10
    assert f'cli.run("{verb}")' in lines[-1]


@pytest.mark.parametrize(
    ("verb", "words", "expected"),
    [
        ("train-cyclegan", "--src mri --tgt mri", "both 'mri'"),
        ("train-cyclegan", "--src mri --tgt pet", "'pet'"),
        ("train-cyclegan", "--src t1 --tgt mri", "same scans"),
        ("train-cyclegan", "--src mri --tgt ct --adjacent 2", "odd"),
        ("train-cyclegan", "--src mri --tgt ct --truth /no/such", "/no/such"),
        ("train-cyclegan", "--src mri", "--tgt"),
        ("train-cyclegan", "--srcc mri --tgt ct", "--srcc"),
        ("train-gan", "--recipe gcan", "cgan"),
        ("train-gan", "--size 100", "32, 64, 128"),
        ("train-gan", "--steps 0", "--steps"),
        ("train-gan", "--steps many", "many"),
        ("train-gan", "--minutes nan", "--minutes"),
        ("train-gan", "--seed -1", "--seed -1: must be 0 or more"),
        ("train-gan", "--data /no/such/folder", "/no/such/folder"),
        ("train-gan", "--engine.devices 0", "devices"),
        ("train-gan", "--config nowhere.yaml", "nowhere.yaml"),
        ("augment", "", "--minority-class"),
        ("augment", "--minority-class x --ratios -1", "--ratios"),
        ("augment", "--minority-class x --ratios nan", "--ratios"),
        ("augment", "--minority-class x --ratios 1 inf", "--ratios"),
        ("augment", "--minority-class x --specificity 2", "--specificity"),
        ("augment", "--minority-class x --keep-minority 0", "--keep-minority 0.1"),
        ("augment", "--minority-class x --features inception", "efficientnet-lite0"),
        ("report", "--runs runs/one", "two studies or more"),
        ("report", "--runs runs/one ./runs/one", "stands twice"),
        ("report", "--runs runs/none runs/other", "no such folder"),
        ("augment", "--minority-class x --folds 0", "--folds"),
        ("augment", "--minority-class x --folds 2 --gan g", "cannot serve 2 folds"),
        ("synthesize", "--run runs/none --out x", "runs/none"),
        ("translate", "--run runs/none --out x", "runs/none"),
        ("synthesize", "--run runs/none --out x --count 0", "--count"),
        ("synthesize", "--run runs/none --out x --truncation 2", "--truncation"),
        ("synthesize", "--run runs/none --out x --move one=2", "NUMBER=AMOUNT"),
        ("explore", "--run runs/none --out x", "runs/none"),
        ("explore", "--run runs/none --out x --what gird", "grid"),
        ("explore", "--run runs/none --out x --what project", "--image"),
        ("explore", "--run runs/none --out x --truncation -1", "--truncation"),
        ("explore", "--run runs/none --out x --what interpolate --count 1", "two seeds"),
        ("evaluate", "--run runs/none", "runs/none"),
        ("evaluate", "--run runs/none --count 5", "--count"),
        ("evaluate", "--run runs/none --features random random", "--features"),
        ("export", "--run runs/none --out x", "runs/none"),
        ("export", "--run runs/none --out .", "is a folder"),
        ("export", "--run runs/none --out x --format keras", "keras"),
        ("index", "", "--data"),
        ("index", "--data /no/such/folder", "/no/such/folder"),
    ],
)
def test_a_mistake_gets_one_message_and_status_2(
    verb, words, expected, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    status, message = stopped(verb, words, capsys)
    assert status == 2
    assert expected in message
    assert "Traceback" not in message


def test_a_mistake_can_be_corrected_without_restart(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for path in ("/no/such/folder", "/not/this/either"):
        _, message = stopped("train-gan", f"--data {path}", capsys)
        assert f"{path}: no such" in message


def test_an_unknown_verb_lists_the_known(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["medimg-gan", "agument"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "augment" in capsys.readouterr().err


def test_a_full_disk_is_a_message(monkeypatch, capsys, tmp_path):
    from medimg_gan.apps import index

    def full(_):
        raise OSError(28, "No space left on device", "runs/x")

    monkeypatch.setattr(index, "main", full)
    status, message = stopped("index", f"--data {tmp_path}", capsys)
    assert status == 2
    assert "No space left" in message


def test_a_bug_is_not_dressed_up_as_a_users_mistake(monkeypatch, tmp_path):
    from medimg_gan.apps import index

    def broken(_):
        raise ZeroDivisionError

    monkeypatch.setattr(index, "main", broken)
    with pytest.raises(ZeroDivisionError):
        cli.run("index", ["--data", str(tmp_path)])


def test_a_reader_that_has_seen_enough_is_no_error(class_folder, tmp_path):
    script = f"{sys.executable} {ROOT / 'scripts' / 'index.py'} --data {class_folder} | head -1"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith("18 scans")
    assert "Traceback" not in done.stderr
