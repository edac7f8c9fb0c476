"""``vostrack score-proposals``: how good the proposals of a file are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vostrack.errors import InputError
from vostrack.wording import counted

if TYPE_CHECKING:
    from vostrack.proposers.scoring import ProposalScores

__all__ = ["ScoreProposalsCommand"]


@dataclass(frozen=True, kw_only=True)
class ScoreProposalsCommand:
    """Score a proposals.json against a data set: AP^r, its volume, and COCO AP.

    Example: vostrack score-proposals --proposals out/proposals.json --root VOC2012 --subset val

    All images of the subset count. Proposals without classes are compared with the instances of all
    classes together.
    """

    proposals: Path
    """File that vostrack propose wrote."""

    root: Path
    """Folder of the data set."""

    layout: Literal["voc", "sbd", "cityscapes", "davis"] = "voc"
    """How the data set is laid out."""

    subset: str = "val"
    """Which of its images."""

    json: Path | None = None
    """Also write the figures to this file. Earlier figures are replaced, but no other file."""

    verbose: bool = False
    """Log more."""

    quiet: bool = False
    """Errors only."""

    def run(self) -> int:
        """Score, and return 0."""
        from vostrack.datasets.labelled_images import open_labelled_images
        from vostrack.files import atomic_path, check_output_file, through_link
        from vostrack.proposers.scoring import read_proposals, score_proposals

        if self.json is not None:
            check_output_file(self.json, "json", (self.proposals,))
            if self.json.exists() and not _are_figures(self.json):
                raise InputError(
                    f"json: {self.json} exists and was not written by vostrack score-proposals; "
                    "move it away, or give another place"
                )
        images = open_labelled_images(self.layout, self.root, self.subset)
        scores = score_proposals(read_proposals(self.proposals), images)
        if self.json is not None:
            with atomic_path(through_link(self.json)) as temporary:
                temporary.write_text(json.dumps(_figures(scores)) + "\n", encoding="utf-8")
        if not self.quiet:
            print(_text(scores))
        return 0


def _are_figures(path: Path) -> bool:
    from vostrack.files import parse_json

    try:
        content = path.read_bytes()
        data = parse_json(content or b"{}")
    except (OSError, ValueError):
        return False
    # An empty file, as mktemp makes it, holds nothing to lose.
    return not content or (isinstance(data, dict) and {"ap_r_volume", "coco"} <= set(data))


def _figures(scores: ProposalScores) -> dict[str, object]:
    regions = {f"{t:.1f}": scores.regions.mean_ap(t) for t in scores.regions.thresholds}
    return {
        "images": scores.images,
        "proposals": scores.proposals,
        "missing": list(scores.missing),
        "agnostic": scores.agnostic,
        "ap_r": regions,
        "ap_r_volume": scores.regions.volume,
        "coco": asdict(scores.coco),
    }


def _text(scores: ProposalScores) -> str:
    lines = [f"{counted(scores.proposals, 'proposal')} on {counted(scores.images, 'image')}"]
    if scores.missing:
        missing = counted(len(scores.missing), "image")
        lines.append(f"none on {missing}, the first {scores.missing[0]}")
    if scores.agnostic:
        lines.append("the proposals have no classes: all classes count as one")
    regions = scores.regions
    lines.append(" ".join(f"AP^r@{t:.1f} {regions.mean_ap(t):.3f}" for t in regions.thresholds))
    coco = scores.coco
    lines.append(
        f"AP^r volume {regions.volume:.3f}, COCO AP {coco.ap:.3f}, AP50 {coco.ap50:.3f}, "
        f"AP75 {coco.ap75:.3f}"
    )
    return "\n".join(lines)
