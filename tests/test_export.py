import json
import sys
from dataclasses import fields
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

from medimg_gan import __version__, export
from medimg_gan.apps import cli
from medimg_gan.apps.export import Config
from medimg_gan.data.number import Number
from medimg_gan.engine.checkpoint import save_weights
from medimg_gan.errors import ConfigError, RunError
from medimg_gan.export import METADATA, TOLERANCE
from medimg_gan.modalities import Scale
from medimg_gan.recipes import RECIPES, Spec, TranslationRecipe
from medimg_gan.runs import write_json
from medimg_gan.synthesis import Generator, Translator

SMALL = {"width": 4, "widest": 8, "critic_width": 4, "latent": 8}
HU = Scale(-1024.0, 2000.0)


def trained(name, classes=("a", "b", "c")):
    """A recipe of random weights in the clothes of a run."""
    recipe = RECIPES[name]
    known = {field.name for field in fields(recipe.Config)}
    torch.manual_seed(0)
    config = recipe.Config(**{key: value for key, value in SMALL.items() if key in known})
    net = recipe(config, Spec(size=32, classes=classes)).eval().requires_grad_(False)
    if isinstance(net, TranslationRecipe):
        return Translator(net, "mri", "ct", "HU", HU)
    return Generator(net, classes, (1,) * len(classes), "ct", "HU", HU, 2.0)


def test_the_verb_knows_every_format():
    assert set(get_args(get_type_hints(Config)["format"])) == set(export.FORMATS)


@pytest.mark.parametrize("classes", [(), ("a", "b")])
def test_numbers_go_in_standardised(classes, tmp_path):
    torch.manual_seed(0)
    config = RECIPES["cgan"].Config(width=4, widest=8, latent=8)
    net = RECIPES["cgan"](config, Spec(size=32, classes=classes, numbers=("age",)))
    net.eval().requires_grad_(False)
    age = Number("age", 20.0, 80.0, ((20.0,) * 11,) * max(1, len(classes)))
    run = Generator(net, classes, (1,), "ct", "HU", HU, 2.0, numbers=(age,))
    done = export.export(run, "torchscript", tmp_path / "net.pt")
    assert done.metadata["numbers"] == [{"name": "age", "low": 20.0, "high": 80.0}]
    told = {"noise": torch.randn(2, 8), "numbers": torch.tensor([[-1.0], [0.5]])}
    told |= {"label": torch.tensor([0, 1])} if classes else {}
    expected = net.sample_like(told, told["noise"]).clamp(-1, 1)
    found = torch.jit.load(tmp_path / "net.pt")(**told)
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", RECIPES)
def test_a_torchscript_file_makes_the_same_images_in_plain_torch(name, tmp_path):
    run = trained(name)
    done = export.export(run, "torchscript", tmp_path / "net.pt")
    assert done.difference <= TOLERANCE
    extra = {METADATA: ""}
    network = torch.jit.load(tmp_path / "net.pt", _extra_files=extra)
    facts = json.loads(extra[METADATA])
    assert facts == json.loads(json.dumps(done.metadata))
    random = torch.Generator().manual_seed(7)
    if "image" in facts["inputs"]:
        image = torch.rand(3, *facts["inputs"]["image"], generator=random)
        expected, found = run.recipe.translate(image), network(image)
    else:
        noise = torch.randn(7, facts["latent"], generator=random)
        label = torch.arange(7) % 3
        inputs = (noise, label) if "label" in facts["inputs"] else (noise,)
        expected, found = run.recipe.sample(noise, label), network(*inputs)
    torch.testing.assert_close(found, expected.clamp(-1, 1), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["cgan", "dcgan", "progressive", "cyclegan", "cut"])
def test_an_onnx_file_makes_the_same_images_in_another_runtime(name, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    run = trained(name)
    export.export(run, "onnx", tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    facts = json.loads(session.get_modelmeta().custom_metadata_map[METADATA])
    assert [wanted.name for wanted in session.get_inputs()] == list(facts["inputs"])
    random = torch.Generator().manual_seed(7)
    if "image" in facts["inputs"]:
        inputs = {"image": torch.rand(3, 1, 32, 32, generator=random)}
        expected = run.recipe.translate(inputs["image"])
    else:
        inputs = {"noise": torch.randn(7, 8, generator=random), "label": torch.arange(7) % 3}
        expected = run.recipe.sample(**inputs)
    told = {key: inputs[key].numpy() for key in facts["inputs"]}
    (found,) = session.run(["images"], told)
    np.testing.assert_allclose(found, expected.clamp(-1, 1).numpy(), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["stylegan3", "cyclegan", "cut"])
def test_a_safetensors_file_holds_the_weights_and_how_to_build_the_network(name, tmp_path):
    safetensors = pytest.importorskip("safetensors")
    run = trained(name)
    assert export.export(run, "safetensors", tmp_path / "net.safetensors").difference == 0
    with safetensors.safe_open(tmp_path / "net.safetensors", "pt") as file:
        facts = json.loads(file.metadata()[METADATA])
        names = {key.split(".")[0] for key in file.keys()}  # noqa: SIM118
    assert names == set(run.recipe.averaged)
    assert facts["recipe"] == name


def test_the_metadata_say_what_the_values_mean(tmp_path):
    facts = export.metadata(trained("cgan"))
    assert facts["medimg_gan"] == __version__
    assert facts["classes"] == ["a", "b", "c"]
    assert (facts["modality"], facts["unit"]) == ("ct", "HU")
    assert facts["scale"] == {"low": -1024.0, "high": 2000.0}
    assert facts["inputs"] == {"noise": [8], "label": []}
    assert facts["spec"]["size"] == 32
    assert "label" not in export.metadata(trained("cgan", ()))["inputs"]
    assert export.metadata(trained("cyclegan"))["target"] == "ct"


def test_a_file_that_makes_other_images_is_not_left(tmp_path, monkeypatch):
    def wrong(network, inputs, facts, path):
        path.write_bytes(b"half right")
        return lambda **values: network(**values) + 2 * TOLERANCE

    monkeypatch.setitem(export.FORMATS, "torchscript", wrong)
    with pytest.raises(RunError, match=r"differ by up to 2\.0e-04"):
        export.export(trained("cgan"), "torchscript", tmp_path / "net.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"medimg-gan\[export\]"):
        export.export(trained("dcgan"), "onnx", tmp_path / "net.onnx")


def test_the_verb_exports_a_finished_run_and_refuses_another(tmp_path, capsys):
    run = trained("cgan")
    facts = {
        **export.metadata(run), "verb": "train-gan", "finished": True, "class_counts": [1, 1, 1],
    }  # fmt: skip
    facts["scale"]["pixel_mm"] = 2.0
    save_weights(tmp_path / "run" / "weights.pt", run.recipe)
    write_json(tmp_path / "run" / "manifest.json", facts)
    words = ["--run", str(tmp_path / "run"), "--out", str(tmp_path / "net.pt")]
    cli.run("export", words)
    said = capsys.readouterr().out
    assert "parity" in said
    assert "0 a, 1 b, 2 c" in said
    assert "-1024 to 2000 HU" in said
    assert torch.jit.load(tmp_path / "net.pt")(torch.zeros(1, 8), torch.tensor([2])).shape[1] == 1
    write_json(tmp_path / "run" / "manifest.json", {**facts, "finished": False})
    with pytest.raises(SystemExit) as stop:
        cli.run("export", words)
    assert stop.value.code == 2
    assert "not finished" in capsys.readouterr().err
