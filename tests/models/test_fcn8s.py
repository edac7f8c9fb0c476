"""FCN-8s: the layers of VGG-16, the alignment of its maps, its files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional
from torchvision.models.vgg import cfgs, make_layers

from vostrack.errors import InputError
from vostrack.models.fcn8s import Fcn8s, fcn8s_from_vgg16, load_fcn8s
from vostrack.proposers.semantic import build_semantic

WIDTHS = (4, 4, 6, 6, 8)


def _vgg_state(hidden: int = 5) -> dict[str, torch.Tensor]:
    """A narrow VGG-16 in torchvision's layout, made by torchvision."""
    torch.manual_seed(0)
    narrow = {64: 4, 128: 4, 256: 6}
    plan = [narrow.get(v, v) if isinstance(v, int) else v for v in cfgs["D"]]
    plan = [6 if v == 512 and i < 14 else 8 if v == 512 else v for i, v in enumerate(plan)]
    features = make_layers(plan)
    state = {f"features.{k}": v for k, v in features.state_dict().items()}
    for name, shape in (("0", (hidden, 8 * 49)), ("3", (hidden, hidden)), ("6", (1000, hidden))):
        state[f"classifier.{name}.weight"] = torch.randn(shape)
        state[f"classifier.{name}.bias"] = torch.randn(shape[0])
    return state


def test_features_and_former_dense_layers_are_vgg16s(tmp_path: Path) -> None:
    state = _vgg_state()
    torch.save(state, tmp_path / "vgg.pt")
    network = fcn8s_from_vgg16(tmp_path / "vgg.pt", classes=3).eval()
    image = torch.rand(1, 3, 224, 224)
    plan = [4, 4, "M", 4, 4, "M", 6, 6, 6, "M", 6, 6, 6, "M", 8, 8, 8, "M"]
    vgg = make_layers(plan)
    vgg.load_state_dict({k[9:]: v for k, v in state.items() if k.startswith("features.")})
    x = (image - network.mean) / network.std
    expected = vgg(x)
    torch.testing.assert_close(network.features(x), expected)
    # At the centre of a 224 x 224 image the 7 x 7 convolution is the dense layer.
    dense = functional.linear(
        expected.flatten(1), state["classifier.0.weight"], state["classifier.0.bias"]
    )
    torch.testing.assert_close(network.fc6(expected)[:, :, 3, 3], dense, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(64, 96), (50, 33), (1, 1)])
def test_scores_have_the_size_of_the_image(size: tuple[int, int]) -> None:
    assert Fcn8s(5, WIDTHS, 6).eval()(torch.rand(2, 3, *size)).shape == (2, 5, *size)


def test_an_image_of_any_size_goes_on_in_the_mean_colour_to_the_right_and_below() -> None:
    torch.manual_seed(0)
    network = Fcn8s(5, WIDTHS, 6).eval().double()
    for layer, scale in (
        (network.score, 1),
        (network.score_pool4, 1e2),
        (network.score_pool3, 1e4),
    ):
        torch.nn.init.normal_(layer.weight, std=scale)
    image = torch.rand(1, 3, 50, 33, dtype=torch.float64)
    whole = network.mean.expand(1, 3, 64, 64).clone()
    whole[..., :50, :33] = image
    scores = network(image)
    assert scores.std(dim=(2, 3)).min() > 1e-2
    torch.testing.assert_close(scores, network(whole)[..., :50, :33])


def test_untrained_scores_are_zero() -> None:
    assert not Fcn8s(5, WIDTHS, 6).eval()(torch.rand(1, 3, 40, 40)).any()


@pytest.mark.parametrize(("layer", "stride"), [("up2", 2), ("up4", 2), ("up8", 8)])
def test_upsampling_starts_bilinear(layer: str, stride: int) -> None:
    network = Fcn8s(2, WIDTHS, 6)
    coarse = torch.rand(1, 2, 7, 9)
    expected = functional.interpolate(
        coarse, scale_factor=stride, mode="bilinear", align_corners=False
    )
    actual = network.get_submodule(layer)(coarse)
    assert actual.shape == expected.shape
    # They differ only where interpolation would need a pixel outside.
    edge = stride // 2
    inner = (..., slice(edge, -edge), slice(edge, -edge))
    torch.testing.assert_close(actual[inner], expected[inner])


def test_all_three_maps_align() -> None:
    network = Fcn8s(1, WIDTHS, 6).eval()
    peaks = []
    for name in ("score", "score_pool4", "score_pool3"):
        network.score.weight.data.zero_()
        network.score_pool4.weight.data.zero_()
        network.score_pool3.weight.data.zero_()
        x = torch.zeros(1, 3, 256, 256)
        for module in network.features:
            if isinstance(module, torch.nn.Conv2d):
                # Each layer hands on the mean of its input.
                module.weight.data.zero_()
                module.weight.data[:, :, 1, 1] = 1 / module.in_channels
                torch.nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # it has one
        for module in (network.fc6, network.fc7):
            module.weight.data.zero_()
            centre = module.kernel_size[0] // 2
            module.weight.data[:, :, centre, centre] = 1 / module.in_channels
            torch.nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # it has one
        getattr(network, name).weight.data.fill_(1.0)
        x[:, :, 96:160, 128:192] = 1
        scores = network(x)[0, 0]
        bright = (scores > (scores.min() + scores.max()) / 2).nonzero().double()
        peaks.append(bright.mean(0))
    for peak in peaks:
        torch.testing.assert_close(peak, torch.tensor([127.5, 159.5]).double(), atol=2, rtol=0)


def test_saved_network_is_loaded(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    network = Fcn8s(4, WIDTHS, 6).eval()
    torch.nn.init.normal_(network.score.weight)
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    image = torch.rand(1, 3, 40, 50)
    for loaded in (
        load_fcn8s(tmp_path / "net.safetensors"),
        build_semantic("fcn8s_vgg16", tmp_path / "net.safetensors"),
    ):
        torch.testing.assert_close(loaded(image), network(image))


def test_other_files_and_shapes_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="expected an FCN-8s"):
        load_fcn8s(tmp_path / "other.pt")
    with pytest.raises(InputError, match="expected a state dict of torchvision's VGG-16"):
        fcn8s_from_vgg16(tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"\(B, 3, H, W\)"):
        Fcn8s(2, WIDTHS, 6)(torch.zeros(3, 4, 4))
