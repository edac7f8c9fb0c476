"""Time saved when the tracker shares its features with the localisation head of hough.

Three trackers of one preset follow the same clip in turn, frame by frame, and ask for proposals on
every frame: with the head on shared features, with the head on a pass of its own, and without a
head. Counted are the backbone passes of each and the seconds of each step.

    python benchmarks/shared_features.py --localizer FILE [--preset fast] [--frames 30]

The clip is examples/crossing.mp4 by default; FILE is a head on the backbone of the target network.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from record import begin_record, benchmark_parser, finish_record, spread
from torch import Tensor

from vostrack.arrays import FloatArray
from vostrack.build import build_tracker
from vostrack.masks import read_first_mask
from vostrack.models.backbones import ResNetBackbone
from vostrack.presets import TrackerOptions
from vostrack.proposers.hough_voting import HoughProposer
from vostrack.protocols import BackboneFeatures
from vostrack.refine.craf import Craf
from vostrack.tracking.tracker import Tracker
from vostrack.video import open_source

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


class Asking(Craf):
    """Asks for proposals on every frame, not only for lost objects."""

    def __call__(
        self,
        scores: FloatArray,
        candidates: Callable[[], FloatArray] | None = None,
        presence: Any = None,
    ) -> FloatArray:
        """Filter as ever, with proposals that are there already."""
        assert candidates is not None
        found = candidates()
        return super().__call__(scores, lambda: found, presence)


class Deaf(HoughProposer):
    """Ignores the shared features."""

    def use_features(self, features: BackboneFeatures | None) -> None:
        """Leave it."""


def build(arguments: argparse.Namespace, way: str) -> Tracker:
    """Build the tracker of one way."""
    head = None if way == "no head" else str(arguments.localizer)
    options = TrackerOptions(craf=True, proposer="hough", proposer_options={"localizer": head})
    tracker = build_tracker(arguments.preset, device=arguments.device, options=options)
    tracker.temporal_filter = Asking()
    proposer = tracker.proposer
    if way == "own pass" and isinstance(proposer, HoughProposer):
        tracker.proposer = Deaf(proposer.localizer, device=proposer.device)
    return tracker


def count_passes() -> list[int]:
    """Return a list that every backbone pass of the process is written to: its pixels."""
    seen: list[int] = []
    original = ResNetBackbone.stage

    def stage(self: ResNetBackbone, x: Tensor, stride: int) -> Tensor:
        if stride == 2:
            seen.append(x.shape[-2] * x.shape[-1])
        return original(self, x, stride)

    ResNetBackbone.stage = stage  # type: ignore[method-assign]  # to count, in this process only
    return seen


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Follow the clip in all ways, in turn."""
    ways = ("shared", "own pass", "no head")
    trackers = {way: build(arguments, way) for way in ways}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    passes: dict[str, list[int]] = {way: [] for way in ways}
    counted = count_passes()
    with open_source(str(arguments.video)) as source:
        mask = read_first_mask(arguments.first_mask, size=source.size)
        for frame in source:
            if frame.index == 0:
                for tracker in trackers.values():
                    tracker.start(frame.image, mask.labels)
                continue
            if frame.index > arguments.frames:
                break
            for way in ways[frame.index % 3 :] + ways[: frame.index % 3]:
                counted.clear()
                begin = time.perf_counter()
                trackers[way].step(frame.image)
                seconds[way].append(time.perf_counter() - begin)
                passes[way].append(len(counted))
    # The first frames of a shape are slower: libraries prepare their kernels.
    return {
        way: {"step": spread(seconds[way][3:]), "passes": sorted(set(passes[way]))} for way in ways
    }


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = benchmark_parser(__doc__, threads=torch.get_num_threads())
    parser.add_argument("--localizer", type=Path, required=True, help="head on the target backbone")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--video", type=Path, default=EXAMPLES / "crossing.mp4")
    parser.add_argument("--first-mask", type=Path, default=EXAMPLES / "crossing_first_mask.png")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    packages = ("torch", "numpy", "opencv-python")
    record = begin_record("features shared with the localisation head", packages)
    record["ways"] = measure(arguments)
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
