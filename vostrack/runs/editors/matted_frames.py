"""The frames of a run with the matte of each object, read again for an export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.files import expand_home, parse_json
from vostrack.masks.several_frames import split_frame
from vostrack.masks.video_masks import VideoMasks
from vostrack.refine.matte_edges import MatteEdges
from vostrack.runs.matte import frame_mattes
from vostrack.video import FrameNames, FrameSource, open_source

__all__ = ["MattedFrame", "MattedFrames", "matted_frames"]


@dataclass(frozen=True)
class MattedFrame:
    """A frame of the video.

    Attributes:
        name: its name in result files.
        time: in seconds.
        image: (H, W, 3) uint8 RGB.
        mattes: (N, H, W) float32 in [0, 1], in the order of the objects.
    """

    name: str
    time: float
    image: UInt8Array
    mattes: FloatArray


@dataclass(frozen=True)
class MattedFrames:
    """The frames of a run that have masks. They are read one at a time.

    Attributes:
        masks: the masks of the run.
        source: the video.
        names: what the result files call its frames.
        edges: what the edges of mattes are made of, where the run saved none.
    """

    masks: VideoMasks
    source: FrameSource
    names: FrameNames
    edges: MatteEdges = "plain"

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel divided by its height."""
        return self.source.pixel_aspect

    def __iter__(self) -> Iterator[MattedFrame]:
        """Yield the frames in the order of the video.

        Raises:
            InputError: a frame of the masks is missing in the video.
        """
        wanted = {frame.name: position for position, frame in enumerate(self.masks.frames)}
        ids = [entry.id for entry in self.masks.objects]
        for frame in self.source:
            name = self.names.name(frame.index)
            position = wanted.pop(name, None)
            if position is None:
                continue
            labels = self.masks.labels(position)
            if labels.shape != frame.image.shape[:2]:
                raise InputError(
                    f"results: the masks have {labels.shape[1]} x {labels.shape[0]} pixels, "
                    f"{self.source.name} has {frame.image.shape[1]} x {frame.image.shape[0]}; it "
                    "is not the video that was tracked"
                )
            mattes = self._saved(name, ids)
            if mattes is None:
                mattes = frame_mattes(frame.image, labels, ids, self.edges)
            yield MattedFrame(name, frame.time, frame.image, mattes)
        if wanted:
            raise InputError(
                f"results: frame {next(iter(wanted))} has a mask but is not in {self.source.name}; "
                "it is not the video that was tracked"
            )

    def _saved(self, name: str, ids: list[int]) -> FloatArray | None:
        """Return the mattes that the run saved; None if one is missing."""
        if self.masks.folder is None:
            return None
        paths = [self.masks.folder / "mattes" / str(i) / f"{name}.png" for i in ids]
        if not all(path.is_file() for path in paths):
            return None
        return np.stack([np.asarray(Image.open(path), np.float32) / 255 for path in paths])


@contextmanager
def matted_frames(masks: VideoMasks, name: str) -> Iterator[MattedFrames]:
    """Open the video of a run.

    Args:
        masks: the masks of a run.
        name: name of the export in messages.

    Raises:
        InputError: the masks are not those of a run, or the video cannot be read again.
    """
    settings = _settings(masks.folder)
    if settings is None and masks.path is not None:
        settings = {"video": masks.path}
    video = None if settings is None else str(settings.get("video", ""))
    if settings is None or video is None:
        raise InputError(
            f"results: {name} is made of the frames of the video; expected the folder that "
            "vostrack track wrote"
        )
    if not _readable(video):
        raise InputError(
            f"results: {name} is made of the frames of the video, but {video} cannot be read "
            "again; run the command in the folder where the video was tracked"
        )
    with open_source(
        video,
        reader=settings.get("reader", "auto"),
        start=settings.get("start", 0),
        end=settings.get("end"),
        stride=settings.get("stride", 1),
        value_range=settings.get("range", "auto"),
        deinterlace=settings.get("deinterlace", "auto"),
        exclude=[expand_home(split_frame(path)[1]) for path in settings.get("first_mask", ())],
    ) as source:
        names = source.names if settings.get("names", "source") == "source" else FrameNames()
        edges: MatteEdges = "hair" if settings.get("matte_edges") == "hair" else "plain"
        yield MattedFrames(masks, source, names, edges)


def _readable(video: str) -> bool:
    path = expand_home(video)
    return path.exists() or any(sign in video for sign in "*?[")


def _settings(folder: Path | None) -> dict[str, Any] | None:
    """Return what a run depends on, from its record or from its state while it is running."""
    if folder is None:
        return None
    for place in (folder / ".state" / "settings.json", folder / "run.json"):
        try:
            content = parse_json(place.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and isinstance(content.get("settings"), dict):
            return dict(content["settings"])
    return None
