"""What is open: at most one project at a time, the same for all pages."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from vostrack.errors import InputError
from vostrack.files import real_path
from vostrack.output_folder import FolderInUseError, exclusive_folder
from vostrack.studio.events import News
from vostrack.studio.frames import video_facts
from vostrack.studio.journal import VideoFacts
from vostrack.studio.places import Places, default_folder, project_folder
from vostrack.studio.project import Project
from vostrack.studio.session import StudioSession
from vostrack.studio.uploads import LARGEST_UPLOAD, Uploads

__all__ = ["Desk", "OtherVideoError"]

# A request without pictures: a list of a hundred thousand file names is the largest.
_LARGEST_LIST = 16 * 1024**2
_LARGEST_OTHER = 65536


class OtherVideoError(Exception):
    """A page asks about a video that is not open, or not any more."""


class Desk:
    """Opens projects, one after the other. Its methods may be called from any thread.

    Args:
        make_session: makes the session of a project; the news go to all pages.
        places: the folders whose videos may be opened.
        largest: bytes that a dropped video may have.
        spell: turns the names of parameters in refusals into what whoever started it writes.
    """

    def __init__(
        self,
        make_session: Callable[[Project, News], StudioSession],
        places: Places,
        largest: int = LARGEST_UPLOAD,
        spell: Callable[[str], str] = str,
    ) -> None:
        self.news = News()
        self.places = places
        self.spell = spell
        self.uploads = Uploads(places.home, largest)
        self._make = make_session
        self._lock = threading.RLock()
        self._session: StudioSession | None = None
        self._closing = ExitStack()
        self.key = ""  # of the open project: the same whenever it is open

    def session(self, key: str = "") -> StudioSession:
        """Return the session of the open project.

        Args:
            key: of the project that the page shows; empty for whatever is open.

        Raises:
            InputError: no video is open.
            OtherVideoError: the page shows another project than that which is open.
        """
        with self._lock:
            if key and key != self.key:
                none = self._session is None
                raise OtherVideoError(
                    "no video is open; open one first"
                    if none
                    else "another video was opened meanwhile"
                )
            if self._session is None:
                raise InputError("video: none is open; open one first")
            return self._session

    def open(self, video: str | Path, folder: Path | None = None) -> None:
        """Open the project of a video in place of the one that is open.

        Args:
            video: file, folder of images, or pattern.
            folder: of the project; by default the video's own, beside it.

        Raises:
            InputError: the video or the project cannot be used; what was open stays so.
        """
        facts = video_facts(str(video))
        folder = folder or project_folder(video, facts)
        with self._lock:
            if self._session is not None and self._session.project.folder == folder:
                self._session.project.check_video(facts)
                return
            with ExitStack() as stack:
                try:
                    stack.enter_context(exclusive_folder(folder, "project"))
                except FolderInUseError:
                    raise InputError(
                        f"project: {folder} is open in another vostrack studio; close that one, or "
                        "give another folder as `project`"
                    ) from None
                session = self._make(Project(folder, facts), self.news)
                stack.callback(session.close)
                kept = stack.pop_all()
            self._closing.close()
            self._session, self._closing = session, kept
            self.key = _key(folder, facts)
        self.news.tell("project", {"project": self.key})

    def open_upload(self, key: str) -> bool:
        """Open a video that was dropped on the page; tell whether its project is new.

        Raises:
            InputError: it is not complete, or cannot be used; then nothing of it is kept.
        """
        video, new = self.uploads.finish(key)
        try:
            self.open(video)
        except InputError:
            if new:
                shutil.rmtree(default_folder(video), ignore_errors=True)
            raise
        return new

    def close(self) -> None:
        """Stop tracking, write what is known, and let go of the project."""
        self.uploads.close()
        with self._lock:
            self._session = None
            self._closing.close()

    def largest_request(self, path: str) -> int:
        """Return the bytes that a request may carry.

        Args:
            path: of the request.
        """
        if path == "/api/uploads":
            return _LARGEST_LIST
        if path.startswith("/api/uploads/"):
            return self.uploads.largest
        session = self._session
        if session is None or not path.startswith("/api/frames/"):
            return _LARGEST_OTHER
        # A label map that does not compress at all.
        return session.project.video.width * session.project.video.height + _LARGEST_OTHER


def _key(folder: Path, video: VideoFacts) -> str:
    """Return what names a project: after a restart, a page may still hold edits of it."""
    named = f"{real_path(folder)}\0{video.digest}"
    return hashlib.sha256(named.encode("utf-8", "surrogateescape")).hexdigest()[:16]
