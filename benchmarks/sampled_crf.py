"""What refining the scores of a tracker is worth: J, F and time at equal inputs.

Each sequence is followed once, with nothing refined. The scores of every frame go through each
refiner, so that all of them see the same ones; a preset whose models learn from scores of their
own would hand out just that. Refiners: none, the sampled dense CRF that the presets use, the dense
CRF over all pixels (--dense), and spatial propagation networks (--spn NAME=FILE ...).

    python benchmarks/sampled_crf.py --root DAVIS --year 2016 --set val [--dense] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import (
    add_davis_arguments,
    begin_record,
    benchmark_parser,
    finish_record,
    open_davis_arguments,
)
from torch import Tensor

from vostrack.build import build_tracker
from vostrack.datasets.annotated_frames import read_annotation
from vostrack.eval import frame_scores
from vostrack.models.weights import load_network, shipped_weights
from vostrack.presets import TrackerOptions
from vostrack.refine.dense_crf import DenseCrfRefiner, SampledCrfRefiner
from vostrack.refine.spn.weights import load_refiner
from vostrack.tracking.fusion import label_map
from vostrack.video import open_source

Refiners = Mapping[str, Callable[[Tensor, Tensor], Tensor]]


def choose(arguments: argparse.Namespace) -> Refiners:
    """Return the refiners to compare."""
    refiners: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "none": lambda image, scores: scores,
        "sampled": SampledCrfRefiner(),
    }
    if arguments.dense:
        refiners["dense"] = DenseCrfRefiner()
    for entry in arguments.spn:
        name, _, file = entry.partition("=")
        base = load_network(shipped_weights())
        refiners[name] = load_refiner(Path(file), base=base, device=torch.device("cpu"))
    return refiners


def follow(sequence: Any, preset: str, refiners: Refiners, every: int) -> dict[str, Any]:
    """Return J, F and milliseconds of every refiner on a sequence."""
    options = TrackerOptions(refiner="none", max_size=0)
    tracker = build_tracker(preset, device="cpu", options=options)
    found: dict[str, dict[str, list[float]]] = {
        name: {"j": [], "f": [], "ms": []} for name in refiners
    }
    with open_source(sequence.frames[0].parent) as source:
        frames = list(zip(source, sequence.annotations, strict=True))
        for number, (frame, path) in enumerate(frames):
            truth = read_annotation(path, sequence.semantics)
            if number == 0:
                tracker.start(frame.image, truth)
                continue
            result = tracker.step(frame.image)
            # As in the challenge, neither the first nor the last frame counts.
            if number % every or number == len(frames) - 1:
                continue
            image = torch.from_numpy(frame.image).permute(2, 0, 1).float() / 255
            for name, refine in refiners.items():
                start = time.perf_counter()
                refined = refine(image, torch.from_numpy(result.scores))
                found[name]["ms"].append((time.perf_counter() - start) * 1e3)
                score = frame_scores(label_map(refined).numpy(), truth, len(result.ids))
                found[name]["j"].append(float(np.nanmean(score.j)))
                found[name]["f"].append(float(np.nanmean(score.f)))
    return {
        name: {
            "j": round(statistics.mean(lists["j"]), 4),
            "f": round(statistics.mean(lists["f"]), 4),
            "ms": round(statistics.median(lists["ms"]), 1),
        }
        for name, lists in found.items()
    }


def main() -> None:
    """Follow the sequences and write the record."""
    parser = benchmark_parser(__doc__)
    add_davis_arguments(parser)
    parser.add_argument("--preset", default="balanced", choices=("fast", "balanced", "best"))
    parser.add_argument("--every", type=int, default=1, help="score every n-th frame")
    parser.add_argument("--dense", action="store_true", help="also the dense CRF over all pixels")
    parser.add_argument("--spn", nargs="*", default=[], metavar="NAME=FILE")
    arguments = parser.parse_args()
    refiners = choose(arguments)
    sequences = open_davis_arguments(arguments)
    record = begin_record("refiners at equal inputs", ("torch", "numpy", "numba"))
    rows: dict[str, Any] = {}
    for sequence in sequences:
        rows[sequence.name] = follow(sequence, arguments.preset, refiners, arguments.every)
        print(sequence.name, json.dumps(rows[sequence.name]), flush=True)
    mean = {
        name: {
            key: round(statistics.mean(row[name][key] for row in rows.values()), 4)
            for key in ("j", "f", "ms")
        }
        for name in refiners
    }
    print("mean", json.dumps(mean))
    record |= {"sequences": rows, "mean": mean}
    record["settings"] = {"preset": arguments.preset, "every": arguments.every}
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
