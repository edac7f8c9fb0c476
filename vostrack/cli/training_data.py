"""``--data KIND:PATH:SHARE``: what clips are drawn from."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from vostrack.errors import InputError

if TYPE_CHECKING:
    from vostrack.datasets import VideoSequence
    from vostrack.online_finetune.target.clip_mixture import ClipMixture

__all__ = ["DataPart", "data_content", "open_clips", "open_videos", "parse_data"]

# What looks like a number is a share, even one that cannot be: a path would hardly end so.
_NUMBER = r"[-+]?(?:[.\d][-+.,%\de]*|(?i:nan|inf(?:inity)?))"
_ITEM = re.compile(rf"([a-z-]+):(.+?)(?::({_NUMBER}))?")

DataKind = Literal["davis", "youtube-vos", "mose", "objects", "photos"]


@dataclass(frozen=True)
class DataPart:
    """One part of a mixture.

    Attributes:
        kind: the layout: ``davis``, ``youtube-vos``, ``mose`` (folders ``JPEGImages/NAME`` and
            ``Annotations/NAME``), ``objects`` (photographs with mattes, to be composed), or
            ``photos`` (the same, each moved and bent as a whole).
        path: its folder.
        share: of the clips, in relation to the other parts.
    """

    kind: DataKind
    path: Path
    share: float


def parse_data(items: Sequence[str]) -> list[DataPart]:
    """Read the parts of a mixture.

    Args:
        items: ``KIND:PATH`` or ``KIND:PATH:SHARE``; without a share it is 1.

    Raises:
        InputError: an item has another form.
    """
    parts = []
    for item in items:
        found = _ITEM.fullmatch(item)
        if found is None or found[1] not in get_args(DataKind):
            raise InputError(
                f"--data: expected KIND:PATH or KIND:PATH:SHARE with KIND one of "
                f"{', '.join(get_args(DataKind))}, got {item!r}"
            )
        try:
            share = float(found[3] or 1)
        except ValueError:
            share = 0.0
        if not 0 < share < math.inf:
            raise InputError(f"--data: expected a share over 0, got {found[3]!r} in {item!r}")
        parts.append(DataPart(found[1], Path(found[2]), share))  # type: ignore[arg-type]
    return parts


def open_videos(part: DataPart, year: int, subset: str) -> list[VideoSequence]:
    """Open the annotated videos of a part; none of ``objects`` and ``photos``.

    Args:
        part: one of a mixture.
        year: which DAVIS list and annotations.
        subset: which list.

    Raises:
        InputError: the folder has not this layout.
    """
    from vostrack.datasets import open_davis, open_mose, open_youtube_vos

    if part.kind == "davis":
        return list(open_davis(part.path, year=year, subset=subset))
    if part.kind == "youtube-vos":
        return list(open_youtube_vos(part.path, subset="train"))
    if part.kind == "mose":
        return list(open_mose(part.path))
    return []


def data_content(parts: Sequence[DataPart], year: int, subset: str, output: Path) -> list[str]:
    """Return what the parts of a mixture hold; a folder may have been moved.

    Args:
        parts: of the mixture.
        year: which DAVIS list and annotations.
        subset: which list.
        output: where results go; what lies there does not count.

    Returns:
        Of each part its kind, its share, and the fingerprint of its videos or photographs.
    """
    from vostrack.datasets.fingerprint import folder_fingerprint, videos_fingerprint

    content = []
    for part in parts:
        videos = open_videos(part, year, subset)
        found = videos_fingerprint(videos) if videos else folder_fingerprint(part.path, output)
        content.append(f"{part.kind}:{part.share:g} ({found})")
    return content


def open_clips(
    parts: Sequence[DataPart],
    *,
    year: int,
    subset: str,
    exclude: Collection[str],
    backgrounds: Sequence[Path],
) -> tuple[ClipMixture, list[VideoSequence]]:
    """Open a mixture to train on.

    Args:
        parts: at least one.
        year: which DAVIS list and annotations.
        subset: which list.
        exclude: names of videos that are not trained on, nor used as backgrounds.
        backgrounds: folders of stills and videos for composed clips, beside the photographs.

    Returns:
        The mixture, and the videos that were left out.

    Raises:
        InputError: a folder has another layout, nothing to train on is left, or an excluded name
            is that of no video or background.
    """
    from vostrack.cli.excluded_videos import check_excluded, without_excluded
    from vostrack.datasets.composites import CompositeConfig, open_sources
    from vostrack.datasets.composites.matted_photos import clean_photos
    from vostrack.online_finetune.target.clip_mixture import ClipMixture
    from vostrack.online_finetune.target.composite_clips import CompositeClips
    from vostrack.online_finetune.target.photo_clips import PhotoClipConfig, PhotoClips
    from vostrack.online_finetune.target.training_clip import ClipSource
    from vostrack.online_finetune.target.video_clips import VideoClipConfig, VideoClips

    sources: list[tuple[ClipSource, float]] = []
    held_out: list[VideoSequence] = []
    known: set[str] = set()
    for part in parts:
        if part.kind == "objects":
            # A name may be that of a video of another part.
            photos = open_sources(part.path, backgrounds, exclude=exclude, strict=False)
            known |= photos.excluded | {place.name for place in (*photos.stills, *photos.videos)}
            sources.append((CompositeClips(photos, CompositeConfig(objects=(1, 3))), part.share))
            continue
        if part.kind == "photos":
            sources.append((PhotoClips(clean_photos(part.path), PhotoClipConfig()), part.share))
            continue
        videos = open_videos(part, year, subset)
        known |= {video.name for video in videos}
        held_out += [video for video in videos if video.name in exclude]
        rest = without_excluded(videos, exclude)
        sources.append((VideoClips(rest, VideoClipConfig()), part.share))
    check_excluded(exclude, known)
    return ClipMixture(sources), held_out
