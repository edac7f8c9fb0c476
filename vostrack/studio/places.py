"""The folders whose videos may be opened, and what lies in them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from vostrack.errors import InputError
from vostrack.file_order import natural_order
from vostrack.files import expand_home, real_path
from vostrack.studio.journal import JOURNAL, VideoFacts, read_journal
from vostrack.video.names import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_pattern

__all__ = [
    "PROJECT_SUFFIX",
    "VIDEO_FOLDER",
    "Places",
    "default_folder",
    "known_videos",
    "project_folder",
    "video_name",
]

PROJECT_SUFFIX = ".vostrack"
"""Of the names of project folders."""

VIDEO_FOLDER = "video"
"""Of a project: what was dropped on the page."""

_MOST_LISTED = 500
_LONGEST_NAME = 255
# Decoders follow lists of other files and addresses. Such lists are text, and only one kind of
# video may begin with thousands of bytes that look like text.
_LOOKED_AT = 4096
_CONTROL = bytes({*range(32), 127} - {*b"\t\n\f\r"})
_PLAIN_VIDEO = b"YUV4MPEG2 "


def default_folder(video: str | Path) -> Path:
    """Return the folder of a new project of a video: beside it, named after it.

    Raises:
        InputError: the name of the video is too long for that.
    """
    return _folders(_named(video))[0]


def project_folder(video: str | Path, facts: VideoFacts) -> Path:
    """Return the folder of the project that a video has, or of a new one.

    Files may differ only in their suffixes (``clip.mp4`` and ``clip.mov``): the first has
    ``clip.vostrack``, the next ``clip.mov.vostrack``. A video that was renamed keeps its project.

    Args:
        video: file, folder of images, or pattern.
        facts: of the video.

    Raises:
        InputError: a project beside the video cannot be read, or the name of the video is too long
            for a folder that is named after it.
    """
    path = _named(video)
    folders = _folders(path)
    found = {one: read_journal(one / JOURNAL) for one in folders if (one / JOURNAL).exists()}
    own = [one for one, known in found.items() if _is_of(known.video, facts, path)]
    if any(found[one].edits for one in own):
        return own[0]
    # The project refuses a video that took the place of its own: a new one would look like a loss.
    replaced = [one for one, known in found.items() if known.video.path == facts.path]
    free = [one for one in folders if one not in found]
    renamed = [] if replaced and not own else _renamed(path, facts)
    return [*renamed, *own, *replaced, *free, *folders][0]


def _renamed(path: Path, facts: VideoFacts) -> list[Path]:
    """Return the projects with work on a video's content, under another name; latest first."""
    found = []
    for journal in path.parent.glob(f"*{PROJECT_SUFFIX}/{JOURNAL}"):
        folder = journal.parent
        with suppress(InputError, OSError):  # it is no business of this video
            known = read_journal(journal)
            named = bool(known.video.digest) and _is_of(known.video, facts, path)
            if known.edits and named and not (folder / VIDEO_FOLDER).exists():
                found.append((journal.stat().st_mtime_ns, folder))
    return [folder for _, folder in sorted(found, reverse=True)]


def _named(video: str | Path) -> Path:
    """Return the file or folder that the project is named after."""
    path = real_path(expand_home(video))
    return path.parent if is_pattern(str(video)) and not path.exists() else path


def _folders(path: Path) -> tuple[Path, ...]:
    """Return the folders that the project of a video may have, the preferred one first."""
    if path.parent.name == VIDEO_FOLDER and path.parent.parent.suffix == PROJECT_SUFFIX:
        return (path.parent.parent,)
    if path.name == VIDEO_FOLDER and path.parent.suffix == PROJECT_SUFFIX:
        return (path.parent,)
    short, whole = (path.with_name(f"{name}{PROJECT_SUFFIX}") for name in (path.stem, path.name))
    # What follows the dot in the name of a folder, as in take.1, is no suffix.
    ordered = (whole, short) if path.is_dir() else (short, whole)
    fitting = tuple(one for one in ordered if len(os.fsencode(one.name)) <= _LONGEST_NAME)
    if not fitting:
        raise InputError(
            f"video: the name {path.name[:20]}... is too long for a project folder that is named "
            "after it; rename the video, or give a folder as `project`"
        )
    return fitting


