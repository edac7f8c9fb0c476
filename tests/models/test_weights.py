"""Weights from files, from torchvision and from the package."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import save_file

from vostrack.errors import InputError
from vostrack.models.foreground import NetworkConfig, SegmentationNet, build_network
from vostrack.models.weights import (
    initialise,
    load_network,
    load_target_net,
    save_network,
    shipped_weights,
)
from vostrack.models.weights_file import write_weights

CONFIG = NetworkConfig("resnet18", (4, 8), "topdown", 8)
FOLDED = NetworkConfig("resnet18", (4, 8), "topdown", 8, "folded")


def logits(network: SegmentationNet) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    with torch.inference_mode():
        result: torch.Tensor = network.eval()(torch.rand(1, 3, 40, 56, generator=generator))
    return result


@pytest.mark.parametrize("outputs", [2, 4])
def test_a_saved_network_comes_back(tmp_path: Path, outputs: int) -> None:
    network = build_network(CONFIG, outputs)
    save_network(network, tmp_path / "a" / "net.safetensors")
    again = load_network(tmp_path / "a" / "net.safetensors")
    assert again.config == CONFIG
    assert torch.equal(logits(again), logits(network))


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002])
def test_who_may_read_weights_follows_the_umask(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        write_weights({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o666 & ~mask


def test_half_storage_is_close(tmp_path: Path) -> None:
    network = build_network(CONFIG)
    save_network(network, tmp_path / "half.safetensors", half=True)
    save_network(network, tmp_path / "full.safetensors")
    ratio = (tmp_path / "half.safetensors").stat().st_size / (
        tmp_path / "full.safetensors"
    ).stat().st_size
    assert ratio < 0.55
    torch.testing.assert_close(
        logits(load_network(tmp_path / "half.safetensors")), logits(network), atol=1e-2, rtol=1e-2
    )


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
@pytest.mark.parametrize("config", [CONFIG, FOLDED])
def test_a_backbone_file_fills_the_backbone(
    tmp_path: Path, suffix: str, config: NetworkConfig
) -> None:
    whole = torchvision.models.resnet18(weights=None)
    path = tmp_path / f"resnet18{suffix}"
    if suffix == ".safetensors":
        save_file(whole.state_dict(), path)
    else:
        torch.save(whole.state_dict(), path)
    network = initialise(config, str(path))
    image = torch.rand(1, 3, 33, 41)
    with torch.inference_mode():
        x = whole.eval().maxpool(whole.relu(whole.bn1(whole.conv1(image))))
        expected = whole.layer2(whole.layer1(x))
        actual = network.eval().backbone(image)[-1]
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-3)


@pytest.mark.shared_data
def test_the_folded_resnet_fits_and_is_taken_folded(shared_dir: Path) -> None:
    path = shared_dir / "weights" / "resnet18_imagenet_conv1_layer3_bnfolded.pt"
    network = initialise(NetworkConfig("resnet18", (4, 8, 16), "topdown", 8), str(path))
    assert network.config.norm == "folded"
    stored = torch.load(path, weights_only=True)["layer3.1.conv2.bias"]
    assert torch.equal(network.backbone.layers.layer3[1].conv2.bias, stored)  # type: ignore[index, union-attr]


def test_imagenet_weights_are_torchvisions(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = torchvision.models.resnet18(weights=None).state_dict()
    enum = torchvision.models.ResNet18_Weights
    monkeypatch.setattr(enum, "get_state_dict", lambda self, **_: dict(reference))
    network = initialise(CONFIG, "imagenet")
    actual = network.backbone.layers.state_dict()
    assert torch.equal(actual["layer2.1.conv2.weight"], reference["layer2.1.conv2.weight"])


def test_offline_the_message_says_what_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torchvision.models.ResNet18_Weights, "get_state_dict", offline)
    with pytest.raises(
        InputError, match=r"no route.*https://.*resnet18.*\.pth.*`weights='shipped'`"
    ):
        initialise(CONFIG, "imagenet")


def test_random_weights_follow_the_seed_and_leave_the_global_state() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = initialise(CONFIG, "none", seed=1)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(logits(one), logits(initialise(CONFIG, "none", seed=1)))
    assert not torch.equal(logits(one), logits(initialise(CONFIG, "none", seed=2)))


def test_the_shipped_network_loads() -> None:
    network = initialise(CONFIG, "shipped")
    assert network.outputs == 2
    assert shipped_weights().stat().st_size < 25 * 2**20


def test_bad_files_are_named(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("ran",))

    text = tmp_path / "text.pt"
    text.write_text("no weights")
    evil = tmp_path / "evil.pt"
    torch.save({"x": Code()}, evil)
    a_list = tmp_path / "list.pt"
    torch.save([1, 2], a_list)
    fake = tmp_path / "fake.safetensors"
    fake.write_bytes(b"0" * 64)
    endless = tmp_path / "endless.pt"
    torch.save({"conv1.weight": torch.tensor([1.0, torch.nan])}, endless)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(shipped_weights().read_bytes()[:-1000])
    other = tmp_path / "other.pt"
    torch.save(torchvision.models.mobilenet_v2(weights=None).state_dict(), other)
    cases = {
        tmp_path / "missing.pt": "no file",
        text: "cannot be read",
        evil: "cannot be read",
        a_list: "expected a state dict, got a list",
        fake: "not a safetensors",
        endless: r"conv1\.weight has values that are not finite",
        cut: "safetensors",
        other: "does not fit",
    }
    for path, words in cases.items():
        with pytest.raises(InputError, match=words):
            initialise(CONFIG, str(path))


def test_loading_draws_no_random_weights(tmp_path: Path) -> None:
    """It took half a second, and none of them was kept."""
    saved = initialise(CONFIG, "none", seed=3)
    save_network(saved, tmp_path / "network.safetensors")
    before = torch.get_rng_state()
    loaded = load_network(tmp_path / "network.safetensors")
    load_target_net()
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, saved.state_dict()[name]), name
    other = torch.nn.Conv2d(3, 4, 3)
    assert not torch.equal(torch.get_rng_state(), before)
    assert other.weight.std() > 0.05


def test_weights_that_cannot_be_written_are_named_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half of it")
        raise SafetensorError("no space left")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(OSError, match=r"a\.safetensors cannot be written \(no space left\)"):
        write_weights({"x": torch.zeros(1)}, tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_those_who_read_the_folder_read_the_weights(tmp_path: Path) -> None:
    for _ in range(2):
        write_weights({"x": torch.zeros(1)}, tmp_path / "a.safetensors")
    (tmp_path / "file").touch()
    usual = (tmp_path / "file").stat().st_mode
    assert {path.stat().st_mode for path in tmp_path.iterdir()} == {usual}
