"""The proposer: a semantic mask in, instances out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.proposers.displacement.centres import CellInstances, CentreConfig, find_instances
from vostrack.proposers.displacement.grouping import (
    GroupingConfig,
    connected_pieces,
    merge_neighbours,
)
from vostrack.proposers.displacement.networks import DisplacementNet
from vostrack.proposers.displacement.options import DisplacementOptions
from vostrack.proposers.displacement.segmentation import (
    Segmentation,
    from_foreground,
    from_labels,
)
from vostrack.proposers.displacement.selection import (
    Candidates,
    SelectionConfig,
    score_maps,
    select_instances,
    spread_scores,
)
from vostrack.proposers.displacement.trace import DisplacementTrace
from vostrack.proposers.semantic import read_semantic_mask
from vostrack.protocols import InstanceProposals

__all__ = ["DisplacementConfig", "DisplacementProposer"]


@dataclass(frozen=True)
class DisplacementConfig:
    """Settings of ``DisplacementProposer``.

    Attributes:
        longest: label maps are scaled to this length of their longer side, pixels.
        boundaries: whether the random walk with the boundary map refines the instances; without it,
            the displacement field decides alone.
        pieces: whether instances are searched in every connected piece of a class separately;
            otherwise in all of a class together, as the paper does.
        centres: how instances are found in the field.
        grouping: which neighbours are merged; None keeps all apart, as the paper does.
        cut_score: factor of the scores of instances that share a piece, because whole pieces are
            right more often.
        selection: how masks are made of them.
        threshold: without classes, a pixel is foreground from this probability on.
    """

    longest: int = DisplacementOptions.longest
    boundaries: bool = DisplacementOptions.boundaries
    pieces: bool = True
    centres: CentreConfig = field(default_factory=CentreConfig)
    grouping: GroupingConfig | None = field(default_factory=GroupingConfig)
    cut_score: float = 0.75
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    threshold: float = 0.5

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is out of its range.
        """
        if self.longest < 16:
            raise InputError(f"longest: expected at least 16 pixels, got {self.longest}")
        if not 0 <= self.cut_score <= 1:
            raise InputError(f"cut_score: expected a value in [0, 1], got {self.cut_score}")
        if not 0 < self.threshold <= 1:
            raise InputError(f"threshold: expected a value in (0, 1], got {self.threshold}")


