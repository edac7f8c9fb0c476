"""The proposer ``hough``: pixels vote for the boxes of their instances."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks.palette import VOID
from vostrack.models.localizer import localizer_fingerprint
from vostrack.models.shared_backbone import backbone_fingerprint
from vostrack.models.target_net import TargetNet
from vostrack.models.weights_file import read_state_dict
from vostrack.proposers.hough_voting.fullsize import instance_proposals
from vostrack.proposers.hough_voting.localizers import FcrnLocalizer, HeadLocalizer, Localizer
from vostrack.proposers.hough_voting.mask_localizer import BACKBONE_KIND, MaskLocalizer
from vostrack.proposers.hough_voting.options import HoughOptions
from vostrack.proposers.hough_voting.views import ViewConfig, average_views
from vostrack.proposers.hough_voting.visualization import write_votes
from vostrack.proposers.hough_voting.votes import VotingConfig
from vostrack.proposers.hough_voting.voting import find_instances
from vostrack.proposers.semantic import read_semantic_mask
from vostrack.proposers.sources import ProposerSources
from vostrack.protocols import (
    BackboneFeatures,
    FeatureConsumer,
    InstanceProposals,
)

__all__ = ["HoughOptions", "HoughProposer", "build_hough"]

_CLASSES = 21


@dataclass
class HoughProposer:
    """Finds the instances in the masks of a semantic network, or in the foreground.

    Implements ``ImageProposer``, ``FeatureConsumer`` and ``FeatureReader``.

    Attributes:
        localizer: predicts the boxes.
        voting: how votes become instances.
        semantic: network from images (B, 3, H, W) in [0, 1] to logits (B, 21, H, W); without one
            the proposer is class-agnostic.
        semantic_masks: folder of class masks that replace the network, by image name.
        views: the views the semantic network averages over; None uses only the image itself.
        save_votes: folder for drawings.
        device: where the networks are.
    """

    localizer: Localizer
    voting: VotingConfig = field(default_factory=VotingConfig)
    semantic: nn.Module | None = None
    semantic_masks: Path | None = None
    views: ViewConfig | None = None
    save_votes: Path | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    _drawn: int = 0
    _shared: BackboneFeatures | None = None

    def use_features(self, features: BackboneFeatures | None) -> None:
        """Take the features of the frame that ``propose`` is called for next."""
        self._shared = features

    def reads_features_of(self, tracked: TargetNet | None) -> bool:
        """Tell whether the boxes take no pass over the frame; see ``FeatureReader``."""
        localizer = self.localizer
        if isinstance(localizer, HeadLocalizer) and localizer.backbone is not None:
            return tracked is not None and localizer.backbone == backbone_fingerprint(tracked)
        return not isinstance(localizer, FcrnLocalizer)

    def propose(self, frame: UInt8Array, foreground: FloatArray | None) -> InstanceProposals:
        """Propose instances.

        Args:
            frame: (H, W, 3) uint8 RGB.
            foreground: (H, W) in [0, 1]; used without a semantic network. If it is None, the
                localizer's own foreground is used.

        Raises:
            InputError: there is neither a semantic network nor any foreground.
        """
        image = self._image(frame)
        shared, self._shared = self._shared, None
        if self.semantic is not None:
            probabilities = self._classes(image)
        else:
            probabilities = self._two_classes(image, foreground)
        if isinstance(self.localizer, FeatureConsumer):
            self.localizer.use_features(shared)
        self._drawn += 1
        return self._propose(image, frame, probabilities, f"{self._drawn - 1:05d}")

    def propose_image(self, name: str, frame: UInt8Array) -> InstanceProposals:
        """Propose instances of a named image; see ``ImageProposer``."""
        image = self._image(frame)
        if self.semantic_masks is not None:
            mask = read_semantic_mask(
                self.semantic_masks, name, (frame.shape[0], frame.shape[1])
            ).astype(np.int64)
            unknown = sorted({int(k) for k in np.unique(mask) if k >= _CLASSES and k != VOID})
            if unknown:
                raise InputError(
                    f"hough: {self.semantic_masks / name}.png has the class {unknown[0]}, expected "
                    f"0 to {_CLASSES - 1} and {VOID} for void; map the classes to those of VOC"
                )
            probabilities = np.eye(_CLASSES, dtype=np.float32)[np.where(mask == VOID, 0, mask)]
            probabilities = np.ascontiguousarray(probabilities.transpose(2, 0, 1))
        elif self.semantic is not None:
            probabilities = self._classes(image)
        else:
            probabilities = self._two_classes(image, None)
        return self._propose(image, frame, probabilities, name)

    def _propose(
        self, image: Tensor, frame: UInt8Array, probabilities: FloatArray, name: str
    ) -> InstanceProposals:
        stride = self.localizer.stride
        cells = _by_cells(probabilities, stride)
        # Skip classes that no cell votes for.
        present = [k for k in range(1, len(cells)) if (cells[k] >= self.voting.floor).any()]
        boxes = np.zeros((len(cells) - 1, 4, *cells.shape[1:]), np.float32)
        if present:
            predicted = self.localizer.boxes(
                image, np.ascontiguousarray(cells[present]), probabilities
            )
            if len(predicted) == len(present):
                boxes[np.array(present) - 1] = predicted
            elif len(predicted) in (1, len(boxes)):
                boxes[:] = predicted
            else:
                raise InputError(
                    f"hough: the localizer gives boxes of {len(predicted)} classes, the semantic "
                    f"network knows {len(boxes)}; give networks of the same classes"
                )
        votes, found = find_instances(cells, boxes, self.voting)
        proposals = instance_proposals(
            found,
            probabilities,
            (cells.shape[1], cells.shape[2]),
            stride,
            self.voting,
            with_labels=len(probabilities) > 2,
        )
        if self.save_votes is not None:
            write_votes(self.save_votes / f"{name}.png", frame, votes, proposals, stride)
        return proposals

    def _image(self, frame: UInt8Array) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(frame)).to(self.device)
        return tensor.permute(2, 0, 1)[None].float() / 255

    @torch.inference_mode()
    def _classes(self, image: Tensor) -> FloatArray:
        """Return class probabilities (21, H, W)."""
        semantic = self.semantic
        assert semantic is not None

        def predict(seen: Tensor) -> Tensor:
            logits: Tensor = semantic(seen)
            return logits.float().softmax(1)

        if self.views is None:
            scores = predict(image)
        else:
            scores = average_views(predict, image, self.views, transforms=False)
        probabilities: FloatArray = scores[0].cpu().numpy()
        return probabilities

    def _two_classes(self, image: Tensor, foreground: FloatArray | None) -> FloatArray:
        if foreground is None:
            if not isinstance(self.localizer, HeadLocalizer | MaskLocalizer):
                raise InputError(
                    "hough: a localisation network alone does not tell which pixels belong to "
                    "an object; give a semantic network with `semantic`"
                )
            foreground = self.localizer.foreground(image)
        return np.stack([1 - foreground, foreground]).astype(np.float32)


def _by_cells(probabilities: FloatArray, stride: int) -> FloatArray:
    """Average (L, H, W) over cells: (L, ceil(H / stride), ceil(W / stride))."""
    height, width = probabilities.shape[1:]
    tensor = torch.from_numpy(np.ascontiguousarray(probabilities))[None]
    missing = (0, -width % stride, 0, -height % stride)
    padded = F.pad(tensor, missing, mode="replicate")
    cells: FloatArray = F.avg_pool2d(padded, stride)[0].numpy()
    return cells


def build_hough(options: HoughOptions, sources: ProposerSources) -> HoughProposer:
    """Wire the proposer.

    Without a semantic network or class masks it is class-agnostic.

    Raises:
        InputError: an option is out of its range, a file does not hold what it should, or the
            sources hold detections, which this method does not use.
    """
    if sources.detections is not None:
        raise InputError("hough: uses no detections; leave `detections` out")
    views = ViewConfig() if options.multi_view else None
    localizer = _localizer(options, sources, views)
    agnostic = sources.semantic is None and sources.semantic_masks is None
    if agnostic and isinstance(localizer, FcrnLocalizer) and localizer.classes > 1:
        raise InputError(
            f"hough: {options.localizer} gives boxes of {localizer.classes} classes, but the "
            "classes of the pixels are unknown; give a semantic network with `semantic`, or a "
            "localizer that was trained on the layout davis"
        )
    return HoughProposer(
        localizer=localizer,
        voting=VotingConfig(
            top=options.top,
            floor=options.floor,
            overlap=options.overlap,
            by_support=options.by_support,
            regroup=options.regroup,
            min_cells=options.min_cells,
            region_overlap=options.region_overlap,
        ),
        semantic=sources.semantic,
        semantic_masks=sources.semantic_masks,
        views=views,
        save_votes=options.save_votes,
        device=sources.device,
    )


def _localizer(
    options: HoughOptions, sources: ProposerSources, views: ViewConfig | None
) -> Localizer:
    if options.localizer == "none":
        return HeadLocalizer(None, None)
    if options.localizer == "shipped":
        return MaskLocalizer.load(sources.device)
    path = Path(options.localizer)
    if any(key.startswith("backbone.") for key in read_state_dict(path)):
        return FcrnLocalizer.load(path, sources.device, views)
    if (localizer_fingerprint(path) or "").startswith(f"{BACKBONE_KIND}-"):
        return MaskLocalizer.load(sources.device, path)
    return HeadLocalizer.load(sources.device, path, tracked=sources.tracked)
