"""``vostrack synthesize``: cut-out objects and backgrounds in, clips with true masks out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from vostrack.errors import InputError

__all__ = ["SynthesizeCommand"]


@dataclass(frozen=True, kw_only=True)
class SynthesizeCommand:
    """Compose clips with true masks out of cut-out photographs and backgrounds.

    Example: vostrack synthesize --objects photos --backgrounds DAVIS clips --output out --clips 100

    The output folder is a data set in the layout of DAVIS 2017, which vostrack train target, davis
    run and eval read; composites.json records what happens in each clip. The same flags and files
    give the same clips.
    """

    objects: Path
    """Folder with JPEGImages/NAME.jpg (.png, .webp) and Mattes/NAME.png, gray or alpha. Photographs
    without one clean object serve as backgrounds."""

    output: Path
    """Folder for the data set, new or empty, apart from what is read."""

    clips: int
    """How many."""

    backgrounds: tuple[Path, ...] = ()
    """Folders of stills, of videos, of folders with frames, or data sets in the layout of DAVIS."""

    exclude: tuple[str, ...] = ()
    """Stills, videos and sequences not to be used, by name without suffix."""

    kind: Literal[
        "mixed", "all", "look-alikes", "growth", "occlusion", "small", "smoke", "bending"
    ] = "mixed"
    """What is sure to happen in each clip; all: each of the named kinds in turn."""

    size: str = "854x480"
    """Width x height, pixels, even."""

    frames: tuple[int, int] = (10, 16)
    """Lowest and highest number of frames."""

    split: Literal["train", "validation", "all"] = "all"
    """A fixed seventh of all objects and backgrounds, chosen by name, is left to validation."""

    subset: Annotated[Literal["train", "val"], tyro.conf.arg(name="set")] = "train"
    """Which list in ImageSets/2017 names the clips."""

    seed: int = 0
    """Seed of every random choice."""

    overwrite: bool = False
    """Replace the clips of an earlier run in the output folder."""

    verbose: bool = False
    """Log more."""

    quiet: bool = False
    """No progress bar, no summary; errors only."""

    def run(self) -> int:
        """Compose, write, and return 0."""
        from vostrack.datasets.composites import (
            VALIDATION_KINDS,
            CompositeConfig,
            CompositeFolder,
            list_clips,
            open_sources,
        )
        from vostrack.progress import open_progress

        if self.clips < 1:
            raise InputError(f"--clips: expected at least 1, got {self.clips}")
        if self.seed < 0:
            raise InputError(f"--seed: expected at least 0, got {self.seed}")
        base = CompositeConfig(size=_parse_size(self.size), frames=self.frames)
        kinds = tuple(VALIDATION_KINDS) if self.kind == "all" else (self.kind,)
        listed = list_clips(kinds, self.clips, base, self.seed)
        folder = CompositeFolder(self.output, self.subset)
        # Both are checked before anything of an earlier run is deleted.
        sources = open_sources(
            self.objects, self.backgrounds, split=self.split, exclude=self.exclude
        )
        inputs = [("objects", self.objects), *(("backgrounds", path) for path in self.backgrounds)]
        folder.prepare(overwrite=self.overwrite, inputs=[*inputs, *sources.files()])
        frames = 0
        with open_progress(self.clips, "clip", "composing", quiet=self.quiet) as bar:
            for clip in folder.write(listed, sources):
                frames += len(clip.images)
                bar.update()
        if not self.quiet:
            print(f"{self.clips} clips, {frames} frames: {self.output}")
        return 0


def _parse_size(text: str) -> tuple[int, int]:
    """H and W of WIDTHxHEIGHT.

    Raises:
        InputError: the text is something else.
    """
    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text.strip().lower())
    if match is None:
        raise InputError(f"--size: expected width x height such as 854x480, got {text!r}")
    return int(match[2]), int(match[1])
