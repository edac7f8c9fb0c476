"""Parts of other distributions: found by entry point, chosen by name, refused with a reason."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.stranger import stranger
from vostrack import registry
from vostrack.cli import main
from vostrack.errors import InputError
from vostrack.models.backbone_registry import BACKBONES
from vostrack.models.target_net import TargetNetConfig
from vostrack.models.target_net_builder import build_target_net
from vostrack.presets.options import TrackerOptions
from vostrack.proposers.registry import PROPOSERS, build_proposer, image_proposers
from vostrack.refine.registry import REFINERS, build_refiner
from vostrack.registry import usable

PLUGIN = '''
from dataclasses import dataclass
from torch import nn
from vostrack.models.backbone_registry import BackboneEntry
from vostrack.models.backbones import Backbone
from vostrack.proposers.registry import ProposerEntry
from vostrack.refine.registry import RefinerEntry

@dataclass(frozen=True)
class Options:
    """Options."""

    level: int = 3
    """A level."""

class Part:
    def __init__(self, options, where):
        self.options, self.where = options, where

    def __call__(self, image, scores):
        return scores

class Chain(Backbone):
    def __init__(self, options, strides, where):
        wide = options.level
        layers = {"at2": nn.Conv2d(3, wide, 3, 2, 1)}
        for stride in (4, 8, 16, 32):
            layers[f"at{stride}"] = nn.Conv2d(wide, wide, 3, 2, 1)
        super().__init__(nn.ModuleDict(layers), strides, [3] * len(strides))
        self.where = where

    def stage(self, x, stride):
        return self.stage_layers(stride)(x)

    def stage_layers(self, stride):
        return self.layers[f"at{stride}"]

BACKBONE = BackboneEntry(Options, Chain)
PROPOSER = ProposerEntry(Options, Part)
REFINER = RefinerEntry(Options, Part)
PART = BackboneEntry(Options, lambda options, strides, where: Part(options, where))
'''
POINTS = """
[vostrack.proposers]
theirs = stranger_plugin:PROPOSER
hough = stranger_plugin:PROPOSER
torn = stranger_missing:PROPOSER
wrong = stranger_plugin:REFINER

[vostrack.refiners]
their-refiner = stranger_plugin:REFINER

