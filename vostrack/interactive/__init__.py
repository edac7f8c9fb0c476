"""Masks from clicks and boxes, for the frame that a video is tracked from.

    from vostrack.interactive import Click, segment_clicks

    mask = segment_clicks(frame, [Click(320, 180), Click(40, 60, inside=False)])    # (H, W) bool

A mask is made in three steps. Cues of every pixel (what it looks like beside the clicked places,
how far away they are along the image, what the foreground network says of it) are added up to a
rough mask. The target network, fitted to that mask in closed form, and then to what it found,
segments a window around it. The sampled CRF moves its outline to the edges of the image. A later
click starts from that mask: what is near the click, looks like it, and lies on its side of the
edges changes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vostrack.interactive.prompts import Box, Click

if TYPE_CHECKING:
    from vostrack.interactive.segmenter import ClickFrame, ClickSegmenter, segment_clicks

__all__ = ["Box", "Click", "ClickFrame", "ClickSegmenter", "segment_clicks"]


def __getattr__(name: str) -> Any:
    # Clicks can be named without loading torch.
    if name not in __all__:
        raise AttributeError(f"module 'vostrack.interactive' has no attribute {name!r}")
    return getattr(import_module("vostrack.interactive.segmenter"), name)
