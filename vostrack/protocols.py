"""Interfaces between the tracker and its interchangeable parts.

Axes used throughout the project: N objects, K proposals, C channels, H rows, W columns, T frames.
A *frame* is an array (H, W, 3) uint8 RGB; an *image* is a tensor (3, h, w) float in [0, 1] at the
tracker's working resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

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
    "ObjectScores",
    "Refiner",
    "TemporalFilter",
]


@dataclass(frozen=True)
class InstanceProposals:
    """Instance proposals for one frame, best first.

    Attributes:
        masks: (K, H, W) bool, at the resolution of the frame.
        scores: (K,) float32 in [0, 1], descending.
        labels: (K,) int64 class of each instance; 0 if the proposer is class-agnostic.
        boxes: (K, 4) float32, x0, y0, x1, y1 in pixels; x1 and y1 are exclusive.
        soft: (K, H, W) float32 in [0, 1], the probability of each pixel to belong to the instance;
            None if the proposer knows masks only. The tracker prefers them to the masks.
        names: K names of the classes, for files and messages; None if the proposer has none.
    """

    masks: BoolArray
    scores: FloatArray
    labels: IntArray
    boxes: FloatArray
    soft: FloatArray | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Check that the shapes agree.

        Raises:
            InputError: a shape does not match the number of masks, or soft masks are outside
                [0, 1].
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
        if self.names is not None and len(self.names) != count:
            raise InputError(
                f"InstanceProposals.names: expected {count} names for {count} masks, "
                f"got {len(self.names)}"
            )
        if self.soft is not None:
            self._check_soft(self.soft)

    def _check_soft(self, soft: FloatArray) -> None:
        if soft.shape != self.masks.shape or soft.dtype != np.float32:
            raise InputError(
                f"InstanceProposals.soft: expected float32 of shape {self.masks.shape}, "
                f"got {soft.dtype} of shape {soft.shape}"
            )
        if soft.size and not (soft.min() >= 0 and soft.max() <= 1):
            raise InputError(
                "InstanceProposals.soft: expected probabilities in [0, 1], "
                f"got {soft.min()} to {soft.max()}"
            )

    def __len__(self) -> int:
        """Return K, the number of proposals."""
        return len(self.masks)


@dataclass(frozen=True)
class BackboneFeatures:
    """Backbone features of one window of a frame.

    Attributes:
        backbone: name of the backbone; see ``backbone_fingerprint``. If the network was
            fine-tuned on the video, the name of the backbone before fine-tuning.
        fine: (1, C, h, w) float32 features at stride 8.
        coarse: (1, C', ceil(h / 2), ceil(w / 2)) float32 features at stride 16.
        box: x0, y0, x1, y1 of the window as fractions of the frame's width and height, in [0, 1].
            They do not depend on the frame's resolution.
        size: H and W of the backbone's input image, in pixels.
    """

    backbone: str
    fine: Tensor
    coarse: Tensor
    box: tuple[float, float, float, float]
    size: tuple[int, int]


class InstanceProposer(Protocol):
    """Proposes instance masks in a single frame, without memory of other frames."""

    def propose(self, frame: UInt8Array, foreground: FloatArray | None) -> InstanceProposals:
        """Propose instances in one frame.

        Args:
            frame: (H, W, 3) uint8 RGB; a copy, as ``foreground`` is, to be written into at will.
            foreground: (H, W) float32 in [0, 1], the tracker's foreground probability for this
                frame; None if there is none.

        Returns:
            The proposals, best first.
        """
        ...


@runtime_checkable
class ObjectFollower(Protocol):
    """Optional interface of an ``InstanceProposer`` that uses the objects' last positions."""

    def follow(self, labels: UInt8Array) -> None:
        """Receive the label map of the previous frame. Called before each ``propose``.

        Args:
            labels: (H, W) uint8 at the resolution of the frame; 0 background, 1..N objects.
        """
        ...


@runtime_checkable
class FeatureConsumer(Protocol):
    """Optional interface of an ``InstanceProposer`` that can reuse backbone features.

    Shared features save the proposer a backbone pass of its own.
    """

    def use_features(self, features: BackboneFeatures | None) -> None:
        """Receive the backbone features of a frame. Called before each ``propose``.

        Args:
            features: features that the ``ObjectAdapter`` computed for the same frame; None if it
                shares none.
        """
        ...


@runtime_checkable
class FeatureProvider(Protocol):
    """Optional interface of an ``ObjectAdapter`` that shares its backbone features."""

    def shared_features(self) -> BackboneFeatures | None:
        """Return the backbone features of the frame that was scored last.

        The tensors are not copied. Callers must not modify them.

        Returns:
            The features; None before the first ``scores`` and after each ``commit``.
        """
        ...


class ObjectScores(NamedTuple):
    """Score maps of one frame.

    Attributes:
        objects: (N, h, w) in [0, 1], one map per object slot.
        foreground: (h, w) foreground probability in [0, 1]; None if the adapter has no foreground
            model.
    """

    objects: Tensor
    foreground: Tensor | None


class ObjectAdapter(Protocol):
    """Segments the objects of one video.

    It learns the objects from the first mask and then computes score maps for every later frame.
    """

    def start(self, image: Tensor, labels: Tensor) -> None:
        """Learn the objects from the first frame and its mask.

        Args:
            image: (3, h, w) float in [0, 1].
            labels: (h, w) int64; 0 background, 1..N object slots, 255 void.
        """
        ...

    def scores(self, image: Tensor) -> ObjectScores:
        """Compute the score maps of a frame.

        Args:
            image: (3, h, w) float in [0, 1].

        Returns:
            The object scores and the foreground probability.
        """
        ...

    def presence(self) -> Tensor | None:
        """Return the probability that each object is visible in the frame scored last.

        Returns:
            (N,) in [0, 1]; None if this adapter does not estimate presence.
        """
        ...

    def commit(self, scores: Tensor, labels: Tensor) -> None:
        """Update the memory with the final result of the frame scored last.

        Args:
            scores: (N, h, w) in [0, 1], after refinement and filtering.
            labels: (h, w) uint8, the label map of these scores; 0 background, slots 1..N.
        """
        ...

    def seek_start(self) -> None:
        """Return to the first frame and discard every memory update since then."""
        ...

    def state_dict(self) -> Mapping[str, Any]:
        """Return what ``start`` learned, as tensors and numbers that ``torch.save`` can write."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of ``state_dict``, instead of calling ``start``."""
        ...

    def running_state(self) -> Mapping[str, Any]:
        """Return the memory updates since the first frame, in the form of ``state_dict``."""
        ...

    def load_running_state(self, state: Mapping[str, Any]) -> None:
        """Load the result of ``running_state``, after ``load_state_dict``."""
        ...


class Refiner(Protocol):
    """Refines the score maps of one frame along image edges."""

    def __call__(self, image: Tensor, scores: Tensor) -> Tensor:
        """Refine the scores. The tensors are copies, to be written into at will.

        Args:
            image: (3, h, w) float in [0, 1].
            scores: (N, h, w) in [0, 1].

        Returns:
            The refined scores (N, h, w) in [0, 1].
        """
        ...


class TemporalFilter(Protocol):
    """Keeps the score maps of each frame consistent with the previous frames."""

    def start(self, labels: UInt8Array) -> None:
        """Start from the label map (h, w) uint8 of the first frame; slots 1..N."""
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
            candidates: returns (K, h, w) score maps in [0, 1] of regions where a lost object may
                reappear. It is called only if an object was lost or has shrunk.
            presence: N probabilities that the objects are visible; None if unknown.

        Returns:
            The scores (N, h, w), zero outside the region chosen for each object.
        """
        ...

    def commit(self, labels: UInt8Array) -> None:
        """Use the final label map (h, w) uint8 of this frame as reference for the next one."""
        ...

    def state_dict(self) -> Mapping[str, Any]:
        """Return the state kept between frames, as arrays and numbers."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of ``state_dict``."""
        ...
