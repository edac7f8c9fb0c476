"""Follow objects in a camera, add and drop them with keys.

    python examples/camera_objects.py --source 0

Drag a box around an object with the mouse, then press a. Click into an object, then press d to drop
it. Press q to quit. Without --source the bundled clip is shown.

``LiveObjects`` holds the logic and needs no window. Windows are of OpenCV; its headless package has
none.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vostrack import FrameResult, InputError, Tracker, build_tracker, open_source
from vostrack.masks import davis_palette
from vostrack.video import draw_overlay

HERE = Path(__file__).parent
Box = tuple[int, int, int, int]


def mask_in_box(image: np.ndarray, box: Box) -> np.ndarray:
    """Return a mask (H, W) bool of the object inside a box x0, y0, x1, y1, by GrabCut."""
    x0, y0, x1, y1 = box
    labels = np.zeros(image.shape[:2], np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    if x0 <= 0 and y0 <= 0 and x1 >= labels.shape[1] and y1 >= labels.shape[0]:
        return np.ones(labels.shape, np.bool_)  # there is nothing around it to compare with
    rectangle = (x0, y0, x1 - x0, y1 - y0)
    cv2.grabCut(image[..., ::-1].copy(), labels, rectangle, *models, 5, cv2.GC_INIT_WITH_RECT)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))


class LiveObjects:
    """Objects that come and go while frames arrive."""

    def __init__(self, tracker: Tracker) -> None:
        """Take a tracker that has not been started."""
        self.tracker = tracker
        self.image: Any = None
        self.labels: Any = None
        self._next = 1

    def see(self, image: np.ndarray) -> FrameResult | None:
        """Take the next frame (H, W, 3) uint8 RGB; None while no object was ever added."""
        self.image, self.labels = image, None
        if self._next == 1:
            return None
        result = self.tracker.step(image)
        self.labels = result.labels
        return result

    def add(self, box: Box) -> int | None:
        """Add the object inside a box of the last frame.

        Returns:
            Its id; None where nothing was found in the box.
        """
        if self.image is None or box[2] - box[0] < 4 or box[3] - box[1] < 4:
            return None
        mask = mask_in_box(self.image, box) * np.uint8(self._next)
        if not mask.any():
            return None
        change = self.tracker.start if self._next == 1 else self.tracker.add_objects
        self.labels = change(self.image, mask).labels
        self._next += 1
        return self._next - 1

    def drop(self, point: tuple[int, int]) -> int | None:
        """Drop the object at x, y of the last frame.

        Returns:
            Its id; None where there is none.
        """
        number = 0 if self.labels is None else int(self.labels[point[1], point[0]])
        if not number:
            return None
        self.tracker.remove_objects([number])
        self.labels = np.where(self.labels == number, 0, self.labels)
        return number


class Pointer:
    """What the mouse did last: a click, or a box that was dragged."""

    def __init__(self) -> None:
        self.point = (0, 0)
        self.box: Box = (0, 0, 0, 0)

    def __call__(self, event: int, x: int, y: int, *_: object) -> None:
        """Hear of a mouse event; OpenCV calls this."""
        if event == cv2.EVENT_LBUTTONDOWN:
            self.point = (x, y)
        elif event == cv2.EVENT_LBUTTONUP:
            (x0, y0), self.box = self.point, (0, 0, 0, 0)
            self.box = (min(x0, x), min(y0, y), max(x0, x), max(y0, y))


def press(key: str, objects: LiveObjects, pointer: Pointer) -> bool:
    """Do what a key says; False for q, which ends the loop."""
    if key == "a":
        objects.add(pointer.box)
    elif key == "d":
        objects.drop(pointer.point)
    return key != "q"


def main() -> None:
    """Show frames until the source ends or q is pressed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", default=str(HERE / "crossing.mp4"), help="camera index or file")
    parser.add_argument("--preset", default="fast")
    arguments = parser.parse_args()
    objects, pointer = LiveObjects(build_tracker(arguments.preset)), Pointer()
    with open_source(arguments.source) as source:
        try:
            cv2.namedWindow("vostrack")
        except cv2.error:
            sys.exit(
                "error: this OpenCV has no windows; install opencv-python in place of "
                "opencv-python-headless"
            )
        cv2.setMouseCallback("vostrack", pointer)
        objects.tracker.warm_up(source.size)
        for frame in source:
            objects.see(frame.image)
            labels = objects.labels
            shown = frame.image
            if labels is not None:
                shown = draw_overlay(frame.image, labels, palette=davis_palette())
            cv2.imshow("vostrack", shown[..., ::-1])
            if not press(chr(cv2.waitKey(30) & 0xFF), objects, pointer):
                break


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")
