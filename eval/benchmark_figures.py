"""The figures that benchmarks report beside J and F: seen and unseen objects, and stability."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vostrack.datasets.video_sequence import VideoSequence
from vostrack.errors import InputError
from vostrack.eval.davis import SequenceScores
from vostrack.files import parse_json

__all__ = ["Split", "find_split", "split_figures", "stability"]


@dataclass(frozen=True)
class Split:
    """Which objects are of classes that the training set does not have.

    Attributes:
        by: whether ``names`` are categories of objects (YouTube-VOS) or videos (LVOS).
        names: the seen categories, or the unseen videos.
    """

    by: Literal["category", "video"]
    names: frozenset[str]

    def unseen(self, sequence: VideoSequence, number: int) -> bool:
        """Tell whether an object belongs to the unseen part."""
        if self.by == "video":
            return sequence.name in self.names
        category = next((obj.category for obj in sequence.objects if obj.id == number), "")
        return category not in self.names


def find_split(root: Path, layout: str, given: Path | None = None) -> Split | None:
    """Find the split of a data set.

    YouTube-VOS: seen are the categories in ``train/meta.json``. LVOS: unseen are the videos listed
    in ``unseen_videos.txt``, a file of its evaluation code.

    Args:
        root: folder of the data set.
        layout: youtube-vos or lvos; others have no split.
        given: a file with a name in each line, in place of those: seen categories or unseen videos.

    Returns:
        The split; None if there is no such file.

    Raises:
        InputError: ``given`` cannot be read, or ``train/meta.json`` is malformed.
    """
    by: Literal["category", "video"] = "video" if layout == "lvos" else "category"
    if given is not None:
        try:
            lines = given.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"split: {given} cannot be read ({error})") from error
        return Split(by, frozenset(line.strip() for line in lines if line.strip()))
    if layout == "lvos" and (root / "unseen_videos.txt").is_file():
        return find_split(root, layout, root / "unseen_videos.txt")
    path = root / "train" / "meta.json"
    if layout != "youtube-vos" or not path.is_file():
        return None
    try:
        videos = parse_json(path.read_bytes())["videos"].values()
        objects = [obj for video in videos for obj in video["objects"].values()]
        return Split(by, frozenset(str(obj["category"]) for obj in objects))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: expected the categories of the training set; reading it failed with "
            f"{type(error).__name__}: {error}"
        ) from error


def split_figures(
    scores: Sequence[SequenceScores], sequences: Mapping[str, VideoSequence], split: Split
) -> dict[str, float]:
    """Average J and F over the seen and over the unseen objects, each object with equal weight.

    Args:
        scores: of the sequences.
        sequences: the sequences by name.
        split: which objects are unseen.

    Returns:
        ``J seen``, ``F seen``, ``J unseen``, ``F unseen`` and ``G``, the mean of these four
        (Xu et al. 2018). NaN where a part has no object; then ``G`` is too.
    """
    parts: dict[str, list[float]] = {}
    for found in scores:
        for number in found.ids:
            where = "unseen" if split.unseen(sequences[found.name], number) else "seen"
            for which in ("J", "F"):
                mean = found.measure("J" if which == "J" else "F", number).mean
                parts.setdefault(f"{which} {where}", []).append(mean)
    names = ("J seen", "F seen", "J unseen", "F unseen")
    figures = {name: _mean(parts.get(name, [])) for name in names}
    return {"G": float(np.mean(list(figures.values()))), **figures}


def stability(scores: Sequence[SequenceScores]) -> float:
    """Return V of LVOS (Hong et al. 2023), for which lower is better.

    It is the standard deviation of (J + F) / 2 over the frames of an object, averaged over objects,
    as in the evaluation code of LVOS (without its rounding to four decimals).
    """
    deviations = [
        float(np.nanstd((found.j[:, column] + found.f[:, column]) / 2))
        for found in scores
        for column in range(found.objects)
        if not np.isnan(found.j[:, column]).all()
    ]
    return _mean(deviations)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