[vostrack.backbones]
their-backbone = stranger_plugin:BACKBONE
part = stranger_plugin:PART
"""


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[None]:
    with stranger(tmp_path, PLUGIN, POINTS):
        yield


def test_a_plug_in_is_chosen_like_a_part_of_the_package(installed: None) -> None:
    options = TrackerOptions(
        proposer="theirs", proposer_options={"level": 5}, refiner="their-refiner"
    )
    proposer = build_proposer("theirs", options=options.proposer_options)
    assert proposer.options.level == 5  # type: ignore[union-attr]
    assert proposer.where.device.type == "cpu"  # type: ignore[union-attr]
    refiner = build_refiner("their-refiner", {"level": 4}, torch.device("cpu"))
    assert (refiner.options.level, refiner.where.type) == (4, "cpu")  # type: ignore[union-attr]
    assert REFINERS.settings("their-refiner", {}).level == 3
    assert "theirs" in image_proposers()


def test_a_network_is_trained_and_loaded_on_a_plug_in_s_backbone(
    installed: None, tmp_path: Path
) -> None:
    from vostrack.cli.backbone_options import backbone_options
    from vostrack.models.backbones import build_backbone
    from vostrack.models.weights import initialise_target_net, load_target_net, save_target_net

    with pytest.raises(InputError, match=r"expected one of resnet18.*their-backbone.*, got 'none'"):
        build_backbone("none")
    with pytest.raises(InputError, match="'part' built a Part; expected a subclass of"):
        build_backbone("part")
    with pytest.raises(InputError, match=r"gives feature maps \[\(1, 4,.*expected \[\(1, 3,"):
        build_backbone("their-backbone", (4,), options={"level": 4})
    with pytest.raises(InputError, match="no ImageNet weights for the backbone 'their-backbone'"):
        initialise_target_net("their-backbone", "imagenet")
    with pytest.raises(InputError, match="level: expected int, got 'three'"):
        backbone_options("their-backbone", ["level=three"])

    options = backbone_options("their-backbone", ["level=3"])
    network = initialise_target_net("their-backbone", "none", options=options)
    assert network.backbone.where == torch.device("cpu")
    path = tmp_path / "target.safetensors"
    save_target_net(network, path)
    again = load_target_net(path)
    image = torch.rand(1, 3, 32, 48)
    with torch.inference_mode():
        assert torch.equal(again.features(image).key, network.eval().features(image).key)
    assert again.config.backbone_options == {"level": 3}
    with pytest.raises(InputError, match=r"on the backbone 'their-backbone' .*not on 'resnet18'"):
        initialise_target_net("resnet18", str(path))
    registry._installed(BACKBONES.group).pop("their-backbone")
    with pytest.raises(InputError, match="'their-backbone', which is not installed"):
        load_target_net(path)


def test_names_are_listed_without_importing_anything(installed: None) -> None:
    assert list(PROPOSERS)[-3:] == ["theirs", "torn", "wrong"]
    assert "stranger_plugin" not in sys.modules
    with pytest.raises(InputError, match=r"expected one of none, components.*theirs.*'other'"):
        TrackerOptions(proposer="other")


def test_the_package_s_own_parts_keep_their_names(installed: None) -> None:
    assert PROPOSERS["hough"].options.__name__ == "HoughOptions"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("torn", r"'torn' .*cannot be imported: ModuleNotFoundError.*uninstall"),
        ("wrong", r"'wrong' .*is not a proposer: expected .*ProposerEntry, got RefinerEntry"),
    ],
)
def test_a_broken_plug_in_is_named(installed: None, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        build_proposer(name)


def test_a_broken_plug_in_does_not_stop_the_others(
    installed: None, caplog: pytest.LogCaptureFixture
) -> None:
    assert [name for name, _ in usable(PROPOSERS)][-1] == "theirs"
    assert "'torn'" in caplog.text


def test_its_options_are_flags(installed: None) -> None:
    from vostrack.cli.form import parse_form
    from vostrack.cli.track import TrackCommand

    words = ["--video", "v.mp4", "--first-mask", "m.png", "--proposer", "theirs"]
    parsed = parse_form(TrackCommand, [*words, "--theirs-level", "9"], "vostrack track")
    assert parsed.options.proposer_options == {"level": 9}


@dataclass(frozen=True)
class NoOptions:
    """Nothing to choose."""


def test_a_part_can_be_registered_in_the_process() -> None:
    from vostrack.proposers.registry import ProposerEntry

    entry = ProposerEntry(NoOptions, lambda options, sources: "built")  # type: ignore[arg-type, return-value]
    PROPOSERS.register("mine", entry)
    try:
        assert build_proposer("mine") == "built"  # type: ignore[comparison-overlap]
        with pytest.raises(InputError, match="'mine' is taken"):
            PROPOSERS.register("mine", entry)
    finally:
        PROPOSERS.unregister("mine")
    assert "mine" not in PROPOSERS


def test_the_examples_work_as_installed_distributions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pip installs both; random weights give instances of every score, none of them right."""
    detection = pytest.importorskip("torchvision.models.detection")
    names, site = ("mask_rcnn_plugin", "backbone_plugin"), tmp_path / "site"
    sources = [shutil.copytree(f"examples/{name}", tmp_path / name) for name in names]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--no-index", "--target", site, *sources], check=True)
    torch.manual_seed(0)
    network = detection.maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    weights = tmp_path / "random.pt"
    torch.save(
        {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()},
        weights,
    )
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    monkeypatch.syspath_prepend(str(site))
    registry._installed.cache_clear()
    command = ["propose", "--method", "mask-rcnn", "--quiet"]
    command += ["--mask-rcnn-weights", str(weights), "--mask-rcnn-min-score", "0"]
    command += ["--mask-rcnn-short-side", "64", "--mask-rcnn-max-proposals", "3"]
    command += ["--images", str(tmp_path / "a.png"), "--output", str(tmp_path / "out")]
    try:
        assert main([*command, "--device", "cpu"]) == 0
        assert str(site) in str(sys.modules["vostrack_mask_rcnn"].__file__)
        config = TargetNetConfig("mobilenet-v3", backbone_options={"size": "small"})
        features = build_target_net(config).features(torch.rand(1, 3, 32, 48))
        assert [tuple(x.shape[1:]) for x in features.levels] == [
            *((16, 16, 24), (16, 8, 12), (24, 4, 6), (48, 2, 3))
        ]
    finally:
        registry._installed.cache_clear()
        for module in ("vostrack_mask_rcnn", "vostrack_mobilenet_v3"):
            sys.modules.pop(module, None)
    entries = json.loads((tmp_path / "out/proposals.json").read_text())
    assert 1 <= len(entries) <= 3
    assert all(entry["category"] and entry["segmentation"]["size"] == [48, 64] for entry in entries)
