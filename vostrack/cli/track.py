"""``vostrack track``: one video and its first mask in, the masks of every frame out."""

from __future__ import annotations

from dataclasses import dataclass

from vostrack.cli.command_options import CommandOptions
from vostrack.runs.request import ClipRequest, ClipSummary
from vostrack.wording import counted

__all__ = ["TrackCommand"]


@dataclass(frozen=True, kw_only=True)
class TrackCommand(CommandOptions, ClipRequest):
    """Track the objects of a video from the masks of one frame, or of several.

    Example: vostrack track --video clip.mp4 --first-mask mask.png --output out

    Give the video, and a mask of its first frame with a number (or colour) for each object. Try
    --preset fast first, and --preset best for the final run.

    The output folder receives masks/00000.png ... (palette PNG, object ids, as in DAVIS),
    overlay.mp4 (look at it first), masks.json (the same as a COCO file) and run.json (settings,
    versions, seconds per stage, presence of each object). Ctrl-C keeps the finished frames; the
    same command with --resume goes on.
    """

    def run(self) -> int:
        """Track, and return the exit status: 0, or 1 where the video is cut short or damaged."""
        from vostrack.cli.progress import ClipProgress
        from vostrack.runs.clip import track_clip

        with ClipProgress(enabled=not self.quiet) as progress:
            summary = track_clip(self, progress)
        if not self.quiet:
            print(
                f"{counted(summary.frames, 'frame')}, {counted(len(summary.ids), 'object')}: "
                f"first frame {summary.finetune_seconds:.1f} s, "
                f"{summary.frame_seconds:.2f} s per frame"
            )
            if any(name != str(n) for n, name in zip(summary.ids, summary.names, strict=True)):
                print(f"{'object' if len(summary.ids) == 1 else 'objects'}: {_named(summary)}")
            if summary.deinterlaced:
                print("interlaced video: every frame was deinterlaced")
            print(f"results in {summary.output}: {_listing(self)}")
        return 1 if summary.truncated or summary.damaged else 0


def _named(summary: ClipSummary) -> str:
    """Say which object is which, with a word for each colour."""
    from vostrack.masks.colour_names import with_colour_word

    pairs = zip(summary.ids, summary.names, strict=True)
    return ", ".join(f"{number} is {with_colour_word(name)}" for number, name in pairs)


def _listing(command: TrackCommand) -> str:
    names = ["masks/"]
    names += ["scores/"] if command.save_scores else []
    names += ["mattes/"] if command.save_mattes else []
    names += ["exports/"] if command.export else []
    names += ["overlay.mp4"] if command.overlay else []
    return ", ".join([*names, "masks.json", "run.json"])
