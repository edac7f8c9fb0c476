"""Follow objects in a camera or a video and print where they are, one JSON line per frame.

    python examples/robot_loop.py --source 0 --box 120 80 300 260

The first mask comes from a box (x0 y0 x1 y1, in pixels) or from --first-mask. Without --source the
bundled clip is used. Nothing is shown on a screen, and memory does not grow with time. Each line
holds the frame's number, the delay since the frame was read, and for each object its presence,
centre, box and area in pixels. An object with a presence below --lost is reported as lost.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vostrack import FrameResult, InputError, build_tracker, open_source, read_first_mask

HERE = Path(__file__).parent


def mask_in_box(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return a mask (H, W) of the object inside a box, by GrabCut; 1 where the object is."""
    x0, y0, x1, y1 = box
    labels = np.zeros(image.shape[:2], np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    if x0 <= 0 and y0 <= 0 and x1 >= labels.shape[1] and y1 >= labels.shape[0]:
        return np.ones_like(labels)  # there is nothing around it to compare with
    rectangle = (x0, y0, x1 - x0, y1 - y0)
    cv2.grabCut(image[..., ::-1].copy(), labels, rectangle, *models, 5, cv2.GC_INIT_WITH_RECT)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)


def describe(result: FrameResult, lost_below: float) -> list[dict[str, Any]]:
    """Return what a controller wants to know of each object."""
    found = []
    for number, presence in zip(result.ids, result.presence, strict=True):
        rows, columns = np.nonzero(result.labels == number)
        entry: dict[str, Any] = {"id": number, "presence": round(presence, 3)}
        entry["lost"] = presence < lost_below or not len(rows)
        if len(rows):
            entry["centre"] = [round(float(columns.mean()), 1), round(float(rows.mean()), 1)]
            corners = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            entry["box"] = [int(corner) for corner in corners]
            entry["area"] = len(rows)
        found.append(entry)
    return found


def main() -> None:
    """Read the arguments and follow until the source ends or Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", default=str(HERE / "crossing.mp4"), help="camera index or file")
    parser.add_argument("--first-mask", help="mask of the first frame")
    parser.add_argument("--box", type=int, nargs=4, help="x0 y0 x1 y1 of one object instead")
    parser.add_argument("--preset", default="fast", help="fast has no fine-tuning: no delay")
    parser.add_argument("--lost", type=float, default=0.5, help="presence that counts as lost")
    parser.add_argument("--frames", type=int, help="stop after so many frames")
    arguments = parser.parse_args()
    tracker = build_tracker(arguments.preset)
    with open_source(arguments.source) as source:
        for count, frame in enumerate(source):
            read = time.perf_counter()
            if count == 0:
                if arguments.box:
                    mask = mask_in_box(frame.image, tuple(arguments.box))
                else:
                    path = arguments.first_mask or HERE / "crossing_first_mask.png"
                    mask = read_first_mask(path, size=source.size).labels
                result = tracker.start(frame.image, mask)
            else:
                result = tracker.step(frame.image)
            line = {
                "frame": frame.index,
                "delay": round(time.perf_counter() - read, 4),
                "objects": describe(result, arguments.lost),
            }
            print(json.dumps(line), flush=True)
            if arguments.frames is not None and count + 1 >= arguments.frames:
                break


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")
