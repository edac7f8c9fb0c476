"""Compare J&F in float32 and in bfloat16, per preset and sequence.

On a processor without bfloat16 units they are emulated (``emulated_bf16.py``): the results are
those of a processor that has them, up to the order of sums.

    python benchmarks/precision_accuracy.py --root DAVIS --year 2016 --set val [--json FILE]

The record is written after every sequence. With the same ``--json`` file, a run continues where
the last one ended. Every third frame of a sequence (``--every 3``) has three times the motion.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import time
from typing import Any

import numpy as np
from emulated_bf16 import EmulatedBf16
from record import (
    add_davis_arguments,
    begin_record,
    benchmark_parser,
    finish_record,
    open_davis_arguments,
)

from vostrack.build import build_tracker
from vostrack.compute.precision import Precision, has_fast_bf16, resolve_device
from vostrack.datasets import VideoSequence
from vostrack.datasets.annotated_frames import read_annotation
from vostrack.eval import SemiSupervisedScorer
from vostrack.presets import TrackerOptions
from vostrack.video.image_file import read_image

PRESETS = ("fast", "balanced", "best", "finetune")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


def follow(
    sequence: VideoSequence, preset: str, precision: Precision, arguments: argparse.Namespace
) -> dict[str, float]:
    """Track a sequence from its first mask, and return its mean J and F and the seconds."""
    device = resolve_device(arguments.device)
    emulate = precision == "bf16" and not has_fast_bf16(device)
    options = TrackerOptions(precision=precision, object_steps=arguments.object_steps)
    tracker = build_tracker(preset, device=str(device), options=options)
    scorer = SemiSupervisedScorer(sequence.name, binary=sequence.semantics == "binary")
    pairs = list(zip(sequence.frames, sequence.annotations, strict=True))
    begin = time.perf_counter()
    with EmulatedBf16() if emulate else contextlib.nullcontext():
        for path, annotation in pairs[:: arguments.every]:
            assert annotation is not None, f"{path} has no annotation"
            truth = read_annotation(annotation, sequence.semantics)
            frame = read_image(path)
            result = tracker.step(frame) if tracker.ids else tracker.start(frame, truth)
            scorer.update(result.labels, truth, path.stem)
    scores = scorer.compute()
    j, f = np.nanmean(scores.j), np.nanmean(scores.f)
    seconds = round(time.perf_counter() - begin, 1)
    return {"J": round(float(j), 5), "F": round(float(f), 5), "seconds": seconds}


def mean_scores(rows: dict[str, dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Return the mean J&F of each precision, and by how much bfloat16 changes it.

    Args:
        rows: sequence -> precision -> J and F; only sequences that have both count.
    """
    whole = {name: row for name, row in rows.items() if len(row) == len(PRECISIONS)}
    if not whole:
        return {}
    means = {
        precision: {
            name: {p: (row[p]["J"] + row[p]["F"]) / 2 for p in PRECISIONS}[precision]
            for name, row in whole.items()
        }
        for precision in PRECISIONS
    }
    changes = {name: means["bf16"][name] - means["fp32"][name] for name in whole}
    return {
        "sequences": len(whole),
        "fp32": round(float(np.mean(list(means["fp32"].values()))), 4),
        "bf16": round(float(np.mean(list(means["bf16"].values()))), 4),
        "change": round(float(np.mean(list(changes.values()))), 4),
        "change_by_sequence": {name: round(value, 4) for name, value in changes.items()},
    }


def main() -> None:
    """Track every sequence with every preset in both precisions."""
    parser = benchmark_parser(__doc__)
    add_davis_arguments(parser)
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument("--every", type=int, default=1, help="use every Nth frame only")
    parser.add_argument("--object-steps", type=int, default=None, help="fine-tuning steps")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    record = begin_record("precision: J&F in float32 and bfloat16", ("torch", "numpy"))
    record["settings"] = {"every": arguments.every, "object_steps": arguments.object_steps}
    record["emulated"] = not has_fast_bf16(resolve_device(arguments.device))
    found: dict[str, Any] = {}
    if arguments.json is not None and arguments.json.exists():
        before = json.loads(arguments.json.read_text())
        if before["settings"] == record["settings"]:
            found = before["scores"]
    sequences = open_davis_arguments(arguments)
    for preset, sequence, precision in itertools.product(arguments.presets, sequences, PRECISIONS):
        row = found.setdefault(preset, {}).setdefault(sequence.name, {})
        if precision not in row:
            row[precision] = follow(sequence, preset, precision, arguments)
            means = {name: mean_scores(rows) for name, rows in found.items()}
            finish_record(record | {"scores": found, "means": means}, arguments.json)


if __name__ == "__main__":
    main()
