"""torchvision's Mask R-CNN (He et al. 2017) as a proposer of vostrack.

The weights stay with the user: give the file with ``--mask-rcnn-weights``. This module is imported
whenever vostrack lists its proposers, so it imports torch and torchvision only when it is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.checks import check_at_least, check_fraction
from vostrack.errors import InputError
from vostrack.proposers.registry import ProposerEntry
from vostrack.protocols import InstanceProposals

__all__ = ["ENTRY", "MaskRcnnOptions", "MaskRcnnProposer"]


@dataclass(frozen=True)
class MaskRcnnOptions:
    """Options of the proposer mask-rcnn. vostrack makes a flag of each."""

    weights: Path | None = None
    """State dict of torchvision's maskrcnn_resnet50_fpn, .pt or .pth. Required."""

    min_score: float = 0.5
    """Instances below this score are left out, 0 to 1."""

    max_proposals: int = 20
    """Most instances of an image, the best first."""

    short_side: int = 480
    """The network sees the image with this short side, pixels."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a value is out of its range.
        """
        check_fraction(self, "min_score")
        check_at_least(self, {"max_proposals": 1, "short_side": 32})


class MaskRcnnProposer:
    """Instances with soft masks and the names of their COCO classes.

    Implements ``vostrack.protocols.InstanceProposer``.
    """

    def __init__(self, network: Any, options: MaskRcnnOptions, device: Any) -> None:
        """Take a network in evaluation mode, on its device."""
        self.network = network
        self.options = options
        self.device = device

    def propose(self, frame: Any, foreground: Any = None) -> InstanceProposals:
        """Propose the instances of a frame (H, W, 3) uint8 RGB; the foreground is not used."""
        import torch

        image = torch.from_numpy(np.array(frame)).to(self.device).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            found = self.network([image])[0]
        keep = found["scores"] >= self.options.min_score
        kept = {name: value[keep][: self.options.max_proposals] for name, value in found.items()}
        soft = kept["masks"][:, 0].clamp(0, 1).float().cpu().numpy()
        labels = kept["labels"].cpu().numpy().astype(np.int64)
        return InstanceProposals(
            masks=soft >= 0.5,
            scores=kept["scores"].float().cpu().numpy(),
            labels=labels,
            boxes=kept["boxes"].float().cpu().numpy(),
            soft=soft,
            names=tuple(_class_names()[label] for label in labels),
        )


def build(options: MaskRcnnOptions, sources: Any) -> MaskRcnnProposer:
    """Build the proposer on ``sources.device``.

    Raises:
        InputError: no weights were given, or the file holds something else.
    """
    import torch
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    if options.weights is None:
        raise InputError(
            "mask-rcnn weights: expected a state dict of torchvision's maskrcnn_resnet50_fpn"
        )
    network = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, min_size=options.short_side
    )
    try:
        network.load_state_dict(torch.load(options.weights, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"mask-rcnn weights: {options.weights} cannot be used: {reason}") from None
    return MaskRcnnProposer(network.eval().to(sources.device), options, sources.device)


def _class_names() -> list[str]:
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights

    names: list[str] = MaskRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    return names


ENTRY = ProposerEntry(MaskRcnnOptions, build)
"""What the entry point in pyproject.toml refers to."""
