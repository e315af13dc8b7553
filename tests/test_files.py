"""What a kill left half-written is cleared, and nothing else."""

from medimg_gan.files import clear_unfinished, clear_unfinished_of, written_aside


def test_only_what_was_being_written_in_the_named_folders_is_cleared(tmp_path):
    users = [".htaccess.bak", ".abcdefgh.png", "weights.pt", "deep/.unfinished-0_weights.pt"]
    for name in users:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / "checkpoints").mkdir()
    left = []
    for place in (tmp_path, tmp_path / "checkpoints"):
        with written_aside(place / "step.pt") as aside:
            aside.write_text("half")
            left.append(aside)
    for path in left:  # as a kill would leave it, under the name that it was written as
        path.write_text("half")
    clear_unfinished(tmp_path, tmp_path / "checkpoints", tmp_path / "nowhere")
    assert not any(path.exists() for path in left)
    assert all((tmp_path / name).read_text() == "mine" for name in users)
    assert (tmp_path / "checkpoints/step.pt").exists()


def test_of_one_file_only_its_own_leftovers_are_cleared(tmp_path):
    kept = [".unfinished-abcdefgh.other.pt", ".unfinished-abcdefgh.my.net.pt", "x.net.pt"]
    left = tmp_path / ".unfinished-abcdefgh.net.pt"
    for path in (left, *(tmp_path / name for name in kept)):
        path.write_text("half")
    clear_unfinished_of(tmp_path / "net.pt")
    clear_unfinished_of(tmp_path / "nowhere" / "net.pt")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
