"""Scoring a folder of results against a data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.datasets import VideoSequence, open_davis
from vostrack.errors import InputError
from vostrack.eval.benchmark_figures import split_figures, stability
from vostrack.eval.davis import SequenceScores
from vostrack.eval.davis_unsupervised import MAX_PROPOSALS
from vostrack.eval.findings import Finding, describe_findings
from vostrack.eval.hota import HotaCounts, burst_counts, hota_figures
from vostrack.eval.mose_v2 import ObjectTrack, mose_figures, track_objects
from vostrack.eval.object_scores import ScoringPlan, score_objects
from vostrack.eval.plans import ScoringOptions, make_plan
from vostrack.eval.proposal_scores import score_proposals
from vostrack.eval.report import DavisReport, versions
from vostrack.eval.result_folder import find_sequences, opened_results
from vostrack.eval.result_masks import ResultMasks, open_result_masks
from vostrack.eval.result_values import ExpectedIds
from vostrack.eval.scoring_notes import (
    about_decay,
    about_split,
    merged_objects,
    unscored_frames,
)
from vostrack.files import real_path
from vostrack.masks import read_label_map

__all__ = ["evaluate", "result_masks", "score_results"]


@dataclass(frozen=True)
class _Extras:
    """What benchmarks score beside J and F, collected over the sequences."""

    tracks: list[ObjectTrack] = field(default_factory=list)
    """MOSE: of each object."""

    matches: list[Mapping[str, HotaCounts]] = field(default_factory=list)
    """BURST: of each video, by class."""


def evaluate(
    results: str | os.PathLike[str],
    root: str | os.PathLike[str],
    *,
    year: int = 2017,
    subset: str = "val",
    task: Literal["semi-supervised", "unsupervised"] = "semi-supervised",
    resolution: str = "480p",
    annotations: str | None = None,
    sequences: Sequence[str] | None = None,
    name: str | None = None,
    scoring: ScoringOptions | None = None,
) -> DavisReport:
    """Score a folder of results against a data set in DAVIS layout, as ``vostrack eval`` does.

        report = evaluate("results", "DAVIS", year=2017, subset="val")
        report.measure("J").mean

    Args:
        results: folder of ``SEQUENCE/00000.png``, palette or gray PNG of object ids.
        root: folder with ImageSets, JPEGImages and Annotations.
        year: 2016 (masks are binary) or 2017 (masks hold ids).
        subset: train, val or trainval of 2016; train or val of 2017.
        task: whose conventions to follow.
        resolution: folder below JPEGImages.
        annotations: another folder in place of Annotations.
        sequences: only these.
        name: what to call the run; the folder's name by default.
        scoring: what to do with missing frames and late objects, and which decay to compute.

    Raises:
        InputError: as ``open_davis`` and ``score_results``.
    """
    found = open_davis(
        Path(root),
        year=year,
        subset=subset,
        task=task,
        resolution=resolution,
        annotations=annotations,
        sequences=sequences or None,
    )
    options = replace(scoring or ScoringOptions(), task=task)
    return score_results(results, found, options, name=name)


def score_results(
    results: str | os.PathLike[str],
    sequences: Iterable[VideoSequence],
    options: ScoringOptions | None = None,
    *,
    name: str | None = None,
    on_sequence: Callable[[str], None] | None = None,
) -> DavisReport:
    """Score the masks ``results/SEQUENCE/FRAME.png`` of every sequence.

    What can be scored is scored. Everything else, and every mask that is read in another way than
    as a label map with the name of its frame, is a finding of the report.

    Args:
        results: folder of label maps, or a zip file of one.
        sequences: the ground truth, as the functions of ``vostrack.datasets`` return it.
        options: which benchmark, and what to do with missing frames.
        name: name of the run; by default that of the folder.
        on_sequence: called with the name of every finished sequence.

    Returns:
        The scores of the sequences of which something could be scored.

    Raises:
        InputError: the folder does not exist, or nothing could be scored.
    """
    options = options or ScoringOptions()
    known = {sequence.name: sequence for sequence in sequences}
    scores: list[SequenceScores] = []
    extras = _Extras()
    with ExitStack() as stack:
        folder = stack.enter_context(opened_results(Path(results), list(known)))
        places = find_sequences(folder, list(known))
        findings = list(places.findings)
        for sequence in known.values():
            place = places.folders.get(sequence.name)
            found: SequenceScores | None = None
            more: list[Finding] = []
            if place is not None or options.missing == "empty":
                try:
                    found, more = _score(sequence, place, options, extras)
                except InputError as error:  # of the truth; what is wrong with results is found
                    more = [Finding("truth", sequence.name, str(error), lost=True)]
            findings += more
            if found is not None:
                scores.append(replace(found, official_decay=options.official_decay))
            if on_sequence is not None:
                on_sequence(sequence.name)
    if not scores:
        raise InputError(
            f"results {results}: nothing could be scored\n" + describe_findings(findings)
        )
    findings += [*about_decay(scores, options), *about_split(options)]
    figures = _figures(scores, known, options, extras)
    info = {
        "results": str(results),
        "source": next(iter(known.values())).source,
        "task": options.task,
        "versions": versions(),
    }
    return DavisReport(scores, name or real_path(Path(results)).name, info, findings, figures)


def _figures(
    scores: list[SequenceScores],
    sequences: Mapping[str, VideoSequence],
    options: ScoringOptions,
    extras: _Extras,
) -> dict[str, float]:
    """Compute what the benchmark reports beside J and F."""
    figures: dict[str, float] = {}
    if options.split is not None:
        figures |= split_figures(scores, sequences, options.split)
    if options.layout == "lvos":
        figures["V"] = stability(scores)
    if options.layout == "mose":
        figures |= mose_figures(extras.tracks)
    if options.layout == "burst":
        figures |= hota_figures(extras.matches)
    return figures


def _score(
    sequence: VideoSequence, folder: Path | None, options: ScoringOptions, extras: _Extras
) -> tuple[SequenceScores | None, list[Finding]]:
    """Score one sequence, without a folder as frames without a mask.

    The scores are None if nothing of it could be scored.
    """
    truth = _truth_of(sequence)
    if options.task == "unsupervised":
        masks = _open(sequence, folder, _proposal_ids())
        scores, findings = score_proposals(sequence, masks, truth, missing=options.missing)
        return scores, [*masks.findings, *findings]
    plan = make_plan(sequence, options, truth)
    if isinstance(plan, Finding):
        return None, [plan]
    masks = _open(sequence, folder, ExpectedIds(plan.ids, plan.binary))
    if not masks.frames and options.missing == "skip":
        return None, masks.findings
    scores, findings = score_objects(
        sequence.name, plan, masks.read, truth, present=masks.frames, missing=options.missing
    )
    if options.layout == "mose":
        read = _filled(masks, truth) if options.missing == "empty" else masks.read
        extras.tracks.extend(track_objects(plan, read, truth))
    if options.layout == "burst":
        extras.matches.append(_matches(sequence, plan, masks, truth, options))
    found = [
        *masks.findings,
        *findings,
        *unscored_frames(plan, masks),
        *merged_objects(sequence, plan, truth),
    ]
    return (scores if _any(scores) else None), found


def _matches(
    sequence: VideoSequence,
    plan: ScoringPlan,
    masks: ResultMasks,
    truth: Callable[[str], UInt8Array],
    options: ScoringOptions,
) -> dict[str, HotaCounts]:
    """Match objects in all annotated frames that have a result, the given ones included."""
    annotated = [
        frame
        for frame, path in zip(plan.frames, sequence.annotations, strict=True)
        if path is not None and (frame in masks.frames or options.missing == "empty")
    ]
    known = {obj.id: obj.category for obj in sequence.objects}
    categories = {number: known.get(number, "") for number in plan.ids}
    return burst_counts(annotated, categories, masks.read, truth)


def _filled(
    masks: ResultMasks, truth: Callable[[str], UInt8Array]
) -> Callable[[str], UInt8Array | None]:
    """Return a reader of masks that are empty where there is no file."""

    def read(frame: str) -> UInt8Array | None:
        return masks.read(frame) if frame in masks.frames else np.zeros_like(truth(frame))

    return read


def _any(scores: SequenceScores) -> bool:
    return not bool(np.isnan(scores.j).all())


def _proposal_ids() -> ExpectedIds:
    return ExpectedIds(tuple(range(1, MAX_PROPOSALS + 1)), proposals=True)


def _open(sequence: VideoSequence, folder: Path | None, expected: ExpectedIds) -> ResultMasks:
    known = dict(zip(sequence.frame_names, sequence.annotations, strict=True))

    def truth(frame: str) -> UInt8Array | None:
        path = known[frame]
        return None if path is None else read_label_map(path)

    return open_result_masks(sequence.name, folder, sequence.frame_names, expected, truth=truth)


def result_masks(sequence: VideoSequence, folder: Path) -> ResultMasks:
    """Open the result masks of a sequence as ``score_results`` reads them.

    Args:
        sequence: the sequence, of which one mask tells the ids.
        folder: folder of its results.
    """
    if not sequence.prompts:
        return _open(sequence, folder, _proposal_ids())
    ids = {obj.id for obj in sequence.objects}
    for _, path in sequence.prompts:
        ids |= set(np.unique(read_label_map(path)).tolist()) - {0, 255}
    expected = ExpectedIds(tuple(sorted(ids)) or (1,), sequence.semantics == "binary")
    return _open(sequence, folder, expected)


def _truth_of(sequence: VideoSequence) -> Callable[[str], UInt8Array]:
    known = dict(zip(sequence.frame_names, sequence.annotations, strict=True))

    def truth(frame: str) -> UInt8Array:
        path = known[frame]
        assert path is not None
        return read_label_map(path)

    return truth
