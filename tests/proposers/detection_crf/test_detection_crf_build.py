"""Options of the command line and what they build."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.proposers.detection_crf import (
    DetectionCrf,
    DetectionCrfConfig,
    DetectionCrfOptions,
    ProposerConfig,
    build_detection_crf,
)
from vostrack.proposers.detections import Detections
from vostrack.proposers.sources import ProposerSources


class Uniform(nn.Module):
    """21 equal class scores."""

    def forward(self, image: Tensor) -> Tensor:
        return image.new_zeros(1, 21, *image.shape[-2:])


SOURCES = ProposerSources(Uniform(), {"a": Detections.from_lists([], [], [])})


def test_defaults_are_those_of_the_proposer() -> None:
    proposer = build_detection_crf(DetectionCrfOptions(), SOURCES)
    assert proposer.config == ProposerConfig()
    assert proposer.detector is None


def test_every_option_arrives() -> None:
    options = DetectionCrfOptions(
        min_score=0.4,
        neutral_score=0.45,
        max_overlap=0.6,
        max_detections=7,
        foreground="box",
        recalibrate=False,
        score="validity",
        iterations=2,
        instance_iterations=1,
        max_side=333,
    )
    config = build_detection_crf(options, SOURCES).config
    assert (config.min_score, config.max_overlap, config.max_detections) == (0.4, 0.6, 7)
    assert (config.foreground, config.score, config.max_side) == ("box", "validity", 333)
    assert (config.crf.iterations, config.crf.instance_iterations) == (2, 1)
    assert not config.crf.recalibrate
    assert config.crf.potentials is not None
    assert config.crf.potentials.neutral_score == 0.45
    without = build_detection_crf(DetectionCrfOptions(potentials=False), SOURCES)
    assert without.network.potentials is None


def test_trained_weights_are_taken(tmp_path: Path) -> None:
    trained = DetectionCrf(21)
    with torch.no_grad():
        for weight in trained.parameters():
            weight.add_(0.5)
    save_file(trained.state_dict(), tmp_path / "crf.safetensors")
    options = DetectionCrfOptions(weights=tmp_path / "crf.safetensors")
    network = build_detection_crf(options, SOURCES).network
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, trained.state_dict()[name]), name
    # The potentials' weights are left where there are no potentials.
    alone = DetectionCrfOptions(weights=tmp_path / "crf.safetensors", potentials=False)
    kernel_weights = build_detection_crf(alone, SOURCES).network.class_crf.kernel_weights
    assert torch.equal(kernel_weights, trained.class_crf.kernel_weights)


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    other = DetectionCrf(3, DetectionCrfConfig())
    save_file(other.state_dict(), tmp_path / "other.safetensors")
    for potentials in (True, False):
        options = DetectionCrfOptions(weights=tmp_path / "other.safetensors", potentials=potentials)
        with pytest.raises(InputError, match=r"other\.safetensors does not fit"):
            build_detection_crf(options, SOURCES)
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    options = DetectionCrfOptions(weights=tmp_path / "x.safetensors", potentials=False)
    with pytest.raises(InputError, match=r"x\.safetensors does not fit"):
        build_detection_crf(options, SOURCES)


def test_without_sources_it_needs_no_more_than_a_foreground() -> None:
    proposer = build_detection_crf(DetectionCrfOptions(), ProposerSources())
    frame = np.full((40, 60, 3), 90, np.uint8)
    foreground = np.zeros((40, 60), np.float32)
    frame[8:30, 10:34] = 200
    foreground[8:30, 10:34] = 0.95
    proposals = proposer.propose(frame, foreground)
    assert len(proposals) == 1
    np.testing.assert_array_equal(proposals.masks[0], foreground > 0)
    assert proposals.labels.tolist() == [0]
    with pytest.raises(InputError, match="foreground"):
        proposer.propose(frame, None)
