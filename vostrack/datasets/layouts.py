"""All layouts of data sets behind one function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from vostrack.datasets.burst import open_burst
from vostrack.datasets.davis import DavisTask, open_davis
from vostrack.datasets.lvos import open_lvos
from vostrack.datasets.mose import open_mose
from vostrack.datasets.video_sequence import VideoSequence
from vostrack.datasets.youtube_vos import open_youtube_vos
from vostrack.errors import InputError

__all__ = ["DatasetChoice", "Layout", "default_subset", "open_dataset"]

Layout = Literal["davis", "youtube-vos", "mose", "lvos", "burst"]

_SUBSETS: dict[str, str] = {
    "davis": "val",
    "youtube-vos": "valid",
    "mose": "valid",
    "lvos": "val",
    "burst": "val",
}
# Which options a layout has beside those of every layout.
_OWN = {
    "year": ("davis",),
    "resolution": ("davis",),
    "annotations": ("davis",),
    "all_frames": ("youtube-vos", "burst"),
}


@dataclass(frozen=True, kw_only=True)
class DatasetChoice:
    """Which sequences of which data set.

    Attributes:
        root: folder of the data set, in the form that the function of the layout describes.
        layout: davis, youtube-vos, mose, lvos or burst.
        subset: which list or folder; by default the one that is used for evaluation.
        sequences: only these; empty for all.
        year: of DAVIS: 2016 or 2017 (the default).
        resolution: of DAVIS: folder below ``JPEGImages``, by default 480p.
        annotations: of DAVIS: folder of masks in place of ``Annotations``.
        all_frames: of YouTube-VOS and BURST: all frames and not only those that are scored.
    """

    root: Path
    layout: Layout = "davis"
    subset: str | None = None
    sequences: Sequence[str] = ()
    year: int | None = None
    resolution: str | None = None
    annotations: str | None = None
    all_frames: bool = False

    def __post_init__(self) -> None:
        """Check that every option belongs to the layout.

        Raises:
            InputError: the layout is unknown, or an option would have no effect.
        """
        if self.layout not in get_args(Layout):
            raise InputError(
                f"layout: expected one of {', '.join(get_args(Layout))}, got {self.layout!r}"
            )
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value != entry.default and self.layout not in _OWN.get(entry.name, (self.layout,)):
                raise InputError(
                    f"{entry.name}: has no effect with the layout {self.layout}; it belongs to "
                    f"{' and '.join(_OWN[entry.name])}"
                )


def default_subset(layout: Layout) -> str:
    """Return the subset of a layout that is used for evaluation."""
    return _SUBSETS[layout]


def open_dataset(
    choice: DatasetChoice,
    *,
    task: DavisTask = "semi-supervised",
    masks: Path | None = None,
) -> tuple[VideoSequence, ...]:
    """Find the sequences of a data set.

    Args:
        choice: which ones.
        task: of DAVIS.
        masks: of BURST: folder for its annotations as label maps.

    Raises:
        InputError: as the function of the layout; or BURST was chosen without ``masks``, or
            another layout than DAVIS with its unsupervised task.
    """
    if task != "semi-supervised" and choice.layout != "davis":
        raise InputError(
            f"task: has no effect with the layout {choice.layout}; {task} belongs to davis"
        )
    subset, names = choice.subset or _SUBSETS[choice.layout], choice.sequences or None
    if choice.layout == "davis":
        return open_davis(
            choice.root,
            year=choice.year or 2017,
            subset=subset,
            task=task,
            resolution=choice.resolution or "480p",
            annotations=choice.annotations,
            sequences=names,
        )
    if choice.layout == "youtube-vos":
        return open_youtube_vos(
            choice.root, subset=subset, all_frames=choice.all_frames, sequences=names
        )
    if choice.layout == "mose":
        return open_mose(choice.root, subset=subset, sequences=names)
    if choice.layout == "lvos":
        return open_lvos(choice.root, subset=subset, sequences=names)
    if masks is None:
        raise InputError("masks: BURST needs a folder for its annotations as label maps")
    return open_burst(
        choice.root, masks, subset=subset, all_frames=choice.all_frames, sequences=names
    )
