"""Trainings in processes of their own: some that are killed, and one on two processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from large_batch import end_of_every_recipe
from toy_gan import FABRIC, ToyConfig, same_bits, toy_batch, toy_engine, weights_of

from medimg_gan.engine.loop import WEIGHTS
from medimg_gan.engine.runtime import make_fabric
from medimg_gan.recipes import RECIPES

HERE = Path(__file__).parent
OWN = ("LOCAL_RANK", "RANK", "WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")


def start(script, *arguments):
    environment = {key: value for key, value in os.environ.items() if key not in OWN}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """Weights of every recipe after as many steps of one process with the whole batch."""
    return end_of_every_recipe(make_fabric(FABRIC), tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What the two processes of ``two_processes.py`` wrote."""
    folder = tmp_path_factory.mktemp("two")
    process = start("two_processes.py", folder)
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output
    return folder, [torch.load(folder / f"rank_{rank}.pt") for rank in range(2)]


def test_two_processes_end_with_equal_weights(two):
    _, (first, second) = two
    assert first["world_size"] == 2
    assert same_bits(first["large_batch"], second["large_batch"])


def test_two_processes_do_what_one_does_with_twice_the_batch(two, tmp_path):
    def double(position):
        one, other = toy_batch(2 * position), toy_batch(2 * position + 1)
        return {name: torch.cat([one[name], other[name]]) for name in one}

    config = ToyConfig(jitter=0.0)
    single = toy_engine(tmp_path, stream=double, config=config, batch_size=8)
    single.fit()
    expected, found = weights_of(single), two[1][0]["large_batch"]
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-5)


def test_a_signal_to_one_process_stops_both_and_they_resume_exactly(two):
    _, ranks = two
    histories = []
    for rank in ranks:
        undisturbed, resumed, stopped_at = rank["resumed"]
        assert 0 < stopped_at < 12
        assert same_bits(undisturbed, resumed)
        histories.append(resumed["history"])
    assert not torch.equal(*histories)  # a buffer of its own in each, and both came back


def test_a_fault_in_one_process_stops_both(two):
    for rank in two[1]:
        assert "loss/critic" in rank["diverged"]


def test_damaged_checkpoints_stop_both(two):
    for rank in two[1]:
        assert "no checkpoint is whole" in rank["all_damaged"]


def test_only_the_main_process_writes(two):
    folder, _ = two
    lines = (folder / "resumed" / "b" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == len(set(lines))
    assert len(list((folder / "resumed" / "b" / "tensorboard").iterdir())) == 2  # stopped, resumed


@pytest.mark.parametrize("name", [*RECIPES, "cgan with every remedy"])
def test_every_recipe_trains_on_two_processes(two, name):
    first, second = (rank["recipes"][name] for rank in two[1])
    own = {key for key in first if "." not in key}  # buffers of the recipe itself
    first, second = ({k: v for k, v in r.items() if k not in own} for r in (first, second))
    assert same_bits(first, second)


def test_two_processes_adapt_the_augmentation_alike(two):
    first, second = (rank["adapted"] for rank in two[1])
    assert same_bits(first, second)
    # Two images in each of two processes: p moved once by 4 steps of 4 images in 200.
    assert abs(first["probability"].item() - 0.3) == pytest.approx(4 * 4 / 200)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_learns_on_two_processes_what_it_does_on_one(one, two, name):
    # Buffers of the recipe that the processes need not agree on (of replay) may differ.
    agreed = {key for key in one[name] if "." in key or key in RECIPES[name].agreed}
    for rank in two[1]:
        for key in agreed:
            torch.testing.assert_close(rank["halves"][name][key], one[name][key], rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What the lives of ``killed_run.py`` left."""
    folder = tmp_path_factory.mktemp("killed")
    process = start("killed_run.py", folder)
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output
    return folder


@pytest.mark.parametrize("run", ["toy/killed", "cgan/killed", "toy/killed_at_files"])
def test_a_killed_training_repeated_ends_with_the_same_bytes(killed, run):
    assert json.loads((killed / "lives.json").read_text())[run] > 10
    undisturbed = killed / run.split("/")[0] / "undisturbed"
    assert (killed / run / WEIGHTS).read_bytes() == (undisturbed / WEIGHTS).read_bytes()
    rows = [json.loads(line) for line in (killed / run / "metrics.jsonl").open()]
    steps = [row["step"] for row in rows]
    assert steps == sorted(set(steps))
    assert not list((killed / run).rglob(".*"))  # half-written files of the dead
