"""A table that index wrote is read by the flags it was indexed with."""

from __future__ import annotations

import json

import pytest

from medimg_gan.data.as_indexed import as_indexed
from medimg_gan.data.settings import DataConfig


@pytest.fixture
def table(tmp_path):
    noted = {"volume": "all", "mask_label": ["1=edema"], "on_gap": "error", "cache": "elsewhere"}
    manifest = {"config": {"source": noted}, "data_root": str(tmp_path)}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    path = tmp_path / "index.csv"
    path.write_text("path\n")
    return path


def test_its_flags_are_taken_and_said(table, capsys):
    config = as_indexed(DataConfig(data=table))
    assert (config.volume, config.mask_label) == ("all", ("1=edema",))
    assert config.cache == DataConfig().cache
    assert "as indexed: --data.volume all, --mask-label 1=edema" in capsys.readouterr().out


def test_what_is_typed_goes_before(table):
    assert as_indexed(DataConfig(data=table, volume=2)).volume == 2


def test_twice_is_once(table, capsys):
    once = as_indexed(DataConfig(data=table))
    capsys.readouterr()
    assert as_indexed(once) == once
    assert capsys.readouterr().out == ""


def test_a_table_of_ones_own_changes_nothing(tmp_path):
    path = tmp_path / "index.csv"
    path.write_text("path\n")
    assert as_indexed(DataConfig(data=path)) == DataConfig(data=path)
    assert as_indexed(DataConfig(data=tmp_path)) == DataConfig(data=tmp_path)
