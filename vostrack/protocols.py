"""The contracts between the tracker and the parts that can be swapped.

Axes, everywhere in the project: N objects, K proposals, C channels, H rows, W columns, T frames.
A *frame* is an array (H, W, 3) uint8 RGB; an *image* is a tensor (3, h, w) float in [0, 1] at the
tracker's working resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from vostrack.arrays import BoolArray, FloatArray, IntArray, UInt8Array
from vostrack.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "BackboneFeatures",
    "FeatureConsumer",
    "FeatureProvider",
    "InstanceProposals",
    "InstanceProposer",
    "ObjectAdapter",
    "ObjectFollower",
    "Refiner",
    "TemporalFilter",
]


@dataclass(frozen=True)
class InstanceProposals:
    """The instances that a proposer sees in one frame, best first.

    Attributes:
        masks: (K, H, W) bool, at the resolution of the frame that was given.
        scores: (K,) float32 in [0, 1], descending.
        labels: (K,) int64 class of each instance; 0 where the proposer knows no classes.
        boxes: (K, 4) float32, x0, y0, x1, y1 in pixels, the end exclusive.
    """

    masks: BoolArray
    scores: FloatArray
    labels: IntArray
    boxes: FloatArray

    def __post_init__(self) -> None:
        """Check the shapes against one another.

        Raises:
            InputError: a shape does not fit the number of masks.
        """
        if self.masks.ndim != 3 or self.masks.dtype != np.bool_:
            raise InputError(
                "InstanceProposals.masks: expected a bool array of shape (K, H, W), "
                f"got {self.masks.dtype} of shape {self.masks.shape}"
            )
        count = len(self.masks)
        expected = {"scores": (count,), "labels": (count,), "boxes": (count, 4)}
        for name, shape in expected.items():
            actual = getattr(self, name).shape
            if actual != shape:
                raise InputError(
                    f"InstanceProposals.{name}: expected shape {shape} for {count} masks, "
                    f"got {actual}"
                )

    def __len__(self) -> int:
        """Return K, the number of proposals."""
        return len(self.masks)


@dataclass(frozen=True)
class BackboneFeatures:
    """What the backbone of a network made of a window of a frame.

    Attributes:
        backbone: its name, see ``backbone_fingerprint``. Where the network was fitted to the
            video, the name of what it was before.
        fine: (1, C, h, w) float32 features at stride 8.
        coarse: (1, C', ceil(h / 2), ceil(w / 2)) float32 features at stride 16.
        box: x0, y0, x1, y1 of the window as shares of the frame's width and height, in [0, 1]: the
            same for the frame at any resolution.
        size: rows and columns of the image that the backbone saw, pixels.
    """

    backbone: str
    fine: Tensor
    coarse: Tensor
    box: tuple[float, float, float, float]
    size: tuple[int, int]


class InstanceProposer(Protocol):
    """Finds instances in a single frame, with no memory of other frames."""

    def propose(self, frame: UInt8Array, foreground: FloatArray | None) -> InstanceProposals:
        """Propose instances.

        Args:
            frame: (H, W, 3) uint8 RGB.
            foreground: (H, W) in [0, 1], the tracker's foreground probability of this frame, or
                None when there is no tracker.
        """
        ...


@runtime_checkable
class ObjectFollower(Protocol):
    """What an ``InstanceProposer`` offers in addition if it looks where the objects were before."""

    def follow(self, labels: UInt8Array) -> None:
        """Take the objects of the previous frame, before each frame's ``propose``.

        Args:
            labels: (H, W) uint8 at the resolution of the frames; 0 background, 1..N the objects.
        """
        ...


@runtime_checkable
class FeatureConsumer(Protocol):
    """What an ``InstanceProposer`` offers in addition if features that exist save it a pass."""

    def use_features(self, features: BackboneFeatures | None) -> None:
        """Take the features of a frame, before each frame's ``propose``.

        Args:
            features: what the ``ObjectAdapter`` computed for the same frame; None where it lends
                nothing.
        """
        ...


@runtime_checkable
class FeatureProvider(Protocol):
    """What an ``ObjectAdapter`` offers in addition if it lends the features that it computed."""

    def shared_features(self) -> BackboneFeatures | None:
        """Return those of the frame that was scored last; None before that, and after ``commit``.

        They are not copied: whoever reads them changes nothing.
        """
        ...


class ObjectAdapter(Protocol):
    """Learns the objects of one video from their first masks, then scores every later frame."""

    def start(self, image: Tensor, labels: Tensor) -> None:
        """Learn from the first frame.

        Args:
            image: (3, h, w) float in [0, 1].
            labels: (h, w) int64; 0 background, 1..N the object slots, 255 void.
        """
        ...

    def scores(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """Score a frame.

        Args:
            image: (3, h, w) float in [0, 1].

        Returns:
            The object scores (N, h, w) in [0, 1], and the foreground probability (h, w) or None
            when this adapter has no foreground model.
        """
        ...

    def presence(self) -> Tensor | None:
        """Return (N,) the probability of each object's being in the frame that was scored last.

        None where this adapter has no estimate of its own.
        """
        ...

    def commit(self, scores: Tensor, labels: Tensor) -> None:
        """Take the final result of the frame that was scored last, to learn from it.

        Args:
            scores: (N, h, w) in [0, 1], after all filters.
            labels: (h, w) uint8, the label map made of them, slots 1..N.
        """
        ...

    def seek_start(self) -> None:
        """Go back to the first frame: forget what ``commit`` taught."""
        ...

    def state_dict(self) -> Mapping[str, Any]:
        """Return what was learnt, as plain tensors and numbers that ``torch.save`` can write."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` returned, in place of ``start``."""
        ...

    def running_state(self) -> Mapping[str, Any]:
        """Return what ``commit`` taught since the first frame, as ``state_dict`` does."""
        ...

    def load_running_state(self, state: Mapping[str, Any]) -> None:
        """Take up what ``running_state`` returned, after ``load_state_dict``."""
        ...


class Refiner(Protocol):
    """Sharpens the score maps of one frame along its image edges."""

    def __call__(self, image: Tensor, scores: Tensor) -> Tensor:
        """Refine.

        Args:
            image: (3, h, w) float in [0, 1].
            scores: (N, h, w) in [0, 1].

        Returns:
            (N, h, w) in [0, 1].
        """
        ...


class TemporalFilter(Protocol):
    """Keeps the score maps of one frame consistent with the frames before it."""

    def start(self, labels: UInt8Array) -> None:
        """Take the label map (h, w) of the first frame, slots 1..N."""
        ...

    def __call__(
        self,
        scores: FloatArray,
        candidates: Callable[[], FloatArray] | None = None,
        presence: Sequence[float] | None = None,
    ) -> FloatArray:
        """Filter the scores of the next frame.

        Args:
            scores: (N, h, w) in [0, 1].
            candidates: gives (K, h, w) score maps in [0, 1] of further regions that a lost object
                may be found in; called only when an object is lost or shrank.
            presence: probability of each object's being in the frame, where that is known.

        Returns:
            The scores (N, h, w), zero outside the region chosen for each object.
        """
        ...

    def commit(self, labels: UInt8Array) -> None:
        """Take the final label map (h, w) of the frame as the reference of the next one."""
        ...

    def state_dict(self) -> Mapping[str, Any]:
        """Return the state between frames, as arrays and numbers."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` returned."""
        ...