def _is_of(known: VideoFacts, facts: VideoFacts, path: Path) -> bool:
    """Tell whether a project belongs to a video, which may have been moved or renamed."""
    there = path.with_name(_named(known.path).name)
    # Older projects hold no digest, and copies have the same: then it is the other that is there.
    return known.fits(facts) and not (there.exists() and not there.samefile(path))


def video_name(path: Path) -> str:
    """Return what people call a video: a dropped folder of images has its project's name."""
    dropped = path.name == VIDEO_FOLDER and path.parent.suffix == PROJECT_SUFFIX
    return path.parent.stem if dropped else path.name


class Places:
    """The folders that were chosen when the server was started.

    Args:
        folders: at least one. What is dropped on the page goes to the first.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        """Look at the folders.

        Raises:
            InputError: one does not exist.
        """
        self.folders = tuple(real_path(expand_home(folder)) for folder in folders)
        for folder in self.folders:
            if not folder.is_dir():
                raise InputError(f"folders: expected existing folders, got {folder}")

    @property
    def home(self) -> Path:
        """Where projects of dropped videos are made."""
        return self.folders[0]

    def find(self, text: str) -> Path:
        """Return the video file or folder of images that a person named.

        Args:
            text: an absolute path, or one relative to a chosen folder.

        Raises:
            InputError: it lies outside the chosen folders, is not there, or is no video.
        """
        inside = [path for folder in self.folders if (path := self._resolved(folder, text))]
        if not inside:
            chosen = ", ".join(map(str, self.folders))
            raise InputError(
                f"video: {text} is not in a folder that was chosen ({chosen}); start again with "
                "its folder in `folders`, or drop the file on the page"
            )
        found = next((path for path in inside if _exists(path)), None)
        if found is None:
            raise InputError(f"video: there is no {text}; choose one of the list")
        check_video(found)
        return found

    def videos(self) -> list[Path]:
        """Return the videos and folders of images that lie in the chosen folders."""
        found = [path for folder in self.folders for path in _videos_in(folder)]
        return found[:_MOST_LISTED]

    def _resolved(self, folder: Path, text: str) -> Path | None:
        try:
            path = (folder / expand_home(text)).resolve()
        except (OSError, RuntimeError, ValueError):
            return None
        return path if any(path.is_relative_to(one) for one in self.folders) else None


def known_videos(folder: Path) -> list[Path]:
    """Return the videos in a folder that were dropped into projects or worked on."""
    worked = set()
    for journal in folder.glob(f"*{PROJECT_SUFFIX}/{JOURNAL}"):
        with suppress(InputError, OSError):
            found = read_journal(journal)
            worked.update([found.video.path] if found.edits else [])
    videos = list(_videos_in(folder))
    dropped = [path for path in videos if VIDEO_FOLDER in (path.name, path.parent.name)]
    return [*dropped, *(path for path in videos if str(path) in worked)]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # the name is too long
        return False


def check_video(path: Path) -> None:
    """Check that a path can be a video, before a decoder sees it.

    Raises:
        InputError: it is a file of another kind, a folder without images, or a list of other files.
    """
    if path.is_dir():
        if not _has_images(path):
            raise InputError(f"video: {path.name} is a folder without images; choose a video")
        return
    if not path.is_file() or path.suffix.lower() not in VIDEO_SUFFIXES:
        raise InputError(
            f"video: {path.name} is not a video file; expected one of "
            f"{', '.join(sorted(VIDEO_SUFFIXES))}, or a folder of images"
        )
    with path.open("rb") as file:
        begin = file.read(_LOOKED_AT)
    if begin and not begin.startswith(_PLAIN_VIDEO) and begin == begin.translate(None, _CONTROL):
        raise InputError(f"video: {path.name} is a text or a list of files; choose a video file")


def _videos_in(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir(), key=lambda path: natural_order(path.name))
    except OSError:
        return
    if _has_images(folder):
        yield folder
    for path in entries:
        if path.name.startswith("."):
            continue
        if path.suffix == PROJECT_SUFFIX:
            yield from _dropped(path / VIDEO_FOLDER)
        elif (path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES) or _has_images(path):
            yield path


def _dropped(folder: Path) -> Iterator[Path]:
    """Give the video that was dropped into a project: a file, or the folder of its frames."""
    if not folder.is_dir():
        return
    files = [path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES]
    if files:
        yield files[0]
    elif _has_images(folder):
        yield folder


def _has_images(folder: Path) -> bool:
    try:
        return folder.is_dir() and any(
            path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
            for path in folder.iterdir()
        )
    except OSError:
        return False
