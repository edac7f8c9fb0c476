"""``--exclude``: videos that are not trained on. A misspelt name must not go unnoticed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from vostrack.errors import InputError

if TYPE_CHECKING:
    from vostrack.datasets import VideoSequence

__all__ = ["check_excluded", "held_out_videos", "without_excluded"]


def check_excluded(exclude: Collection[str], known: Collection[str]) -> None:
    """Check that every excluded name is one that there is.

    Args:
        exclude: names to leave out.
        known: names of the videos, and of what else can be left out.

    Raises:
        InputError: a name is unknown, so that what it meant would be trained on.
    """
    unknown = [name for name in exclude if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=3)
        hint = f"expected names such as {', '.join(sorted(known)[:3])}" if known else "leave it out"
        if near:
            hint = f"did you mean {' or '.join(near)}?"
        raise InputError(f"--exclude: {unknown[0]} is none of the videos and backgrounds; {hint}")


def without_excluded(
    videos: Sequence[VideoSequence], exclude: Collection[str]
) -> list[VideoSequence]:
    """Return the videos that are trained on.

    Args:
        videos: of one data set.
        exclude: names to leave out; others than these videos may have them.

    Raises:
        InputError: there are videos, but all are left out.
    """
    rest = [video for video in videos if video.name not in exclude]
    if videos and not rest:
        count = "the only video" if len(videos) == 1 else f"all {len(videos)} videos"
        raise InputError(
            f"--exclude: it leaves out {count} of a data set, so that no video is left to train "
            "on; name fewer, or leave the data set out"
        )
    return rest


def held_out_videos(
    sequences: Sequence[VideoSequence], excluded: Sequence[str]
) -> list[VideoSequence]:
    """Return the sequences that are not trained on, to judge on.

    Raises:
        InputError: there is none.
    """
    found = [sequence for sequence in sequences if sequence.name in excluded]
    if not found:
        raise InputError("--validate-every: nothing to judge on; name sequences in --exclude")
    return found
