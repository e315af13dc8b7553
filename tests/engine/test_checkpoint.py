import json

import pytest
import torch
from toy_gan import ToyConfig, ToyGan

from medimg_gan.engine.checkpoint import Checkpoints, load_weights, save_weights
from medimg_gan.errors import CheckpointError
from medimg_gan.recipes.base import Spec


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 30):
        checkpoints.save(step, {"value": torch.tensor([float(step)]), "step": step})
    assert names(tmp_path) == [
        "step_0000002.json", "step_0000002.pt", "step_0000030.json", "step_0000030.pt",
    ]  # fmt: skip
    content = checkpoints.load(checkpoints.newest())
    assert content["step"] == 30
    assert content["value"].tolist() == [30.0]


@pytest.mark.parametrize("damage", ["truncated", "one bit", "no json", "empty json"])
def test_a_damaged_one_is_removed_and_the_one_before_taken(tmp_path, capsys, damage):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (1, 2):
        checkpoints.save(step, {"value": torch.ones(1000)})
    path = tmp_path / "step_0000002.pt"
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[:1000])
    elif damage == "one bit":
        content[2000] ^= 1
        path.write_bytes(content)
    elif damage == "no json":
        path.with_suffix(".json").unlink()
    else:
        path.with_suffix(".json").write_text("")
    assert checkpoints.newest() == tmp_path / "step_0000001.pt"
    assert "step_0000002.pt: damaged" in capsys.readouterr().out
    assert names(tmp_path) == ["step_0000001.json", "step_0000001.pt"]


def test_nothing_is_found_where_nothing_is(tmp_path):
    assert Checkpoints(tmp_path / "absent", keep=1).newest() is None
    assert Checkpoints(tmp_path / "absent", keep=1).last is None


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, {"value": torch.ones(3)})

    def full(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match="No space left"):
        checkpoints.save(2, {"value": torch.ones(3)})
    assert names(tmp_path) == ["step_0000001.json", "step_0000001.pt"]


def test_what_a_kill_left_half_written_is_cleared(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, {})
    (tmp_path / ".step_0000002.pt.x8h.pt").write_bytes(b"half")
    checkpoints.newest()
    assert names(tmp_path) == ["step_0000001.json", "step_0000001.pt"]


def test_code_in_a_file_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    path = tmp_path / "step_0000001.pt"
    torch.save({"format": 1, "value": Evil()}, path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        Checkpoints(tmp_path, 1).load(path)


def test_another_format_is_refused(tmp_path):
    path = tmp_path / "step_0000001.pt"
    torch.save({"format": 99}, path)
    with pytest.raises(CheckpointError, match="format 99, expected 1"):
        Checkpoints(tmp_path, 1).load(path)


def test_weights_go_out_and_come_back(tmp_path):
    one, other = (ToyGan(ToyConfig(), Spec()) for _ in range(2))
    save_weights(tmp_path / "weights.pt", one)
    critic = other.critic[1].weight.clone()
    load_weights(tmp_path / "weights.pt", other)
    assert torch.equal(one.generator[0].weight, other.generator[0].weight)
    assert torch.equal(other.critic[1].weight, critic)  # not averaged: not for users


def test_weights_that_do_not_fit_say_what_was_expected(tmp_path):
    recipe = ToyGan(ToyConfig(), Spec())
    save_weights(tmp_path / "weights.pt", recipe)
    recipe.generator[0] = torch.nn.Linear(5, 64)
    with pytest.raises(CheckpointError, match="generator: size mismatch"):
        load_weights(tmp_path / "weights.pt", recipe)
    with pytest.raises(CheckpointError, match="not found"):
        load_weights(tmp_path / "absent.pt", recipe)

    class Other(ToyGan):
        pass

    with pytest.raises(CheckpointError, match="recipe: found ToyGan, expected Other"):
        load_weights(tmp_path / "weights.pt", Other(ToyConfig(), Spec()))


def test_the_digest_lies_beside_the_file(tmp_path):
    path = Checkpoints(tmp_path, 1).save(5, {})
    beside = json.loads(path.with_suffix(".json").read_text())
    assert beside["step"] == 5
    assert len(beside["sha256"]) == 64
