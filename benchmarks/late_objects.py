"""Score objects that are given in a later frame, against the same objects given at once.

The videos of a DAVIS set with at least two objects are arranged as YouTube-VOS: all objects but
the first are withheld until frame --late. Two sets are tracked, packed, checked and scored: the one
with late objects, and one in which all objects are given in the first frame. The scores are those
of the frames after --late, so both are over the same frames.

    python benchmarks/late_objects.py --root DAVIS --annotations MASKS [--sequences NAME ...]

MASKS is the folder, in the root, with ids of every frame.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from record import begin_record, benchmark_parser, finish_record

from vostrack.batch import dataset_jobs, run_jobs
from vostrack.datasets import DatasetChoice, VideoSequence, open_dataset, open_davis
from vostrack.eval import DavisReport, ScoringOptions, score_results
from vostrack.eval.submission import SubmissionForm, check_submission, write_submission
from vostrack.masks import read_label_map, write_label_map


def arrange(sequences: Sequence[VideoSequence], root: Path, frames: int, late: int) -> None:
    """Write sequences as YouTube-VOS, with all objects but the first given in frame ``late``."""
    videos: dict[str, Any] = {}
    for sequence in sequences:
        names = sequence.frame_names[:frames]
        for name, image, path in zip(names, sequence.frames, sequence.annotations, strict=False):
            target = root / "valid" / "JPEGImages" / sequence.name / f"{name}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(image.absolute())
            assert path is not None
            mask = root / "valid" / "Annotations" / sequence.name / f"{name}.png"
            write_label_map(mask, read_label_map(path))
        first = sequence.annotations[0]
        assert first is not None
        ids = sorted(set(np.unique(read_label_map(first)).tolist()) - {0, 255})
        if len(ids) < 2:
            raise SystemExit(f"{sequence.name}: expected at least two objects, got ids {ids}")
        starts = {number: (0 if number == ids[0] else late) for number in ids}
        videos[sequence.name] = {
            "objects": {
                str(number): {"category": "", "frames": names[start:]}
                for number, start in starts.items()
            }
        }
    (root / "valid" / "meta.json").write_text(json.dumps({"videos": videos}))


def track_and_score(root: Path, preset: str) -> tuple[DavisReport, int]:
    """Track a set, pack and check the results; return their scores and the number of problems."""
    sequences = open_dataset(DatasetChoice(root=root, layout="youtube-vos"))
    results, packed = root / "results", root / "submission.zip"
    run = run_jobs(
        dataset_jobs(sequences, results, {"preset": preset}),
        "vostrack.runs.sequence:track_sequence",
    )
    if run.failed:
        raise SystemExit(run.summary())
    form = SubmissionForm.of("youtube-vos")
    write_submission(results, sequences, packed, form=form)
    problems = check_submission(packed, sequences, form=form)
    return score_results(results, sequences, ScoringOptions(layout="youtube-vos")), len(problems)


def after(report: DavisReport, frame: int) -> dict[str, dict[str, float]]:
    """Return J and F of every object over the frames after ``frame``."""
    return {
        f"{found.name}_{number}": {
            "J": float(np.nanmean(found.values("J", number)[frame + 1 :])),
            "F": float(np.nanmean(found.values("F", number)[frame + 1 :])),
        }
        for found in report.sequences
        for number in found.ids
    }


def main() -> None:
    """Track both sets, and print the scores."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="DAVIS")
    parser.add_argument("--annotations", help="folder of masks with ids of every frame")
    parser.add_argument("--sequences", nargs="+", help="only these")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--frames", type=int, default=30, help="frames of each video")
    parser.add_argument("--late", type=int, default=10, help="frame in which objects are given")
    arguments = parser.parse_args()
    record = begin_record("objects that are given late", ("torch", "numpy"))
    sequences = open_davis(
        arguments.root, annotations=arguments.annotations, sequences=arguments.sequences
    )
    for name, late in (("late", arguments.late), ("at once", 0)):
        with tempfile.TemporaryDirectory() as scratch:
            arrange(sequences, Path(scratch), arguments.frames, late)
            report, problems = track_and_score(Path(scratch), arguments.preset)
        scores = after(report, arguments.late)
        record[name] = {
            "problems of the zip": problems,
            "objects": scores,
            "J": float(np.mean([score["J"] for score in scores.values()])),
            "F": float(np.mean([score["F"] for score in scores.values()])),
        }
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
