"""Objects and backgrounds to compose clips of, with a cache of what was read last."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vostrack.datasets.composites.backgrounds import (
    LEAST_SIDE,
    Background,
    check_sizes,
    read_background_frame,
    read_video_frames,
    remove_object,
    scan_backgrounds,
)
from vostrack.datasets.composites.cutouts import read_cutout
from vostrack.datasets.composites.matte_filter import MatteFilter
from vostrack.datasets.composites.matted_photos import (
    MattedPhoto,
    choose_photos,
    is_held_out,
)
from vostrack.errors import InputError

__all__ = ["CompositeSources", "Split", "open_sources"]

UInt8Array = NDArray[np.uint8]

Split = Literal["train", "validation", "all"]

# Some 0.5 MB each for cut-outs, 1.2 MB for frames.
_CUTOUTS, _FRAMES = 300, 120


class CompositeSources:
    """What clips are composed of. Reads on demand and keeps what was used last."""

    def __init__(
        self,
        objects: Sequence[MattedPhoto],
        backgrounds: Sequence[Background],
        excluded: Collection[str] = (),
    ) -> None:
        """Take the lists; nothing is read.

        Args:
            objects: at least one.
            backgrounds: at least one.
            excluded: names of backgrounds that were left out, to be known.

        Raises:
            InputError: there is no object or no background, or two of a kind share a name.
        """
        for what, items in (("object", objects), ("background", backgrounds)):
            if not items:
                raise InputError(f"composites: expected at least one {what}, got none")
        self.objects = tuple(objects)
        self.excluded = frozenset(excluded)
        self.stills = tuple(b for b in backgrounds if not b.moves)
        self.videos = tuple(b for b in backgrounds if b.moves)
        self._by_name = {photo.name: photo for photo in objects}
        self._places = {background.name: background for background in backgrounds}
        if len(self._by_name) < len(objects) or len(self._places) < len(backgrounds):
            raise InputError(
                "composites: two objects or two backgrounds share a file name; rename one of them"
            )
        self._cutout = lru_cache(maxsize=_CUTOUTS)(read_cutout)
        self._frame = lru_cache(maxsize=_FRAMES)(self._read_frame)
        self._video = lru_cache(maxsize=16)(read_video_frames)

    def __reduce__(self) -> tuple[type[CompositeSources], tuple[object, ...]]:
        """Go to other processes without what was read."""
        return type(self), (self.objects, (*self.stills, *self.videos), self.excluded)

    def files(self) -> Iterator[tuple[str, Path]]:
        """Yield every file that may be read, after the parameter that names its folder."""
        for photo in self.objects:
            yield "objects", photo.image
            yield "objects", photo.matte
        for place in self._places.values():
            video = () if place.video is None else (place.video,)
            for path in (*place.frames, *place.masks, *video):
                yield "backgrounds", path

    def photo(self, name: str) -> MattedPhoto:
        """Return an object by its name."""
        return self._by_name[name]

    def background(self, name: str) -> Background:
        """Return a background by its name."""
        return self._places[name]

    def cutout(self, name: str) -> UInt8Array:
        """Return an object's pixels, (h, w, 4) uint8 RGBA; not to be written to."""
        return self._cutout(self._by_name[name])

    def frame(self, name: str, index: int, *, emptied: bool = False) -> UInt8Array:
        """Return a frame of a background, (H, W, 3) uint8 RGB; not to be written to.

        Args:
            name: of the background.
            index: of its frame.
            emptied: paint over the annotated object, if the frame has an annotation.
        """
        return self._frame(name, index, emptied)

    def look_alikes(self, name: str, count: int = 6) -> list[str]:
        """Return the names of objects that resemble one.

        Half of them are near in colour and size, half are neighbours in the order of names: the
        names of ImageNet's classes (WordNet) keep dogs beside dogs and boats beside boats.
        """
        own = self._by_name[name]
        others = [photo for photo in self.objects if photo.name != name]
        colours = np.array([photo.colour for photo in others]).reshape(len(others), 4)
        near = np.abs(colours - np.array(own.colour)).sum(axis=1).argsort(kind="stable")
        names = [others[int(i)].name for i in near[: count - count // 2]]
        order = sorted(self._by_name)
        place = order.index(name)
        around = sorted(range(len(order)), key=lambda i: (abs(i - place), i))
        extra = [order[i] for i in around[1:] if order[i] not in names]
        return names + extra[: count // 2]

    def _read_frame(self, name: str, index: int, emptied: bool) -> UInt8Array:
        background = self._places[name]
        if background.video is not None:
            data = self._video(background)
            decoded = cv2.imdecode(data[min(index, len(data) - 1)], cv2.IMREAD_COLOR)
            assert decoded is not None
            return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        image = read_background_frame(background, index)
        if emptied and background.masks:
            return remove_object(image, background.masks[index])
        return image


def open_sources(
    objects: Path,
    backgrounds: Sequence[Path],
    *,
    split: Split = "train",
    limits: MatteFilter | None = None,
    exclude: Collection[str] = (),
    strict: bool = True,
    index: Path | None = None,
) -> CompositeSources:
    """Find the objects and backgrounds of one split.

    Photographs that fail the filter serve as stills, unless they are tiny: they show scenes without
    one clean object.

    Args:
        objects: folder with ``JPEGImages/NAME.*`` and ``Mattes/NAME.png``.
        backgrounds: folders as for ``scan_backgrounds``; may be empty.
        split: "train" leaves out what is held out for "validation" (about 15 % of the objects and
            of the backgrounds, by their names); "all" is both.
        limits: which mattes are good enough.
        exclude: names of backgrounds not to be used.
        strict: refuse names in ``exclude`` that are no background's.
        index: file that keeps the measures of the photographs between runs.

    Raises:
        InputError: a folder is missing or unsuitable, or the split has no object or background.
    """
    chosen = choose_photos(objects, limits=limits, index=index)
    good = chosen.clean
    stills = [
        Background(photo.name, (photo.image,))
        for photo in chosen.others
        if min(photo.size) >= LEAST_SIDE
    ]
    places = [*scan_backgrounds(backgrounds), *stills]
    excluded = _known(exclude, places, strict=strict)
    places = [place for place in places if place.name not in excluded]
    if split != "all":
        held_out = split == "validation"
        good = [photo for photo in good if is_held_out(photo.name) == held_out]
        places = [place for place in places if is_held_out(place.name) == held_out]
    if not good or not places:
        raise InputError(
            f"composites: the {split} split has {len(good)} objects and {len(places)} backgrounds; "
            "expected at least one of each: give more files, or take the split 'all'"
        )
    check_sizes(places)
    return CompositeSources(good, places, excluded)


def _known(names: Collection[str], places: list[Background], *, strict: bool) -> set[str]:
    """Return the names that backgrounds have; others would otherwise go unnoticed."""
    known = set(names) & {place.name for place in places}
    unknown = sorted(set(names) - known)
    if unknown and strict:
        raise InputError(
            f"exclude: {unknown[0]} is no background; expected names of stills, videos and "
            "sequences without suffix"
        )
    return known
