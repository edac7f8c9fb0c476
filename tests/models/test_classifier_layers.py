"""Our definitions of ResNet and MobileNetV2 against torchvision's."""

from __future__ import annotations

import pytest
import torch

from vostrack.models.backbones import BackboneName, build_backbone
from vostrack.models.normalization import FrozenBatchNorm2d

torchvision = pytest.importorskip("torchvision")
pytestmark = pytest.mark.usefixtures("torchs_own_weights")


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "mobilenet_v2"])
def test_weights_and_outputs_are_torchvisions(name: BackboneName) -> None:
    torch.manual_seed(0)
    ours = build_backbone(name, (2, 4, 8, 16, 32), "frozen").eval()
    after = torch.get_rng_state()
    torch.manual_seed(0)
    theirs = torchvision.models.get_model(name, weights=None, norm_layer=FrozenBatchNorm2d).eval()
    assert torch.equal(torch.get_rng_state(), after)
    state = theirs.state_dict()
    assert ours.layers.state_dict().keys() <= state.keys()
    assert all(torch.equal(value, state[key]) for key, value in ours.layers.state_dict().items())
    image = torch.randn(1, 3, 33, 40)
    if name == "mobilenet_v2":
        wanted = theirs.features[:18](image)
    else:
        x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(image))))
        wanted = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(x))))
    assert torch.equal(ours(image)[-1], wanted)
