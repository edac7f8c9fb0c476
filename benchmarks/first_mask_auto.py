"""Score first masks that are proposed without a person (``propose_first_mask``).

    python benchmarks/first_mask_auto.py --root DAVIS --year 2016 --set val [--sequences NAME ...]

One object is asked for, and compared with the union of the true objects. Beside it stands what the
foreground model alone gives: its probability of the first frame, cut at one half.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from record import (
    add_davis_arguments,
    begin_record,
    benchmark_parser,
    finish_record,
    open_davis_arguments,
)

from vostrack.arrays import BoolArray
from vostrack.datasets import VideoSequence
from vostrack.masks import VOID, read_label_map
from vostrack.models.foreground import SegmentationNet
from vostrack.models.weights import load_network, shipped_weights
from vostrack.proposers.first_mask import foreground_probability, propose_first_mask
from vostrack.video.images import read_image

# More than the first second, at the 24 frames per second of DAVIS.
_FRAMES = 30


def overlap(mask: BoolArray, truth: BoolArray) -> float:
    """Return the intersection over union (J)."""
    either = np.count_nonzero(mask | truth)
    return float(np.count_nonzero(mask & truth) / either) if either else 1.0


def score(sequence: VideoSequence, network: SegmentationNet) -> dict[str, Any]:
    """Score one sequence."""
    path = sequence.annotations[0]
    assert path is not None
    labels = read_label_map(path)
    truth = labels > 0 if sequence.semantics == "binary" else (labels > 0) & (labels < VOID)
    alone = foreground_probability(network, read_image(sequence.frames[0])) >= 0.5
    began = time.process_time()
    mask = propose_first_mask([str(frame) for frame in sequence.frames[:_FRAMES]], objects=1)
    return {
        "sequence": sequence.name,
        "j": overlap(mask.labels > 0, truth),
        "j_foreground_alone": overlap(alone, truth),
        "cpu_seconds": time.process_time() - began,
    }


def main() -> None:
    """Score every sequence, and print and write the record."""
    parser = benchmark_parser(__doc__)
    add_davis_arguments(parser)
    arguments = parser.parse_args()
    record = begin_record("first masks without a person", ("torch", "numpy", "opencv-python"))
    network = load_network(shipped_weights()).eval()
    rows = []
    for sequence in open_davis_arguments(arguments):
        rows.append(score(sequence, network))
        print("{sequence:20} J {j:.3f}  alone {j_foreground_alone:.3f}".format(**rows[-1]))
    for key in ("j", "j_foreground_alone", "cpu_seconds"):
        record[f"mean_{key}"] = float(np.mean([row[key] for row in rows]))
        print(f"mean {key} {record[f'mean_{key}']:.3f}")
    finish_record({**record, "sequences": rows}, arguments.json)


if __name__ == "__main__":
    main()
