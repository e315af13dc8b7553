import json
import os

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


def cut_to(share):
    return lambda path: os.truncate(path, int(share * path.stat().st_size))


def flipped_at(share, bit=0):
    def flip(path):
        content = bytearray(path.read_bytes())
        content[int(share * (len(content) - 1))] ^= 1 << bit
        path.write_bytes(content)

    return flip


DAMAGE = {
    "emptied": cut_to(0),
    "cut in the header": cut_to(0.01),
    "cut in half": cut_to(0.5),
    "cut by a byte": lambda path: os.truncate(path, path.stat().st_size - 1),
    "first bit flipped": flipped_at(0),
    "middle bit flipped": flipped_at(0.5, 3),
    "last bit flipped": flipped_at(1, 7),
    "no json": lambda path: path.with_suffix(".json").unlink(),
    "empty json": lambda path: path.with_suffix(".json").write_text(""),
    "half a json": lambda path: cut_to(0.5)(path.with_suffix(".json")),
    "json of other things": lambda path: path.with_suffix(".json").write_text("[1]"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_is_removed_and_the_one_before_taken(tmp_path, capsys, damage):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (1, 2):
        checkpoints.save(step, {"value": torch.ones(1000)})
    DAMAGE[damage](tmp_path / "step_0000002.pt")
    assert checkpoints.newest() == tmp_path / "step_0000001.pt"
    assert "step_0000002.pt: damaged" in capsys.readouterr().out
    assert names(tmp_path) == ["step_0000001.json", "step_0000001.pt"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_where_all_are_damaged_nothing_is_thrown_away(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (1, 2):
        DAMAGE[damage](checkpoints.save(step, {"value": torch.ones(1000)}))
    before = names(tmp_path)
    with pytest.raises(CheckpointError, match=r"2 damaged: step_0000001\.pt, step_0000002\.pt"):
        checkpoints.newest()
    assert names(tmp_path) == before


def test_a_first_one_that_was_never_finished_costs_nothing(tmp_path, capsys):
    DAMAGE["no json"](Checkpoints(tmp_path, keep=1).save(1, {}))
    assert Checkpoints(tmp_path, keep=1).newest() is None
    assert "falling back to step 0" in capsys.readouterr().out
    assert names(tmp_path) == []


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
