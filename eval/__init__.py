"""Evaluation of masks: DAVIS J and F, instance AP, mean IoU, and reports.

    from vostrack.eval import SemiSupervisedScorer

    scorer = SemiSupervisedScorer("blackswan")
    for prediction, truth in frames:            # (H, W) object ids
        scorer.update(prediction, truth)
    scorer.compute().measure("J", 1).mean       # of object 1

The names below are imported on first use, so importing the package is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vostrack.eval.coco_ap import CocoAP, CocoScores
    from vostrack.eval.dataset import score_results
    from vostrack.eval.davis import (
        Measure,
        SemiSupervisedScorer,
        SequenceScores,
        score_sequence,
        summarize,
    )
    from vostrack.eval.davis_unsupervised import (
        MAX_PROPOSALS,
        UnsupervisedScorer,
        score_unsupervised_sequence,
    )
    from vostrack.eval.findings import Finding, describe_findings
    from vostrack.eval.frame_measures import (
        FrameScores,
        contour_tolerance,
        frame_scores,
        pair_scores,
    )
    from vostrack.eval.instance_ap import VOLUME_THRESHOLDS, APScores, InstanceAP, average_precision
    from vostrack.eval.instances import Instances, instances_from_voc
    from vostrack.eval.official import OfficialComparison, check_official
    from vostrack.eval.plans import ScoringOptions
    from vostrack.eval.report import DavisReport, read_report, versions
    from vostrack.eval.report_html import write_html
    from vostrack.eval.report_overlays import ReportImages
    from vostrack.eval.report_text import format_table, write_csv
    from vostrack.eval.semantic import ConfusionMatrix, SemanticScores

__all__ = [
    "MAX_PROPOSALS",
    "VOLUME_THRESHOLDS",
    "APScores",
    "CocoAP",
    "CocoScores",
    "ConfusionMatrix",
    "DavisReport",
    "Finding",
    "FrameScores",
    "InstanceAP",
    "Instances",
    "Measure",
    "OfficialComparison",
    "ReportImages",
    "ScoringOptions",
    "SemanticScores",
    "SemiSupervisedScorer",
    "SequenceScores",
    "UnsupervisedScorer",
    "average_precision",
    "check_official",
    "contour_tolerance",
    "describe_findings",
    "format_table",
    "frame_scores",
    "instances_from_voc",
    "pair_scores",
    "read_report",
    "score_results",
    "score_sequence",
    "score_unsupervised_sequence",
    "summarize",
    "versions",
    "write_csv",
    "write_html",
]

_HOMES = {
    "MAX_PROPOSALS": "davis_unsupervised",
    "VOLUME_THRESHOLDS": "instance_ap",
    "APScores": "instance_ap",
    "CocoAP": "coco_ap",
    "CocoScores": "coco_ap",
    "ConfusionMatrix": "semantic",
    "DavisReport": "report",
    "Finding": "findings",
    "FrameScores": "frame_measures",
    "InstanceAP": "instance_ap",
    "Instances": "instances",
    "Measure": "davis",
    "OfficialComparison": "official",
    "ReportImages": "report_overlays",
    "ScoringOptions": "plans",
    "SemanticScores": "semantic",
    "SemiSupervisedScorer": "davis",
    "SequenceScores": "davis",
    "UnsupervisedScorer": "davis_unsupervised",
    "average_precision": "instance_ap",
    "check_official": "official",
    "contour_tolerance": "frame_measures",
    "describe_findings": "findings",
    "format_table": "report_text",
    "frame_scores": "frame_measures",
    "instances_from_voc": "instances",
    "pair_scores": "frame_measures",
    "read_report": "report",
    "score_results": "dataset",
    "score_sequence": "davis",
    "score_unsupervised_sequence": "davis_unsupervised",
    "summarize": "davis",
    "versions": "report",
    "write_csv": "report_text",
    "write_html": "report_html",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vostrack.eval' has no attribute {name!r}")
    return getattr(import_module(f"vostrack.eval.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
