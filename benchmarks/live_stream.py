"""Track thousands of small frames while objects are added, removed and corrected at random.

Reported are milliseconds per frame and the memory of the process, by tenths of the run, and how
often the state was saved, loaded in another process and tracked on there with the same result.
First an object of the bundled clip is painted out for --away frames: does it come back under its
id?

    python benchmarks/live_stream.py [--frames 3000] [--places 10] [--objects 4] [--json FILE]
"""

from __future__ import annotations

import hashlib
import io
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from record import begin_record, benchmark_parser, finish_record

from vostrack.build import build_tracker
from vostrack.masks import read_masks_json
from vostrack.tracking.tracker import Tracker
from vostrack.video import open_source

HEIGHT, WIDTH, PATCH = 64, 96, 18


class Scene:
    """Textured patches that bounce in front of a textured background."""

    def __init__(self, seed: int, objects: int) -> None:
        draw = np.random.default_rng(seed)
        coarse = draw.integers(60, 160, (HEIGHT // 8, WIDTH // 8, 3))
        self.background = np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)
        self.looks = {i: _look(draw) for i in range(1, objects + 1)}
        self.phase = draw.uniform(0, 6.28, (objects + 1, 2))

    def frame(self, time_: int, shown: set[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return the frame, and the label map of the objects ``shown``."""
        image, labels = self.background.copy(), np.zeros((HEIGHT, WIDTH), np.uint8)
        for number in sorted(shown):
            y = int((HEIGHT - PATCH) / 2 * (1 + np.sin(0.03 * time_ + self.phase[number, 0])))
            x = int((WIDTH - PATCH) / 2 * (1 + np.sin(0.021 * time_ + self.phase[number, 1])))
            image[y : y + PATCH, x : x + PATCH] = self.looks[number]
            labels[y : y + PATCH, x : x + PATCH] = number
        return image, labels


def _look(draw: np.random.Generator) -> np.ndarray:
    coarse = draw.integers(0, 256, (3, 3, 3))
    return np.kron(coarse, np.ones((6, 6, 1))).astype(np.uint8)


def change(
    tracker: Tracker, draw: np.random.Generator, image: np.ndarray, labels: np.ndarray
) -> str | None:
    """Add, remove or correct an object at random; return what was done."""
    visible = {int(i) for i in np.unique(labels)} - {0}
    what = draw.random()
    if what < 0.03 and visible - set(tracker.ids):
        number = min(visible - set(tracker.ids))
        tracker.add_objects(image, np.where(labels == number, number, 0), reuse_ids=True)
        return "added"
    if 0.03 <= what < 0.05 and tracker.ids:
        tracker.remove_objects([int(draw.choice(tracker.ids))])
        return "removed"
    if 0.05 <= what < 0.09 and visible & set(tracker.ids):
        number = min(visible & set(tracker.ids))
        tracker.correct(image, np.where(labels == number, number, 0))
        return "corrected"
    return None


def digest(tracker: Tracker) -> str:
    """Return a digest of the running state."""
    file = io.BytesIO()
    torch.save(tracker.state(), file)
    return hashlib.sha256(file.getvalue()).hexdigest()


def follow(tracker: Tracker, scene: Scene, begin: int, count: int) -> str:
    """Track some frames without changes; return the digest of masks and state."""
    total = hashlib.sha256()
    for time_ in range(begin, begin + count):
        image, _ = scene.frame(time_, set(scene.looks))
        result = tracker.step(image)
        total.update(result.labels.tobytes() + result.scores.tobytes())
    return total.hexdigest() + digest(tracker)


def same_elsewhere(tracker: Tracker, arguments: Any, scene: Scene, now: int) -> bool:
    """Load the state in another process, track on in both, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.pt"
        torch.save({"start": tracker.start_state(), "now": tracker.state()}, path)
        words = ["--resume", str(path), "--at", str(now), "--seed", str(arguments.seed)]
        words += ["--objects", str(arguments.objects)]
        done = subprocess.run(
            [sys.executable, __file__, *words], capture_output=True, text=True, check=True
        )
    with tracker.aside():
        return done.stdout.strip() == follow(tracker, scene, now, 3)


def away(frames: int) -> dict[str, Any]:
    """Paint an object of the bundled clip out for some frames; report how it comes back.

    The clip runs forwards and backwards, at half its size.
    """
    examples = Path(__file__).resolve().parents[1] / "examples"
    truth, shown, without = read_masks_json(examples / "crossing_truth.json"), [], []
    with open_source(examples / "crossing.mp4") as source:
        for frame in source:
            half = cv2.resize(frame.image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            small = np.asarray(half, np.uint8)
            labels = truth.labels(frame.index)[::2, ::2].copy()
            hole = cv2.dilate((labels == 2).astype(np.uint8), np.ones((9, 9), np.uint8))
            shown.append((small, labels))
            without.append(cv2.inpaint(small, hole, 3, cv2.INPAINT_TELEA))
    order = [*range(len(shown)), *range(len(shown) - 2, 0, -1)]
    tracker = build_tracker("fast")
    tracker.start(*shown[0])
    for now in range(1, 12):
        tracker.step(shown[order[now]][0])
    states, overlaps = [], []
    for now in range(12, 12 + frames):
        states.append(tracker.step(without[order[now % len(order)]]).states[1])
    for now in range(12 + frames, 23 + frames):
        image, labels = shown[order[now % len(order)]]
        found = tracker.step(image).labels
        both, either = (labels == 2) & (found == 2), (labels == 2) | (found == 2)
        overlaps.append(round(float(both.sum() / max(1, either.sum())), 3))
    return {
        "frames_away": frames,
        "state_before_return": states[-1],
        "frames_not_seen": sum(state in ("occluded", "lost") for state in states),
        "J_after_return": overlaps,
    }


def run(arguments: Any) -> dict[str, Any]:
    """Track the stream."""
    scene = Scene(arguments.seed, arguments.objects)
    draw = np.random.default_rng(arguments.seed + 1)
    tracker, rows = build_tracker("fast"), []
    counts: dict[str, int] = {}
    tracker.start(*scene.frame(0, {1, 2}))
    places = set(np.linspace(1, arguments.frames - 1, arguments.places, dtype=int).tolist())
    same, milliseconds = [], []
    tenth = max(1, arguments.frames // 10)
    for now in range(1, arguments.frames + 1):
        image, labels = scene.frame(now, set(scene.looks))
        begin = time.perf_counter()
        tracker.step(image)
        done = change(tracker, draw, image, labels)
        milliseconds.append(1000 * (time.perf_counter() - begin))
        if done:
            counts[done] = counts.get(done, 0) + 1
        if now in places:
            same.append(same_elsewhere(tracker, arguments, scene, now + 1))
        if now % tenth == 0:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            state = sum(t.numel() * t.element_size() for t in _tensors(tracker.state()))
            rows.append(
                {
                    "frame": now,
                    "median_ms": round(float(np.median(milliseconds[-tenth:])), 1),
                    "peak_memory_mib": round(memory, 1),
                    "state_kib": round(state / 1024, 1),
                }
            )
            print(rows[-1], file=sys.stderr, flush=True)
    return {
        "changes": counts,
        "tenths": rows,
        "same_in_another_process": f"{sum(same)}/{len(same)}",
    }


def _tensors(state: Any) -> list[torch.Tensor]:
    if isinstance(state, torch.Tensor):
        return [state]
    values = state.values() if isinstance(state, dict) else state
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        return []
    return [tensor for value in values for tensor in _tensors(value)]


def main() -> None:
    """Run the stream, or one place of it in another process."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--places", type=int, default=10, help="states loaded in another process")
    parser.add_argument("--away", type=int, default=500, help="frames without an object")
    parser.add_argument("--objects", type=int, default=4, help="at most so many, 2 or more")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", type=Path, help="for the other process")
    parser.add_argument("--at", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.resume is not None:
        saved = torch.load(arguments.resume, weights_only=True)
        tracker = build_tracker("fast")
        tracker.load_state(saved["start"], saved["now"])
        print(follow(tracker, Scene(arguments.seed, arguments.objects), arguments.at, 3))
        return
    record = begin_record("live stream", ("torch", "numpy"))
    if arguments.away:
        record["away"] = away(arguments.away)
    record.update(run(arguments))
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
