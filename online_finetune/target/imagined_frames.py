"""The frame in which objects were given, imagined with the objects elsewhere.

The memory of one frame knows an object only before the background that it stood on, and knows
nothing of the background behind it. An object that comes back elsewhere is then found in part, and
the place where it stood looks like a part of it. So the objects are cut out and pasted where
nothing was, after Khoreva et al. 2019, "Lucid Data Dreaming for Video Object Segmentation", and
these frames are remembered, too. They serve to search objects, not to follow them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import BoolArray, FloatArray
from vostrack.compute.precision import Precision
from vostrack.models.memory_cues import Memory
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.first_frame_augmentation import (
    FirstFrameAugmentationParams,
    FirstFrameAugmenter,
)
from vostrack.online_finetune.placement import Placement
from vostrack.online_finetune.target.eight_bit_stages import tracking_autocast
from vostrack.online_finetune.target.given_frames import GivenFrame, load_given
from vostrack.online_finetune.target.window import WindowConfig, choose_window

__all__ = ["Origin", "free_places"]

# Places along each side of the frame that are tried for an object.
_PLACES = 7
# Objects with fewer pixels at the size of the search are not imagined.
_SMALLEST = 30


@dataclass(frozen=True)
class Origin:
    """The frame in which objects were given, at the size at which the whole frame is searched.

    Attributes:
        frame: the image, and labels of all objects that were given in it.
        members: positions of these objects among them, from 0.
        imagined: memories of it with the objects elsewhere; None before they were needed.
    """

    frame: GivenFrame
    members: tuple[int, ...]
    imagined: tuple[Memory, ...] | None = None

    @staticmethod
    def of(image: Tensor, masks: Tensor, config: WindowConfig) -> Origin:
        """Keep a frame.

        Args:
            image: (3, h, w) in [0, 1].
            masks: (N, h, w) 0 or 1.
            config: how windows are laid.
        """
        window = choose_window(None, image.shape[1:], config)
        count = len(masks)
        slots = torch.arange(1, count + 1, dtype=masks.dtype, device=masks.device)
        labels = (window.crop(masks[:, None])[:, 0] > 0.5) * slots[:, None, None]
        seen = window.crop(image[None])[0].clamp(0, 1)
        frame = GivenFrame.of(seen, labels.amax(0), range(1, count + 1))
        return Origin(frame, tuple(range(count)))

    def part(self, index: Tensor, numbers: Sequence[int]) -> Origin:
        """Return those of some of the objects; see ``TrackedObjects.part``."""
        known = self.imagined
        return Origin(
            self.frame,
            tuple(self.members[k] for k in numbers),
            known and tuple(memory.part(index) for memory in known),
        )

    def remembered(
        self,
        network: TargetNet,
        size: Sequence[int],
        config: WindowConfig,
        views: int,
        precision: Precision,
    ) -> Origin:
        """Return the frame with its imagined memories.

        All objects that were given in it are imagined, also those that were removed since: so the
        result does not depend on when it is made.

        Args:
            network: on its device.
            size: h and w of the frames.
            config: how windows are laid.
            views: number of imagined frames.
            precision: of the backbone.
        """
        if self.imagined is not None:
            return self
        device = network.mean.device
        window, masks = choose_window(None, size, config), self.frame.masks(torch.device("cpu"))
        if (masks.sum((1, 2)) < _SMALLEST).any():
            return replace(self, imagined=())
        index = torch.tensor(self.members, device=device)
        found = []
        for image, moved in _imagined(self.frame, masks, views):
            with tracking_autocast(network, device, precision):
                features = network.features(image.to(device))
            positions = window.positions(device)
            memory = network.remember(features.float(), moved.to(device), positions)
            found.append(memory.part(index))
        return replace(self, imagined=tuple(found))

    def state_dict(self) -> dict[str, Any]:
        """Return the frame; its memories are made again where they are needed."""
        return {**self.frame.state_dict(), "members": list(self.members)}

    @staticmethod
    def from_state(state: Mapping[str, Any]) -> Origin:
        """Restore the result of ``state_dict``."""
        return Origin(load_given([state])[0], tuple(state["members"]))


def _imagined(frame: GivenFrame, masks: Tensor, views: int) -> list[tuple[Tensor, Tensor]]:
    """Imagine a frame: images (1, 3, h, w) in [0, 1] with masks (N, 1, h, w), 0 or 1.

    Every second one shows the objects mirrored.

    Args:
        frame: to cut the objects out of.
        masks: (N, h, w) of the objects, each with some pixels.
        views: number of images.
    """
    count = len(masks)
    slots = torch.arange(1, count + 1, dtype=masks.dtype)[:, None, None]
    labels = (masks * slots).amax(0).to(torch.uint8).numpy()
    augmenter = FirstFrameAugmenter(frame.image.permute(1, 2, 0).numpy(), labels)
    taken: BoolArray = labels > 0
    found = []
    for turn in range(views):
        moves = free_places(taken, augmenter.boxes)
        placements = tuple(Placement(x, y, mirror=bool(turn % 2)) for x, y in moves)
        order = tuple(range(1, count + 1))
        sample = augmenter.apply(
            FirstFrameAugmentationParams(placements, order, Placement(), None, 1.0, (1, 1, 1), 0.0)
        )
        taken = taken | (sample.labels > 0)
        moved = (torch.from_numpy(sample.labels) == slots).float()[:, None]
        found.append((torch.from_numpy(sample.image).permute(2, 0, 1)[None], moved))
    return found


def free_places(
    taken: BoolArray, boxes: Sequence[tuple[int, int, int, int]]
) -> list[tuple[float, float]]:
    """Choose how far to move objects so that they come to lie where nothing was.

    Args:
        taken: (h, w) bool, where something was.
        boxes: x0, y0, x1, y1 of each object, pixels.

    Returns:
        For each object, the shift along x and y, pixels. Among places that are equally free it is
        the farthest.
    """
    rows, columns = taken.shape
    busy: FloatArray = taken.astype(np.float32)
    moves = []
    for x0, y0, x1, y1 in boxes:
        width, height = x1 - x0, y1 - y0
        places = [
            (round(x), round(y))
            for y in np.linspace(0, rows - height, _PLACES)
            for x in np.linspace(0, columns - width, _PLACES)
        ]

        costs = []
        for x, y in places:
            share = float(busy[y : y + height, x : x + width].mean())
            costs.append((round(share, 3), -float(np.hypot(x - x0, y - y0)), x, y))
        *_, x, y = min(costs)
        busy[y : y + height, x : x + width] += 1
        moves.append((float(x - x0), float(y - y0)))
    return moves
