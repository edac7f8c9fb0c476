"""Measure whether objects keep their identity when they go out of sight and come back.

The clips are drawn by vostrack.datasets.occlusions: with painted objects, and with --objects also
with objects cut out of photographs, over frames of --backgrounds. They hold walls, exits, objects
that hide one another, look-alikes that cross, shot cuts and objects that start late. An object is
right if, 10 frames after it came back, the mask with its id overlaps with the truth by at least one
half (J). Reported are the share of right objects for each kind and for each time out of sight, the
share of frames in which an object that is out of sight has a mask all the same, the reliability of
presence (see benchmarks/reliability.py), and milliseconds per frame.

    python benchmarks/occlusions.py [--objects DIR --backgrounds DIR ...] [--preset fast]
        [--seed 0] [--repeats 1] [--kinds NAME ...] [--shortest 50] [--longest 100] [--json FILE]

Objects and backgrounds are those that composed training clips leave out; --half chooses every
second one, so that settings can be chosen on one half and judged on the other.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import begin_record, benchmark_parser, finish_record
from reliability import curve

from vostrack.arrays import BoolArray
from vostrack.build import build_tracker
from vostrack.datasets.composites import open_sources
from vostrack.datasets.occlusions import (
    OCCLUSION_KINDS,
    Material,
    OcclusionClip,
    PaintedMaterial,
    PhotoMaterial,
    draw_occlusion,
    occlusion_suite,
)
from vostrack.presets import TrackerOptions
from vostrack.tracking.tracker import Tracker

# Distinct looks, and at least so many frames out of sight: the harder part of coming back.
LONG = 50
SMALLEST = 30


def jaccard(one: BoolArray, other: BoolArray) -> float:
    """Return the intersection over union of two masks."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0


def follow(tracker: Tracker, clip: OcclusionClip) -> dict[str, Any]:
    """Track a clip; return what is judged, and what was said of objects out of sight."""
    judged = {(each.number, each.frame): each for each in clip.judged}
    rows: list[dict[str, Any]] = []
    presence: list[tuple[float, float, float]] = []
    out_of_sight = ghosts = 0
    seconds = 0.0
    for index, (frame, labels) in enumerate(clip):
        if index == 0:
            tracker.start(frame, np.where(np.isin(labels, _given(clip, 0)), labels, 0))
            continue
        begin = time.perf_counter()
        result = tracker.step(frame)
        seconds += time.perf_counter() - begin
        late = _given(clip, index)
        if late:
            tracker.add_objects(frame, np.where(np.isin(labels, late), labels, 0))
        for number, said in zip(result.ids, result.presence, strict=True):
            truth, found = labels == number, result.labels == number
            overlap = jaccard(truth, found)
            pixels = int(truth.sum())
            there = pixels >= SMALLEST
            presence.append((round(said, 4), float(there), float(there and overlap >= 0.5)))
            if not pixels:
                out_of_sight += 1
                ghosts += bool(found.any())
            if (number, index) in judged:
                away = judged[number, index].away
                right = overlap >= 0.5 and pixels >= SMALLEST
                rows.append({"id": number, "away": away, "J": round(overlap, 3), "right": right})
    return {
        "clip": clip.name,
        "kind": clip.kind,
        "judged": rows,
        "presence": presence,
        "out_of_sight": out_of_sight,
        "ghosts": ghosts,
        "frames": len(clip) - 1,
        "seconds": seconds,
    }


def _given(clip: OcclusionClip, index: int) -> list[int]:
    return [number for number, start in clip.starts.items() if start == index]


def summarize(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return shares of right objects: in all, by kind, by time out of sight, after long ones."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for clip in found:
        for row in clip["judged"]:
            keys = ["all", f"kind {clip['kind']}"]
            if row["away"]:
                keys.append(f"away {row['away']}")
            if row["away"] >= LONG:
                keys.append(f"away {LONG} and more")
            for key in keys:
                groups[key].append(row["right"])
    out_of_sight = sum(clip["out_of_sight"] for clip in found)
    presence, there, seen = np.array([row for clip in found for row in clip["presence"]]).T
    return {
        "right": {
            key: {"share": round(float(np.mean(rows)), 3), "objects": len(rows)}
            for key, rows in sorted(groups.items())
        },
        "ghosts": round(sum(clip["ghosts"] for clip in found) / max(out_of_sight, 1), 4),
        "ms_per_frame": round(
            1000 * sum(clip["seconds"] for clip in found) / sum(clip["frames"] for clip in found), 1
        ),
        "frames": sum(clip["frames"] for clip in found),
        "presence": {"there": curve(presence, there), "found": curve(presence, seen)},
    }


def add_suite_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose the clips; ``suite_clips`` reads them."""
    parser.add_argument("--objects", type=Path, help="folder with JPEGImages and Mattes")
    parser.add_argument("--backgrounds", type=Path, nargs="+", default=[], help="folders of frames")
    parser.add_argument("--index", type=Path, help="keeps measures of the photographs")
    parser.add_argument("--half", type=int, default=0, choices=(0, 1))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", default=sorted(OCCLUSION_KINDS))
    parser.add_argument("--longest", type=int, default=10_000, help="leave out longer absences")
    parser.add_argument(
        "--shortest",
        type=int,
        default=0,
        help="leave out shorter absences, but no crossings",
    )
    parser.add_argument("--no-painted", action="store_true", help="leave out painted objects")


def suite_clips(arguments: argparse.Namespace) -> Iterator[OcclusionClip]:
    """Draw the clips of the suite one by one."""
    materials: dict[bool, Material] = {True: PaintedMaterial()}
    if arguments.objects is not None:
        sources = open_sources(
            arguments.objects, arguments.backgrounds, split="validation", index=arguments.index
        )
        materials[False] = PhotoMaterial(sources, arguments.half)
    suite = occlusion_suite(arguments.seed, arguments.repeats, photographs=False in materials)
    for entry in suite:
        wanted = entry.away <= arguments.longest and (
            entry.away >= arguments.shortest or entry.kind in ("crossing", "cut")
        )
        wanted = wanted and not (entry.painted and arguments.no_painted)
        if entry.kind in arguments.kinds and wanted:
            clip = draw_occlusion(entry.kind, materials[entry.painted], entry.away, entry.seed)
            yield clip


def main() -> None:
    """Track the suite, and print the shares."""
    parser = benchmark_parser(__doc__, threads=1)
    add_suite_arguments(parser)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--no-identity", action="store_true", help="without that part")
    parser.add_argument("--no-let-go", action="store_true", help="without that part")
    parser.add_argument("--reacquire", action="store_true")
    parser.add_argument("--support", action="store_true")
    parser.add_argument("--proposer", help="for --reacquire and --support")
    parser.add_argument("--details", action="store_true", help="also every clip by itself")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    record = begin_record("occlusions: identities kept", ("torch", "numpy"))
    options = TrackerOptions(
        identity=False if arguments.no_identity else None,
        let_go=False if arguments.no_let_go else None,
        reacquire=arguments.reacquire,
        support=arguments.support,
        proposer=arguments.proposer,
    )
    tracker = build_tracker(arguments.preset, options=options)
    found = []
    for clip in suite_clips(arguments):
        found.append(follow(tracker, clip))
        print(clip.name, found[-1]["judged"], file=sys.stderr, flush=True)
    record.update(clips=len(found), **summarize(found))
    if arguments.details:
        record["details"] = found
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