class DisplacementProposer:
    """Instances from a semantic or foreground mask; an ``ImageProposer``.

    It is class-aware with a semantic network or given masks. Otherwise it is class-agnostic
    (label 0), and the mask is the caller's foreground.

    Args:
        network: field and boundary; put into evaluation mode.
        semantic: images (1, 3, H, W) in [0, 1] to class logits (1, L, H, W), background first.
        masks: folder with a class mask NAME.png of each image, for ``propose_image``.
        config: settings.
        device: where the network runs; a semantic network must be there already.
        save_fields: folder for an image of field, centres, boundary and instances of each frame.

    Raises:
        InputError: both a semantic network and masks were given.
    """

    def __init__(
        self,
        network: DisplacementNet,
        semantic: nn.Module | None = None,
        masks: Path | None = None,
        config: DisplacementConfig | None = None,
        *,
        device: str | torch.device = "cpu",
        save_fields: Path | None = None,
    ) -> None:
        if semantic is not None and masks is not None:
            raise InputError(
                "displacement: got a semantic network and given masks; give one of `semantic` and "
                "`semantic_masks`"
            )
        self.device = torch.device(device)
        self.network = network.eval().to(self.device)
        self.semantic = semantic
        self.masks = masks
        self.config = config or DisplacementConfig()
        self.save_fields = save_fields
        self._unnamed = 0

    def propose(self, frame: UInt8Array, foreground: FloatArray | None) -> InstanceProposals:
        """Segment the classes of the frame, or take its foreground, and find the instances.

        Args:
            frame: (H, W, 3) uint8 RGB.
            foreground: (H, W) in [0, 1]; required without a semantic network, otherwise unused.

        Raises:
            InputError: there is neither a semantic network nor a foreground.
        """
        if self.semantic is not None:
            segmentation = self.segment(frame)
        elif foreground is not None:
            segmentation = from_foreground(foreground, self.config.threshold, self.device)
        else:
            raise InputError(
                "displacement: expected a semantic mask to find instances in; give `semantic` "
                "or `semantic_masks`, or use it in a tracker with a foreground model"
            )
        self._unnamed += 1
        return self._propose(f"{self._unnamed - 1:05d}", frame, segmentation)

    def propose_image(self, name: str, frame: UInt8Array) -> InstanceProposals:
        """Find the instances of a named image, in its given mask if there are given masks.

        Args:
            name: file name without its suffix.
            frame: (H, W, 3) uint8 RGB.

        Raises:
            InputError: there is no mask of that name or size, or as ``propose``.
        """
        if self.masks is not None:
            size = (frame.shape[0], frame.shape[1])
            labels = read_semantic_mask(self.masks, name, size)
            return self._propose(name, frame, from_labels(labels, self.device))
        if self.semantic is not None:
            return self._propose(name, frame, self.segment(frame))
        return self.propose(frame, None)

    @torch.no_grad()
    def segment(self, frame: UInt8Array) -> Segmentation:
        """Classify every pixel of (H, W, 3) uint8 RGB with the semantic network."""
        assert self.semantic is not None
        image = torch.from_numpy(np.ascontiguousarray(frame)).to(self.device)
        logits = self.semantic(image.permute(2, 0, 1)[None].float() / 255)[0]
        probabilities = logits.float().softmax(0)
        return Segmentation(probabilities.argmax(0), probabilities)

    def find(self, segmentation: Segmentation) -> tuple[InstanceProposals, DisplacementTrace]:
        """Find the instances of a segmentation. Labels 1 without classes stay 1.

        Returns:
            The proposals, and the intermediate results.
        """
        labels, probabilities = segmentation
        config = self.config
        small = self._scaled(labels).to(labels)
        predicted, boundaries = self.network.field_and_boundary(small[None])
        displacement, boundary = predicted[0], boundaries[0, 0]
        pieces = connected_pieces(
            labels.cpu().numpy(), config.selection.min_pixels, whole=not config.pieces
        )
        numbers = torch.from_numpy(pieces.numbers).to(self.device)
        cells = self._scaled(numbers)[2::4, 2::4]
        # Here the "classes" of instances are the numbers of pieces.
        instances = find_instances(displacement, cells, config.centres, void=-1)
        if config.grouping is not None:
            drawn = boundary.cpu().numpy() if config.boundaries else None
            instances = merge_neighbours(instances, drawn, config.grouping)
        shares = F.adaptive_avg_pool2d(probabilities[None], (cells.shape[0], cells.shape[1]))[0]
        kept = CellInstances(
            instances.numbers,
            pieces.classes[instances.classes - 1],
            instances.centres,
            instances.rests,
        )
        maps = score_maps(kept, shares)
        if config.boundaries and len(kept.classes):
            maps = spread_scores(maps, boundary, config.selection)
        # A piece so thin that no cell shows it is one instance.
        thin = np.setdiff1d(np.arange(1, len(pieces.classes) + 1), instances.classes)
        members = np.concatenate([instances.classes, thin])
        cut = (np.bincount(members, minlength=1)[members] > 1) & config.pieces
        found = Candidates(
            torch.cat([maps, maps.new_zeros(len(thin), *cells.shape)]),
            pieces.classes[members - 1],
            members,
            np.where(cut, config.cut_score, 1.0),
        )
        proposals = select_instances(found, numbers, probabilities, config.selection)
        return proposals, DisplacementTrace(displacement, boundary, kept)

    def _scaled(self, labels: Tensor) -> Tensor:
        """Scale (H, W) labels to ``longest``, with sides that are multiples of 16."""
        factor = self.config.longest / max(labels.shape)
        size = [max(16, round(side * factor / 16) * 16) for side in labels.shape]
        # Doubles represent every number of a piece exactly.
        return F.interpolate(labels[None, None].double(), size, mode="nearest-exact")[0, 0].long()

    def _propose(
        self, name: str, frame: UInt8Array, segmentation: Segmentation
    ) -> InstanceProposals:
        proposals, trace = self.find(segmentation)
        if self.semantic is None and self.masks is None:
            proposals = InstanceProposals(
                proposals.masks, proposals.scores, np.zeros_like(proposals.labels), proposals.boxes
            )
        if self.save_fields is not None:
            from vostrack.proposers.displacement.visualization import write_instances

            write_instances(self.save_fields / f"{name}.png", frame, segmentation, proposals, trace)
        return proposals
