"""The DAVIS layouts: 2016 (one object), 2017 (several), and the unsupervised task of 2019.

Perazzi et al. 2016, "A Benchmark Dataset and Evaluation Methodology for Video Object
Segmentation"; Pont-Tuset et al. 2017, "The 2017 DAVIS Challenge"; Caelles et al. 2019, "The 2019
DAVIS Challenge: Unsupervised Multi-Object Segmentation".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vostrack.datasets.video_sequence import (
    FRAME_SUFFIXES,
    MASK_SUFFIXES,
    VideoSequence,
    scan_folder,
    subfolders,
)
from vostrack.errors import InputError
from vostrack.files import read_lines
from vostrack.wording import counted

__all__ = ["DavisTask", "open_davis"]

DavisTask = Literal["semi-supervised", "unsupervised"]

_SUBSETS = {
    2016: ("train", "val", "trainval"),
    2017: ("train", "val", "test-dev", "test-challenge"),
}
# The 2016 release calls its full resolution by its height.
_RESOLUTION_FOLDERS = {"Full-Resolution": ("Full-Resolution", "1080p")}
_FRAME = re.compile(
    rf"(?P<frame>.+?(?:{'|'.join(map(re.escape, sorted(FRAME_SUFFIXES)))}))(?:\s|$)",
    re.IGNORECASE,
)
_DOWNLOAD = "https://davischallenge.org"


@dataclass(frozen=True)
class _Layout:
    """Where one subset of one DAVIS release is read from."""

    root: Path
    year: int
    subset: str
    task: DavisTask
    frames: Path
    annotations: Path
    every_frame_annotated: bool

    @property
    def source(self) -> str:
        kind = " unsupervised" if self.task == "unsupervised" else ""
        return f"DAVIS {self.year}{kind} {self.subset} {self.frames.name}"


def open_davis(
    root: str | Path,
    *,
    year: int = 2017,
    subset: str = "val",
    task: DavisTask = "semi-supervised",
    resolution: str = "480p",
    annotations: str | None = None,
    sequences: Iterable[str] | None = None,
) -> tuple[VideoSequence, ...]:
    """Find the sequences of a DAVIS subset.

    Lists are read from ``ImageSets/<year>/<subset>.txt``, and for 2016 also from the original
    release's ``ImageSets/<resolution>/<subset>.txt``; a list holds sequence names, or pairs of
    frame and annotation paths. The unsupervised test subsets are listed in ``ImageSets/2019``.

    Args:
        root: the folder that holds ``ImageSets``, ``JPEGImages`` and ``Annotations``.
        year: 2016 (masks are binary) or 2017 (masks hold ids).
        subset: train, val or trainval of 2016; train, val, test-dev or test-challenge of 2017.
        task: "unsupervised" reads ``Annotations_unsupervised`` and gives no prompts.
        resolution: folder below ``JPEGImages``; "Full-Resolution" also finds 2016's ``1080p``.
        annotations: another folder in place of ``Annotations`` or ``Annotations_unsupervised``;
            it need only hold the first frame of each sequence.
        sequences: only these, in this order; the list file is then not needed.

    Returns:
        The sequences in the order of the list. With the default annotations every frame of train
        and val is annotated; in the test subsets only the first one is, or none if unsupervised.

    Raises:
        InputError: something is missing or inconsistent; the message says where it was looked for.
    """
    _check_choice(year, subset, task)
    base = Path(root)
    if not base.is_dir():
        raise InputError(
            f"DAVIS root {base}: no such folder; expected the one that holds ImageSets, JPEGImages "
            f"and Annotations (download: {_DOWNLOAD})"
        )
    default_masks = "Annotations_unsupervised" if task == "unsupervised" else "Annotations"
    images = _resolution_folder(base / "JPEGImages", resolution)
    layout = _Layout(
        root=base,
        year=year,
        subset=subset,
        task=task,
        frames=images,
        annotations=base / (annotations or default_masks) / images.name,
        every_frame_annotated=annotations is None and not subset.startswith("test"),
    )
    listed: Mapping[str, set[str]]
    listed = _read_list(layout) if sequences is None else {name: set() for name in sequences}
    if not listed:
        raise InputError(f"{layout.source}: no sequence is listed; expected at least one")
    _check_present(layout, listed)
    return tuple(_open_sequence(layout, name, stems) for name, stems in listed.items())


def _check_choice(year: int, subset: str, task: str) -> None:
    if year not in _SUBSETS:
        raise InputError(f"DAVIS year: expected 2016 or 2017, got {year}")
    if task not in ("semi-supervised", "unsupervised"):
        raise InputError(f"DAVIS task: expected semi-supervised or unsupervised, got {task!r}")
    if task == "unsupervised" and year == 2016:
        raise InputError("DAVIS task: the unsupervised multi-object task belongs to year 2017")
    if subset not in _SUBSETS[year]:
        raise InputError(
            f"DAVIS {year} subset: expected one of {', '.join(_SUBSETS[year])}, got {subset!r}"
        )


def _resolution_folder(parent: Path, resolution: str) -> Path:
    names = _RESOLUTION_FOLDERS.get(resolution, (resolution,))
    for name in names:
        if (parent / name).is_dir():
            return parent / name
    there = [path.name for path in subfolders(parent)]
    wanted = " or ".join(str(parent / name) for name in names)
    raise InputError(
        f"DAVIS resolution {resolution!r}: looked for {wanted}; "
        + (f"there are {', '.join(there)}" if there else f"{parent} is missing or empty")
    )


def _read_list(layout: _Layout) -> dict[str, set[str]]:
    """Sequence names in order, each with the frame names its list gives (empty: names only)."""
    candidates = _list_files(layout)
    for path in candidates:
        if path.is_file():
            break
    else:
        raise InputError(
            f"{layout.source}: no list of sequences; looked for "
            f"{' and '.join(str(p) for p in candidates)}. Download the subset ({_DOWNLOAD}) or "
            "name the sequences" + _of_the_other_task(layout)
        )
    listed: dict[str, set[str]] = {}
    for line in read_lines(path):
        name, stem = _listed_sequence(line, path)
        listed.setdefault(name, set()).update(stem)
    return listed


def _listed_sequence(line: str, path: Path) -> tuple[str, set[str]]:
    """Return the sequence that a line of a list names, and the frame that it names, if any.

    A name may hold spaces, in a pair of paths too: the first path ends with its suffix.
    """
    if len(Path(line).parts) == 1:
        return Path(line).name, set()
    pair = _FRAME.match(line)
    if pair is None or len(Path(pair["frame"]).parts) < 2:
        raise InputError(
            f"{path}: expected the name of a sequence, or the paths of a frame and of its "
            f"annotation, got the line {line!r}; correct the list"
        )
    frame = Path(pair["frame"])
    return frame.parent.name, {frame.stem}


def _list_files(layout: _Layout) -> list[Path]:
    folder = layout.root / "ImageSets"
    if layout.year == 2016:
        places = ["2016", layout.frames.name]
    elif layout.task == "unsupervised" and layout.subset.startswith("test"):
        # Other videos than those of the 2017 test subsets, under the same file names.
        places = ["2019"]
    elif layout.task == "unsupervised":
        places = ["2017", "2019"]
    else:
        places = ["2017"]
    return [folder / place / f"{layout.subset}.txt" for place in places]


def _check_present(layout: _Layout, names: Iterable[str]) -> None:
    for folder, needed in (
        (layout.frames, True),
        (layout.annotations, layout.task == "semi-supervised" or layout.every_frame_annotated),
    ):
        missing = [name for name in names if not (folder / name).is_dir()]
        if needed and missing:
            raise InputError(
                f"{layout.source}: looked in {folder} and found no folder for "
                f"{', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''} "
                f"({len(missing)} missing); complete the download or name other sequences"
                + (
                    _to_track_only(layout)
                    if layout.task == "unsupervised"
                    else _of_the_other_task(layout)
                )
            )


def _of_the_other_task(layout: _Layout) -> str:
    """Point at the unsupervised task where the folder holds what only that one needs."""
    marks = ("Annotations_unsupervised", "ImageSets/2019")
    if layout.task == "unsupervised" or not any((layout.root / mark).is_dir() for mark in marks):
        return ""
    return "; `task='unsupervised'` reads Annotations_unsupervised and ImageSets/2019"


def _to_track_only(layout: _Layout) -> str:
    """Say how to do without the masks that only an evaluation needs."""
    needed = "no masks" if layout.task == "unsupervised" else "first masks only"
    folder = layout.annotations.parent.name
    return f"; to track without an evaluation, `annotations={folder!r}` needs {needed}"


def _open_sequence(layout: _Layout, name: str, stems: set[str]) -> VideoSequence:
    frames = scan_folder(layout.frames / name, FRAME_SUFFIXES)
    masks = scan_folder(layout.annotations / name, MASK_SUFFIXES)
    if not frames:
        raise InputError(f"{layout.source}: no frame of {name} in {layout.frames / name}")
    lost = sorted((stems | set(masks)) - set(frames))
    if lost:
        raise InputError(
            f"{layout.source}: {name} lacks {counted(len(lost), 'frame')} that its list or its "
            f"annotations name, the first being {layout.frames / name / lost[0]}; complete the "
            "download"
        )
    first = next(iter(frames))
    needed = list(frames) if layout.every_frame_annotated else [first]
    bare = [stem for stem in needed if stem not in masks]
    supervised = layout.task == "semi-supervised"
    if bare and (supervised or layout.every_frame_annotated):
        raise InputError(
            f"{layout.source}: no annotation of {counted(len(bare), 'frame')} of {name}, the first "
            f"being {layout.annotations / name / bare[0]}.png; complete the download"
            + (_to_track_only(layout) if first in masks or not supervised else "")
        )
    return VideoSequence(
        name=name,
        frames=tuple(frames.values()),
        annotations=tuple(masks.get(stem) for stem in frames),
        prompts=((0, masks[first]),) if supervised else (),
        semantics="binary" if layout.year == 2016 else "ids",
        source=layout.source,
    )
