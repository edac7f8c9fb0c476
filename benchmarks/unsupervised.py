"""Score videos that are tracked without any mask, by the unsupervised protocol of DAVIS.

    python benchmarks/unsupervised.py --root DAVIS --year 2016 --set val [--ids FOLDER]
        [--preset fast] [--objects N] [--every 1] [--sequences NAME ...] [--json FILE]

The objects are proposed from the first second (``propose_first_mask``) and tracked. At the end,
every true object gets the proposal that matches it best over the whole video. Further proposals
cost nothing (Caelles et al. 2019). Reported are J, F and their mean, J&F, of each sequence and of
all objects. A data set with the folder Annotations_unsupervised is scored by vostrack dataset run
--first-mask auto and vostrack eval --protocol unsupervised. This script takes the masks of 2016,
one object each, or those of --ids, FOLDER/SEQUENCE/FRAME.png with ids, where it has them.
"""

from __future__ import annotations

import sys
import time
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

from vostrack.build import build_tracker
from vostrack.datasets import VideoSequence
from vostrack.eval.davis_unsupervised import score_unsupervised_sequence
from vostrack.masks import VOID, read_label_map
from vostrack.proposers.first_mask import propose_first_mask
from vostrack.tracking.video import track_video
from vostrack.video import open_source


def truth_of(sequence: VideoSequence, index: int, ids: Path | None) -> np.ndarray:
    """Return the true ids (H, W) of a frame."""
    path = sequence.annotations[index]
    assert path is not None
    given = None if ids is None else ids / sequence.name / path.name
    if given is not None and given.is_file():
        return read_label_map(given)
    labels = read_label_map(path)
    one = labels > 0 if sequence.semantics == "binary" else (labels > 0) & (labels < VOID)
    return one.astype(np.uint8)


def score(sequence: VideoSequence, arguments: Any) -> dict[str, Any]:
    """Propose, track and score one sequence."""
    began = time.process_time()
    with open_source(sequence.frames[0].parent, stride=arguments.every) as source:
        mask = propose_first_mask(source, objects=arguments.objects)
        tracker = build_tracker(arguments.preset)
        frames = [
            (
                str(step.frame.index),
                step.result.labels,
                truth_of(sequence, step.frame.index, arguments.ids),
            )
            for step in track_video(tracker, source, mask.labels)
        ]
    scores = score_unsupervised_sequence(sequence.name, frames)
    j, f = scores.j.mean(0), scores.f.mean(0)
    return {
        "sequence": sequence.name,
        "J": j.tolist(),
        "F": f.tolist(),
        "J&F": round(float((j.mean() + f.mean()) / 2), 4),
        "proposed": len(np.unique(mask.labels)) - 1,
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def main() -> None:
    """Score every sequence, and print and write the record."""
    parser = benchmark_parser(__doc__, threads=1)
    add_davis_arguments(parser)
    parser.add_argument("--ids", type=Path, help="folder of masks with ids")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--objects", type=int, help="number of objects to propose")
    parser.add_argument("--every", type=int, default=1, help="use every n-th frame")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    record = begin_record("unsupervised", ("torch", "numpy", "opencv-python"))
    rows = []
    for sequence in open_davis_arguments(arguments):
        rows.append(score(sequence, arguments))
        print(rows[-1], file=sys.stderr, flush=True)
    j, f = (float(np.mean([value for row in rows for value in row[key]])) for key in ("J", "F"))
    record.update(J=round(j, 4), F=round(f, 4), sequences=rows)
    record["J&F"] = round((j + f) / 2, 4)
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
