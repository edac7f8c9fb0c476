"""What each benchmark scores: objects and frames of a sequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.datasets.placed_objects import place_objects
from vostrack.datasets.video_sequence import VideoSequence
from vostrack.eval.benchmark_figures import Split
from vostrack.eval.findings import Finding, FindingKind, listed
from vostrack.eval.object_scores import Missing, ScoringPlan
from vostrack.eval.truth_gaps import about_missing_truth
from vostrack.masks.palette import VOID

__all__ = ["Benchmark", "ScoringOptions", "make_plan"]

Benchmark = Literal["davis", "youtube-vos", "mose", "lvos", "burst"]
Task = Literal["semi-supervised", "unsupervised"]
_Truth = Callable[[str], UInt8Array]


@dataclass(frozen=True)
class ScoringOptions:
    """How results are scored.

    Attributes:
        layout: the benchmark, which decides which objects are scored in which frames.
        task: the protocol of DAVIS; the other benchmarks have the semi-supervised one only.
        missing: "skip" leaves frames without a result out, "empty" scores them as empty masks.
        late_objects: DAVIS scores the objects of the first frame only; "score" includes those that
            appear later, from the frame after.
        official_decay: whether decay is that of the official code, see ``summarize``.
        split: which objects of YouTube-VOS and LVOS are unseen; None reports no split.
    """

    layout: Benchmark = "davis"
    task: Task = "semi-supervised"
    missing: Missing = "skip"
    late_objects: Literal["ignore", "score"] = "ignore"
    official_decay: bool = False
    split: Split | None = None


def make_plan(
    sequence: VideoSequence, options: ScoringOptions, truth: _Truth
) -> ScoringPlan | Finding:
    """Decide what to score of a sequence in the semi-supervised task.

    * DAVIS: the objects of the first frame, in all frames but the first and the last.
    * MOSE: each object of a given mask in all annotated frames after it but the last.
    * YouTube-VOS and BURST: each object in its annotated frames after the one in which it is given.
    * LVOS: the same, without the last.

    An object of the metadata that no mask shows is not scored, nor is one that the metadata do not
    list; one that is given later than they say is scored from there on. Findings say so, and name
    the frames and objects that would be scored but have no truth.

    Args:
        sequence: the sequence.
        options: the benchmark, and what to do with late objects.
        truth: returns the true label map of a frame that is annotated.

    Returns:
        The plan, or why the sequence cannot be scored.
    """
    annotated = np.array([path is not None for path in sequence.annotations])
    if options.layout == "davis":
        if not annotated.all():
            return _no_truth(sequence, int(np.count_nonzero(~annotated)))
        return _davis_plan(sequence, options, truth)
    sequence, notes = place_objects(sequence, all_masks=True)
    starts = _starts(sequence, truth)
    if not starts:
        return _lost("empty", sequence, "its annotations hold no object")
    # Where only the given masks are public, those of later frames hold new objects. A mask without
    # a new object is truth.
    given = np.zeros_like(annotated)
    given[[frames[0] for frames in starts.values()]] = True
    if not annotated.all() and not (annotated & ~given).any():
        return _no_truth(sequence, int(np.count_nonzero(~annotated)))
    ids = tuple(sorted(starts))
    scored = np.zeros((len(sequence.frames), len(ids)), dtype=bool)
    for column, number in enumerate(ids):
        frames = sorted(starts[number])
        scored[frames[1:-1] if options.layout == "lvos" else frames[1:], column] = True
    if options.layout == "mose":
        scored[-1] = False
    gaps = about_missing_truth(sequence, options.layout, ids, scored, given)
    scored &= annotated[:, None]
    if not scored.any():
        return _lost("short", sequence, _nothing_scored(int(np.count_nonzero(annotated)), options))
    found = [Finding("truth", sequence.name, note) for note in notes]
    return ScoringPlan(sequence.frame_names, ids, scored, notes=(*found, *gaps))


def _nothing_scored(annotated: int, options: ScoringOptions) -> str:
    last = ", nor is the last" if options.layout in ("mose", "lvos") else ""
    return (
        f"{annotated} of its frames {'are' if annotated > 1 else 'is'} annotated, and none is "
        f"scored: the one in which an object is given is not{last}"
    )


def _starts(sequence: VideoSequence, truth: _Truth) -> dict[int, list[int]]:
    """Return the frames in which each object is to be predicted, from where it is given."""
    names = sequence.frame_names
    place = {name: index for index, name in enumerate(names)}
    if sequence.objects:
        return {obj.id: [place[f] for f in obj.frames] for obj in sequence.objects if obj.frames}
    found: dict[int, list[int]] = {}
    for index, _ in sequence.prompts:
        for number in sorted(_objects(truth(names[index])) - found.keys()):
            found[number] = list(range(index, len(names)))
    return found


def _davis_plan(
    sequence: VideoSequence, options: ScoringOptions, truth: _Truth
) -> ScoringPlan | Finding:
    names, binary = sequence.frame_names, sequence.semantics == "binary"
    if len(names) < 3:
        return _lost(
            "short", sequence,
            f"{len(names)} frames; the first and the last are not scored, so at least 3 are needed",
        )  # fmt: skip
    first = truth(names[0])
    if not binary and (first == VOID).any() and not _objects(first):
        return _lost(
            "truth", sequence,
            "the truth holds 0 and 255 only, as the masks of DAVIS 2016 do; use `year=2016`",
        )  # fmt: skip
    starts = dict.fromkeys(_davis_ids(first, binary=binary), 0)
    if options.late_objects == "score" and not binary:
        for index, name in enumerate(names):
            for number in _objects(truth(name)):
                starts.setdefault(number, index)
    if not starts:
        return _lost("empty", sequence, _without_object(sequence, truth, binary=binary))
    ids = tuple(sorted(starts))
    frames = np.arange(len(names))[:, None]
    scored = (frames > np.array([starts[n] for n in ids])) & (frames < len(names) - 1)
    hint = '`late_objects="score"` scores it from the next frame on'
    return ScoringPlan(names, ids, scored, binary, hint, _about_gaps(sequence, first, ids, binary))


def _about_gaps(
    sequence: VideoSequence, first: UInt8Array, ids: tuple[int, ...], binary: bool
) -> tuple[Finding, ...]:
    """Note ids below the highest that the first frame does not show: the official code has them."""
    shown = _objects(first)
    absent = [number for number in ids if number < max(shown, default=0) and number not in shown]
    if binary or not absent:
        return ()
    message = (
        f"the first frame holds the ids {listed(map(str, sorted(shown)))}; as in the official code "
        f"all ids up to {max(shown)} are scored, and those that it does not hold ({len(absent)}) "
        "count 1 wherever neither the truth nor the result has them; ids without gaps avoid that"
    )
    return (Finding("ids", sequence.name, message),)


def _davis_ids(first: UInt8Array, *, binary: bool) -> range:
    """Return 1 to the highest id of the first frame."""
    if binary:
        return range(1, 1 + int(first.any()))
    return range(1, 1 + max(_objects(first), default=0))


def _without_object(sequence: VideoSequence, truth: _Truth, *, binary: bool) -> str:
    for name in sequence.frame_names:
        labels = truth(name)
        if (binary and labels.any()) or _objects(labels):
            return (
                f"the truth has no object in the first frame, the first is in {name}; "
                '`late_objects="score"` scores it from the next frame on'
            )
    return "the truth has no object in any frame"


def _objects(labels: UInt8Array) -> set[int]:
    used = np.flatnonzero(np.bincount(labels.ravel(), minlength=256))
    return set(used.tolist()) - {0, VOID}


def _no_truth(sequence: VideoSequence, bare: int) -> Finding:
    return _lost(
        "truth", sequence,
        f"no annotation of {bare} of {len(sequence.frames)} frames; the truth of test sets is only "
        "on the server; pack the results for it with vostrack dataset submit",
    )  # fmt: skip


def _lost(kind: FindingKind, sequence: VideoSequence, message: str) -> Finding:
    return Finding(kind, sequence.name, message, lost=True)
