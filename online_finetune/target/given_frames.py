"""The frames whose masks a user gave, to fine-tune on all of them again after each edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vostrack.datasets.augmentation import IGNORE

__all__ = ["GivenFrame", "load_given", "slot_masks", "with_given", "without_given"]


@dataclass(frozen=True)
class GivenFrame:
    """A frame with masks of some of the objects.

    Attributes:
        image: (3, h, w) uint8, on the CPU.
        labels: (h, w) uint8 on the CPU; 0 background, slots, 255 void.
        slots: the objects whose masks were given, ascending. One without a pixel is not in the
            frame. Other objects in ``labels`` were found by the tracker.
    """

    image: Tensor
    labels: Tensor
    slots: tuple[int, ...]

    @staticmethod
    def of(image: Tensor, labels: Tensor, slots: Sequence[int]) -> GivenFrame:
        """Keep a frame.

        Args:
            image: (3, h, w) in [0, 1].
            labels: (h, w) int64; 0 background, slots, 255 void.
            slots: the objects whose masks were given.
        """
        small = (image * 255).round().to(torch.uint8).cpu()
        return GivenFrame(small, labels.to(torch.uint8).cpu(), tuple(sorted(slots)))

    def pixels(self, device: torch.device) -> Tensor:
        """Return the image (3, h, w) in [0, 1] on a device."""
        return self.image.to(device).float().div_(255)

    def masks(self, device: torch.device) -> Tensor:
        """Return the given masks (N, h, w), 0 or 1, in the order of ``slots``."""
        slots = torch.tensor(self.slots, dtype=torch.uint8)[:, None, None]
        return (self.labels == slots).float().to(device)

    def void(self, device: torch.device) -> Tensor | None:
        """Return where the masks say nothing, (h, w) bool; None where that is nowhere."""
        return void_in(self.labels, device)

    @property
    def visible(self) -> tuple[int, ...]:
        """The objects whose given masks have pixels."""
        counts = torch.bincount(self.labels.flatten().int(), minlength=256).tolist()
        return tuple(slot for slot in self.slots if counts[slot])

    def learnable(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the image, and labels (h, w) int64 in which 1..n stand for ``visible``."""
        table = torch.zeros(256, dtype=torch.int64)
        table[IGNORE] = IGNORE
        for number, slot in enumerate(self.visible, start=1):
            table[slot] = number
        return self.pixels(device), table[self.labels.long()].to(device)

    def moved(self, places: Mapping[int, int]) -> GivenFrame:
        """Return the frame with other slots.

        Args:
            places: the new slot of each object that is left; the others become background.
        """
        table = torch.zeros(256, dtype=torch.uint8)
        table[IGNORE] = IGNORE
        for old, new in places.items():
            table[old] = new
        slots = tuple(sorted(places[slot] for slot in self.slots if slot in places))
        return GivenFrame(self.image, table[self.labels.long()], slots)

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and numbers by name."""
        return {"image": self.image, "labels": self.labels, "slots": list(self.slots)}


def slot_masks(labels: Tensor) -> Tensor:
    """Return the masks (N, h, w), 0 or 1, of the slots 1..N in labels (h, w); 255 is void."""
    count = int(labels.masked_fill(labels == IGNORE, 0).max())
    slots = torch.arange(1, count + 1, device=labels.device)[:, None, None]
    return (labels == slots).float()


def void_in(labels: Tensor, device: torch.device | None = None) -> Tensor | None:
    """Return which pixels of labels (h, w) are void, bool; None where none is.

    Args:
        labels: 0 background, 1..N slots, 255 void.
        device: of the result; by default that of the labels.
    """
    void = labels == IGNORE
    return void.to(device or labels.device) if bool(void.any()) else None


def load_given(saved: Sequence[Mapping[str, Any]]) -> tuple[GivenFrame, ...]:
    """Restore frames from what ``GivenFrame.state_dict`` returned."""
    return tuple(
        GivenFrame(each["image"].cpu(), each["labels"].cpu(), tuple(each["slots"]))
        for each in saved
    )


def with_given(frames: Sequence[GivenFrame], new: GivenFrame, most: int) -> tuple[GivenFrame, ...]:
    """Add a frame. Masks of the newest frame, or of one like it, are put over those before.

    Args:
        frames: oldest first.
        new: what was given now.
        most: number of frames to keep besides those in which an object begins, at least 1. The
            oldest are dropped.
    """
    kept = list(frames)
    if kept and torch.equal(kept[-1].image, new.image):
        kept[-1] = _put_over(kept[-1], new)
    else:
        kept.append(new)
    begun: set[int] = set()
    further = []
    for frame in kept:
        if begun.issuperset(frame.slots):
            further.append(frame)
        begun.update(frame.slots)
    dropped = {id(frame) for frame in further[:-most]}
    return tuple(frame for frame in kept if id(frame) not in dropped)


def _put_over(old: GivenFrame, new: GivenFrame) -> GivenFrame:
    """Return the given masks of two frames with the same image; new ones replace old ones."""
    slots = torch.tensor(new.slots, dtype=torch.uint8)
    labels = old.labels.masked_fill(torch.isin(old.labels, slots), 0)
    labels = torch.where(torch.isin(new.labels, slots), new.labels, labels)
    return GivenFrame(new.image, labels, tuple(sorted({*old.slots, *new.slots})))


def without_given(
    frames: Sequence[GivenFrame], gone: Sequence[int], count: int
) -> tuple[GivenFrame, ...]:
    """Forget objects; later slots move up.

    Args:
        frames: oldest first.
        gone: slots of the objects.
        count: number of objects before.
    """
    left = [slot for slot in range(1, count + 1) if slot not in set(gone)]
    places = {old: new for new, old in enumerate(left, start=1)}
    moved = (frame.moved(places) for frame in frames)
    return tuple(frame for frame in moved if frame.slots)
