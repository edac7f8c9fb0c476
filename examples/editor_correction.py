"""Correct one frame of a tracked clip, track again what it changes, and export the masks.

    python examples/editor_correction.py --video CLIP --mask MASK --frame 40 --right RIGHT_MASK

Without --right, the exact mask of the bundled clip is used. The masks of all frames are written to
--output as palette PNG.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vostrack import (
    EditedVideo,
    InputError,
    build_tracker,
    open_source,
    read_first_mask,
    write_label_map,
)
from vostrack.masks import read_masks_json

HERE = Path(__file__).parent
CLIP = HERE / "crossing.mp4"


def track(video: EditedVideo, output: Path) -> int:
    """Write the masks of the frames that may have changed; return how many these were."""
    done = 0
    for step in video.track():
        write_label_map(output / f"{step.frame.index:05d}.png", step.result.labels)
        done += 1
    return done


def main() -> None:
    """Track, correct, and track again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--video", default=str(CLIP))
    parser.add_argument("--mask", default=str(HERE / "crossing_first_mask.png"))
    parser.add_argument("--frame", type=int, help="the frame to correct, from 0; else the last")
    parser.add_argument(
        "--right", help="the right mask of that frame; without it only for the bundled clip"
    )
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--output", type=Path, default=Path("out/corrected"))
    arguments = parser.parse_args()
    if not arguments.right and Path(arguments.video).resolve() != CLIP.resolve():
        parser.error("--right: expected the right mask of the frame to correct in --video")
    with open_source(arguments.video) as source:
        video = EditedVideo(build_tracker(arguments.preset), source)
        video.give(0, read_first_mask(arguments.mask, size=source.size))
        print(f"{track(video, arguments.output)} frames tracked")
        assert source.indices is not None
        frame = source.indices[-1] if arguments.frame is None else arguments.frame
        if frame not in source.indices:
            sys.exit(
                f"--frame: {frame} is not a frame of the video, which ends with frame "
                f"{source.indices[-1]}"
            )
        if arguments.right:
            right = read_first_mask(arguments.right, size=source.size).labels
        else:
            right = read_masks_json(HERE / "crossing_truth.json").labels(frame)
        video.give(frame, right)
        print(f"frame {frame} corrected, {track(video, arguments.output)} frames tracked again")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")
