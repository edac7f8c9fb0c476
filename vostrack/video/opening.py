"""Opening every kind of source."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from vostrack.errors import InputError
from vostrack.files import check_regular, expand_home
from vostrack.video.deinterlacing import Deinterlace, check_deinterlace
from vostrack.video.frames import FrameSource, Selection
from vostrack.video.names import IMAGE_SUFFIXES, is_pattern, is_url
from vostrack.video.repeated_frames import check_frames_once
from vostrack.video.value_range import check_range

__all__ = ["Reader", "open_source"]

Reader = Literal["auto", "pyav", "decord", "opencv"]
_READERS = ("auto", "pyav", "decord", "opencv")


def open_source(
    source: str | Path | int | Iterable[Any],
    *,
    reader: Reader = "auto",
    start: int = 0,
    end: int | None = None,
    stride: int = 1,
    exclude: Collection[Path] = (),
    value_range: str = "auto",
    deinterlace: Deinterlace = "auto",
) -> FrameSource:
    """Open a source of frames.

    Frames keep their number in the source, whatever is selected. Images and arrays have no clock:
    their times assume 25 frames per second, and ``frame_rate`` is None. Gray frames become RGB, and
    alpha is dropped.

    Args:
        source: a video file; an image or a folder of images; a pattern such as ``"frames/*.png"``;
            a list of image files; the index of a camera (``0`` or ``"0"``); an address
            (``"rtsp://..."``); or an iterable of uint8 arrays (H, W, 3), (H, W), (H, W, 1) or
            (H, W, 4), RGB. A list or array of frames can be read in any order, a generator once.
        reader: library that reads a video file, an address or a camera. "auto" means PyAV, and
            OpenCV for cameras. Other sources support "auto" only.
        start: number of the first selected frame, from 0.
        end: number after the last selected frame; None for no limit.
        stride: step between selected frames, at least 1.
        exclude: images of a folder or pattern that are no frames, such as a mask among them.
        value_range: which 16-bit values become 0 to 255: "full", "min,max", or "auto", which is the
            range of the first frame where this is narrow, as of thermal cameras, else "full".
        deinterlace: "auto" deinterlaces the pictures of video files that are marked as interlaced,
            with reader "auto" or "pyav"; "off" leaves them as they are.

    Returns:
        The source. It has read only what it needs to know its size.

    Raises:
        InputError: there is no such source, it has no frames, it cannot be read, a folder or
            pattern holds two images of one frame, or the selection does not fit it. If the number
            of frames is unknown, a start beyond the end is detected only while reading.
    """
    if reader not in _READERS:
        raise InputError(f"reader: expected one of {', '.join(_READERS)}, got {reader!r}")
    selection = Selection(start, end, stride)
    check_range(value_range)
    check_deinterlace(deinterlace)
    if isinstance(source, bool):
        raise InputError(f"source: expected a path, address, camera index or frames, got {source}")
    if isinstance(source, int):
        return _open_camera(source, reader, selection)
    if isinstance(source, str | Path):
        opened = _open_named(source, reader, selection, exclude, (value_range, deinterlace))
        if value_range not in ("auto", "full") and opened.value_range is None:
            opened.close()
            raise InputError(
                f"range: {source} has frames of 8 bits, which are taken as they are; leave `range` "
                "out"
            )
        return opened
    _only_auto(reader, "arrays and lists")
    return _open_iterable(source, selection, value_range)


def _only_auto(reader: Reader, kind: str) -> None:
    if reader != "auto":
        raise InputError(f"reader: {reader} reads video files, not {kind}; use `reader='auto'`")


def _open_named(
    source: str | Path,
    reader: Reader,
    selection: Selection,
    exclude: Collection[Path],
    pixels: tuple[str, Deinterlace],
) -> FrameSource:
    name = str(source)
    # Absolute, because frames are read later, when another folder may be the current one.
    path = expand_home(name).absolute()
    if path.is_dir():
        _only_auto(reader, "folders of images")
        from vostrack.video.images import images_in_folder, open_images

        images = images_in_folder(path, exclude)
        check_frames_once(images)
        return open_images(images, str(path), selection, pixels[0])
    if path.exists():
        return _open_file(path, reader, selection, *pixels)
    if is_url(name):
        return _open_address(name, reader, selection)
    if name.isdecimal():
        return _open_camera(int(name), reader, selection)
    if is_pattern(name):
        _only_auto(reader, "images")
        from vostrack.video.images import images_matching, open_images

        images = [image.absolute() for image in images_matching(name, exclude)]
        check_frames_once(images)
        return open_images(images, name, selection, pixels[0])
    if name == "-":
        raise InputError(
            "'-': standard input can be read only once and is not supported; write the video to a "
            "file first, for example with `cat > clip.mkv`"
        )
    raise InputError(
        f"{name!r} does not exist; expected a video file, a folder of images, a pattern such as "
        "'frames/*.png', a camera index or an address; check the path"
    )


def _open_file(
    path: Path, reader: Reader, selection: Selection, value_range: str, deinterlace: Deinterlace
) -> FrameSource:
    check_regular(path, "the video")
    if path.stat().st_size == 0 and path.is_file():
        raise InputError(f"{path} is empty (0 bytes); expected a video or an image; copy it again")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        _only_auto(reader, "images")
        from vostrack.video.images import open_images

        return open_images([path], str(path), selection, value_range)
    if reader == "decord":
        from vostrack.video.decord_file import DecordSource

        return DecordSource(path, selection)
    if reader == "opencv":
        from vostrack.video.opencv_capture import OpenCVFileSource

        return OpenCVFileSource(path, selection)
    from vostrack.video.video_file import VideoFileSource

    return VideoFileSource(path, selection, value_range, deinterlace)


def _open_address(address: str, reader: Reader, selection: Selection) -> FrameSource:
    if reader == "decord":
        raise InputError(f"reader: decord reads video files, not {address}; use `reader='auto'`")
    if reader == "opencv":
        from vostrack.video.opencv_capture import CaptureSource

        return CaptureSource(address, selection)
    from vostrack.video.live import StreamSource

    return StreamSource(address, selection)


def _open_camera(index: int, reader: Reader, selection: Selection) -> FrameSource:
    if reader not in ("auto", "opencv"):
        raise InputError(f"reader: {reader} does not read cameras; use `reader='auto'`")
    if index < 0:
        raise InputError(f"source: expected a camera index of 0 or more, got {index}")
    from vostrack.video.opencv_capture import CaptureSource

    return CaptureSource(index, selection)


def _open_iterable(source: Iterable[Any], selection: Selection, value_range: str) -> FrameSource:
    from vostrack.video.arrays import IterableSource, SequenceSource

    if isinstance(source, Mapping | bytes) or not hasattr(source, "__iter__"):
        raise InputError(
            "source: expected a path, address, camera index or an iterable of arrays (H, W, 3), "
            f"got {type(source).__name__}"
        )
    if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
        return IterableSource(source, selection)
    items = cast(Sequence[Any], source)
    if len(items) and isinstance(items[0], str | Path):
        from vostrack.video.images import open_images

        wrong = next((item for item in items if not isinstance(item, str | Path)), None)
        if wrong is not None:
            raise InputError(
                "source: expected a list of image files only, got an item of type "
                f"{type(wrong).__name__}"
            )
        paths = [Path(item).absolute() for item in items]
        return open_images(paths, "the image list", selection, value_range)
    return SequenceSource(items, selection)
