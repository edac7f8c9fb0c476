"""A tracker in a process of its own, which ``speed_table.py`` asks for one piece of work at a time.

It reads a line of JSON, does what it says, and answers with a line of JSON. It only uses names that
older versions of the package have too.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any


class Worker:
    """One tracker and its clip."""

    def begin(
        self,
        preset: str,
        size: list[int],
        objects: int,
        frames: int,
        threads: int,
        steps: int,
        weights: str = "auto",
        window: int = 0,
    ) -> Any:
        """Build a tracker and start it; return the seconds of that and of the first step.

        With ``window`` it works as version 0.2.0 did, in windows of so many pixels, and without the
        optical flow.
        """
        import cv2
        import torch

        from vostrack import TrackerOptions, build_tracker
        from vostrack.datasets.synthetic import SyntheticScene, render_clip

        if threads:
            torch.set_num_threads(threads)
            cv2.setNumThreads(threads)
        height, width = size
        scene = SyntheticScene(size=(height, width), frames=frames, objects=objects, seed=3)
        self.clip, labels = render_clip(scene)
        options = TrackerOptions(object_steps=steps) if steps >= 0 else TrackerOptions()
        if window:
            work_as_before(preset, window)
        self.tracker = build_tracker(preset, weights=weights, options=options)
        start = timed(lambda: self.tracker.start(self.clip[0], labels[0]))
        self.next = 1
        return {"start": start, "first": self.step()}

    def step(self) -> dict[str, float]:
        """Track the next frame, again from the first when the clip is over; return the seconds."""
        frame = self.clip[self.next]
        self.next = self.next % (len(self.clip) - 1) + 1
        return timed(lambda: self.tracker.step(frame))

    def steps(self, count: int) -> list[dict[str, float]]:
        """Track some frames."""
        return [self.step() for _ in range(count)]

    def peak(self) -> float:
        """Return the most memory that was in use, in MB."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def work_as_before(preset: str, pixels: int) -> None:
    """Give a preset the windows of version 0.2.0, and leave out the optical flow."""
    from dataclasses import replace

    from vostrack.presets import named

    known = named.PRESETS[preset]
    assert known.target is not None
    window = replace(known.target.window, pixels=pixels, crowd=1.0)
    finetune = replace(known.target.finetune, pixels=320 * 320)
    target = replace(known.target, window=window, finetune=finetune, flow_share=0)
    named.PRESETS[preset] = replace(known, target=target)


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Return the seconds of the processor and of the clock that ``work`` takes."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def main() -> None:
    """Answer until there are no more questions."""
    worker = Worker()
    for line in sys.stdin:
        name, options = json.loads(line)
        print(json.dumps(getattr(worker, name)(**options)), flush=True)


if __name__ == "__main__":
    main()
