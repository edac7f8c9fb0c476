"""``vostrack studio``: the page for first masks, tracking, corrections and exports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vostrack.cli.command_options import CommandOptions

__all__ = ["StudioCommand"]


@dataclass(frozen=True, kw_only=True)
class StudioCommand(CommandOptions):
    """Open a page in the browser to outline, track, correct and export the objects of a video.

    Example: vostrack studio clip.mp4

    Needs pip install 'vostrack[studio]'. Everything stays on this computer. The work is kept in a
    folder beside the video; the same command opens it again. Without a video, choose one in the
    page, or drop it there.
    """

    video: Annotated[str | None, tyro.conf.Positional] = None
    """Video file, folder of images, or pattern such as "frames/*.png"."""

    project: Path | None = None
    """Folder that keeps the work. Default: clip.vostrack beside clip.mp4."""

    folders: tuple[Path, ...] = ()
    """Folders whose videos can be opened in the page. What is dropped on the page is kept in the
    first. Default: the folder of the video, or the current folder."""

    largest_upload: float = 8.0
    """Size of the largest video that can be dropped on the page, in GB."""

    preset: str = "balanced"
    """fast, balanced or best; see vostrack track."""

    device: str = "auto"
    """auto (CUDA where there is one), cpu, cuda or cuda:N."""

    host: str = "127.0.0.1"
    """Address to listen on. Others than this computer's own need --allow-remote."""

    port: int = 0
    """Port to listen on; 0 for a free one."""

    allow_remote: bool = False
    """Let other computers reach the page. The token in the address is then all that protects it,
    and the connection is not encrypted."""

    browser: bool = True
    """Open the page in the browser. Otherwise its address is printed only."""

    def run(self) -> int:
        """Serve until Ctrl-C, and return the exit status 0."""
        from vostrack.cli.error_text import to_flags
        from vostrack.cli.form import spelling_of
        from vostrack.errors import InputError
        from vostrack.studio.serve import Opening, serve

        if self.project is not None and self.video is None:
            raise InputError("project: names the folder of a video; give the video, too")
        if not self.largest_upload > 0:
            raise InputError(f"largest_upload: expected more than 0 GB, got {self.largest_upload}")
        spelling = spelling_of(StudioCommand, grouped=False)
        serve(
            Opening(self.video, self.project, self.folders, int(self.largest_upload * 1024**3)),
            preset=self.preset,
            device=self.device,
            host=self.host,
            port=self.port,
            allow_remote=self.allow_remote,
            browser=self.browser,
            tell=lambda text: print(text, flush=True),
            # The page calls things by their names, but who starts it anew gives flags.
            spell=lambda refusal: to_flags(refusal, spelling, subject=False),
        )
        return 0
