"""Cut objects out of a clip: an alpha matte per frame, and the objects over a plain colour.

    python examples/editor_mattes.py --video clip.mp4 --first-mask mask.png --output out/cutout

Without --video it uses the bundled clip. It writes ``mattes/00000.png`` ... (8-bit gray, white
where an object is) and ``cutout.mp4``. ``--objects 1 3`` keeps only these objects.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vostrack import (
    InputError,
    TrackedFrame,
    build_tracker,
    open_source,
    read_first_mask,
    track_video,
)
from vostrack.masks import write_matte
from vostrack.refine.matting import refined_matte
from vostrack.video import VideoWriter

HERE = Path(__file__).parent


def alpha_of(step: TrackedFrame, objects: list[int]) -> np.ndarray:
    """Return the coverage (H, W) in [0, 1] of the chosen objects together."""
    chosen = np.isin(step.result.labels, objects)
    return refined_matte(step.frame.image, chosen.astype(np.float32))


def composite(image: np.ndarray, alpha: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    """Put the objects of an image (H, W, 3) uint8 over a plain colour."""
    over = alpha[..., None]
    return np.rint(over * image + (1 - over) * np.array(colour)).astype(np.uint8)


def cut_out(arguments: argparse.Namespace) -> Iterator[str]:
    """Track the clip and write its mattes; yield a line for each frame."""
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    with open_source(arguments.video, end=arguments.end) as source:
        mask = read_first_mask(arguments.first_mask, size=source.size)
        objects = arguments.objects or list(mask.ids)
        tracker = build_tracker(arguments.preset)
        with VideoWriter(output / "cutout.mp4", source.frame_rate) as video:
            for step in track_video(tracker, source, mask.labels):
                alpha = alpha_of(step, objects)
                write_matte(output / "mattes" / f"{step.frame.index:05d}.png", alpha)
                video.add(composite(step.frame.image, alpha, arguments.colour), step.frame.time)
                yield f"frame {step.frame.index}: {alpha.mean():.1%} of the picture"


def main() -> None:
    """Read the arguments and cut out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--video", default=str(HERE / "crossing.mp4"), help="video or image folder")
    parser.add_argument("--first-mask", default=str(HERE / "crossing_first_mask.png"))
    parser.add_argument("--output", type=Path, default=Path("out/cutout"))
    parser.add_argument("--preset", default="balanced", help="fast, balanced or best")
    parser.add_argument("--objects", type=int, nargs="*", help="ids to keep; all by default")
    parser.add_argument("--colour", type=int, nargs=3, default=(0, 177, 64), help="red green blue")
    parser.add_argument("--end", type=int, help="number after the last frame")
    arguments = parser.parse_args()
    for line in cut_out(arguments):
        print(line)
    print(f"wrote {arguments.output / 'mattes'} and {arguments.output / 'cutout.mp4'}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")
