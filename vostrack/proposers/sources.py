"""What a proposer may draw on besides the frame itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from vostrack.arrays import UInt8Array
from vostrack.models.target_net import TargetNet
from vostrack.proposers.detections import Detections
from vostrack.protocols import InstanceProposals, InstanceProposer

__all__ = ["FeatureReader", "ImageProposer", "ProposerSources"]


@dataclass(frozen=True)
class ProposerSources:
    """What the user gave to propose with. In the tracker it is nothing: class-agnostic mode.

    Attributes:
        semantic: network from images (B, 3, H, W) in [0, 1] to logits (B, 21, H, W), background
            first; in evaluation mode, on ``device``.
        detections: the boxes of a file, by the name of the image without its suffix; see
            ``vostrack.proposers.detections.read_detections``.
        semantic_masks: folder with a class mask NAME.png for each image; see
            ``vostrack.proposers.semantic.read_semantic_mask``.
        device: where networks run.
        tracked: the target network that the tracker works with, on ``device``; its adapter lends
            the features of its backbone. None where there is no such tracker.
    """

    semantic: nn.Module | None = None
    detections: Mapping[str, Detections] | None = None
    semantic_masks: Path | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    tracked: TargetNet | None = None


@runtime_checkable
class ImageProposer(InstanceProposer, Protocol):
    """A proposer that looks up what a file or folder says of each image.

    ``vostrack propose`` calls ``propose_image`` where a proposer has it, else ``propose`` without
    a foreground.
    """

    def propose_image(self, name: str, frame: UInt8Array) -> InstanceProposals:
        """Propose instances of a named image.

        Args:
            name: file name without its suffix; of a video's frame its number, five digits.
            frame: (H, W, 3) uint8 RGB.

        Raises:
            InputError: there is no entry of that name.
        """
        ...


@runtime_checkable
class FeatureReader(Protocol):
    """A proposer that can do with the backbone features that the tracker has computed."""

    def reads_features_of(self, tracked: TargetNet | None) -> bool:
        """Tell whether it needs no pass of a backbone of its own.

        Args:
            tracked: the target network that the tracker works with; None where it works with
                another one.
        """
        ...
