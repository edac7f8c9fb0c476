"""A clip that a target network is trained on, and whatever draws such clips."""

from __future__ import annotations

from typing import Protocol, TypedDict

from torch import Generator, Tensor

__all__ = ["ClipSource", "TrainingClip"]


class TrainingClip(TypedDict):
    """T frames with the objects to follow.

    Attributes:
        images: (T, 3, H, W) uint8 RGB.
        labels: (T, H, W) uint8; 0 background, 1..N the objects, all in the first frame, 255 void:
            what is there is not known, and nothing is learned from it.
        lost: the objects' places are forgotten after the first frame, which lies elsewhere in
            the video.
        resumed: the first frame lies elsewhere in the video, and the objects are followed from the
            second one on, whose truth is known: as if they had been followed up to there.
        seed: of what is drawn while the clip is followed.
    """

    images: Tensor
    labels: Tensor
    lost: bool
    resumed: bool
    seed: int


class ClipSource(Protocol):
    """Draws training clips."""

    def draw(self, generator: Generator, length: int) -> TrainingClip:
        """Draw a clip of ``length`` frames; ``generator`` is the only source of chance."""
        ...
