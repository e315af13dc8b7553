"""The benchmark at its smallest: every row is there, and says what it compares."""

import importlib.util
import json

import pytest

from medimg_gan.apps import benchmark_loader, benchmark_memory, cli
from medimg_gan.apps.benchmark_index import make_tree
from medimg_gan.apps.benchmark_peers import CONTENDERS, warm_cache
from medimg_gan.imaging import find_series

TINY = ["--files", "30", "--patients", "3", "--slice-size", "32", "--slice-batch", "4"]


@pytest.fixture
def rows_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*parts: str) -> dict[str, dict]:
        words = ["--parts", *parts, *TINY, "--seconds", "0.1", "--run", "out"]
        cli.run("benchmark", words)
        rows = json.loads((tmp_path / "out/benchmark.json").read_text())
        return {row["what"]: row for row in rows}

    return run


def test_the_tree_holds_whole_series(tmp_path):
    series, problems = find_series(make_tree(tmp_path, 250))
    assert problems == []
    assert sorted(len(one.paths) for one in series) == [50, 100, 100]
    assert len({one.patient for one in series}) == 3


def test_indexing_is_measured_beside_its_peers(rows_of):
    rows = rows_of("index")
    for name in ("first time", "again", "pydicom alone", "GDCM", "dcm2niix"):
        (row,) = (row for what, row in rows.items() if name in what)
        assert row["figure"] > 0
        assert row["against"] == "pydicom alone"


def test_a_contender_that_is_not_installed_costs_a_row_not_the_benchmark(
    rows_of, monkeypatch, capsys
):
    installed = importlib.util.find_spec
    kept = {name: CONTENDERS[name] for name in ("numpy", "stream", "torchio")}
    monkeypatch.setattr(benchmark_loader, "CONTENDERS", kept)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torchio" else installed(name)
    )
    rows = rows_of("loader")
    ours = rows["slices: our warm cache, Stream, float32"]
    assert ours["figure"] > 0
    assert ours["ratio"] == pytest.approx(
        ours["figure"] / rows["slices: numpy gather from one memory map, int16"]["figure"]
    )
    assert ours["peak_mib"] > 50
    assert rows["slices: TorchIO Queue"]["note"] == "not installed"
    assert "not installed" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in CONTENDERS if name != "uncached"])
def test_contenders_give_every_slice_of_the_phantom(name, tmp_path_factory):
    contender = CONTENDERS[name]
    pytest.importorskip(contender.needs)
    folder = tmp_path_factory.getbasetemp() / "contenders"  # one phantom serves them all
    benchmark_loader.prepare(folder, 3, 32)
    seen = sum(len(images) for images in contender.epochs(folder, 32, 4, 0)())
    every = name != "volume-cache"  # draws some slices of each volume
    assert not every or seen > len(warm_cache(folder, 32).rows) - 4  # a last batch may not be full
    first = next(iter(contender.epochs(folder, 32, 4, 0)()))
    assert first.shape[-2:] == (32, 32) or first.shape[-3:-1] == (32, 32)
    assert len(first) == 4
    if name != "numpy":  # what a network needs: float32 in [-1, 1]
        assert "float32" in str(first.dtype)
        assert -1 <= float(first.min()) < float(first.max()) <= 1


def test_memory_is_compared_between_numbers_of_volumes(rows_of, monkeypatch, capsys):
    def in_this_process(module, words):
        assert module == benchmark_memory.__name__
        benchmark_memory.child(*words)
        told = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
        return told, 100.0 * told["volumes"]

    monkeypatch.setattr(benchmark_memory, "in_a_child", in_this_process)
    rows = rows_of("memory")
    assert len(rows) == 2
    for row in rows.values():
        assert (row["figure"], row["ratio"]) == (300.0, 3.0)
        assert row["against"] == "that of 1 volumes"


def test_too_little_to_measure_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.run("benchmark", ["--seconds", "0"])
    assert stop.value.code == 2
    assert "--seconds" in capsys.readouterr().err
