"""How close mattes come to the true alpha of composited clips, and what they cost.

Each clip is tracked from the hard mask of its first frame. "before" is the score of the tracker cut
to 0.25 to 0.75, as version 0.2 wrote it. "now" is what --save-mattes writes, "hair" the same with
--matte-edges hair. "closed_form" is
pymatting's closed-form matting on the same band around the edge (with --closed-form; slow).

    python benchmarks/matte_quality.py [--photos FOLDER] [--closed-form] [--json FILE]
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matte_scenes import SCENES, MatteFrame, photo_scene, scene
from record import begin_record, benchmark_parser, finish_record

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.build import build_tracker
from vostrack.presets import TrackerOptions
from vostrack.runs.matte import frame_mattes
from vostrack.tracking.tracker import FrameResult

_SPECK = 8
Way = Callable[[UInt8Array, FrameResult], FloatArray]


def main() -> None:
    """Measure each scene and write the record."""
    parser = benchmark_parser(__doc__, threads=1)
    parser.add_argument("--photos", type=Path, help="folder with JPEGImages and Mattes")
    parser.add_argument("--photo-scenes", type=int, default=6)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument(
        "--closed-form", action="store_true", help="also pymatting, last frame only"
    )
    parser.add_argument("--preset", default="fast", choices=("fast", "balanced", "best"))
    arguments = parser.parse_args()
    cv2.setNumThreads(arguments.threads)
    record = begin_record("mattes", ("numpy", "opencv-python", "pymatting"))
    rows = {}
    for name, frames in clips(arguments):
        rows[name] = measure(list(frames), arguments)
        print(name, rows[name], flush=True)
    ways = next(iter(rows.values()))
    record |= {
        "clips": rows,
        "mean": {way: mean_of([row[way] for row in rows.values()]) for way in ways},
        "settings": {
            "preset": arguments.preset,
            "height": arguments.height,
            "frames": arguments.frames,
        },
    }
    finish_record(record, arguments.json)


def clips(arguments: argparse.Namespace) -> Iterator[tuple[str, Iterator[MatteFrame]]]:
    """Yield the name and the frames of each clip."""
    size = (arguments.height, arguments.height * 16 // 9)
    for name in SCENES:
        yield name, scene(name, size=size, frames=arguments.frames)
    if arguments.photos:
        for seed in range(arguments.photo_scenes):
            frames = photo_scene(arguments.photos, size=size, frames=arguments.frames, seed=seed)
            yield f"photo {seed}", frames


def measure(frames: list[MatteFrame], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of each way to make a matte."""
    options = TrackerOptions(seed=0, precision="fp32")
    tracker = build_tracker(arguments.preset, device="cpu", options=options)
    ways: dict[str, Way] = {"before": before, "now": now, "hair": hair}
    mattes: dict[str, list[FloatArray]] = {way: [] for way in ways}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number, frame in enumerate(frames):
        if number == 0:
            result = tracker.start(frame.image, (frame.alpha >= 0.5).astype(np.uint8))
        else:
            result = tracker.step(frame.image)
        for way, make in ways.items():
            begin = time.process_time()
            mattes[way].append(make(frame.image, result))
            seconds[way].append(time.process_time() - begin)
    found = {way: figures(frames, mattes[way], seconds[way]) for way in ways}
    if arguments.closed_form:
        begin = time.process_time()
        matte = closed_form(frames[-1].image, result)
        found["closed_form"] = figures(frames[-1:], [matte], [time.process_time() - begin])
        found["now, last frame"] = figures(frames[-1:], mattes["now"][-1:], seconds["now"][-1:])
    return found


def before(image: UInt8Array, result: FrameResult) -> FloatArray:
    """Return the matte of version 0.2."""
    return np.asarray(np.clip((result.scores[0] - 0.25) / 0.5, 0, 1), np.float32)


def now(image: UInt8Array, result: FrameResult) -> FloatArray:
    """Return the matte of this version."""
    return np.asarray(frame_mattes(image, result.labels, result.ids)[0], np.float32)


def hair(image: UInt8Array, result: FrameResult) -> FloatArray:
    """Return the matte of this version for hair."""
    return np.asarray(frame_mattes(image, result.labels, result.ids, "hair")[0], np.float32)


def closed_form(image: UInt8Array, result: FrameResult) -> FloatArray:
    """Return pymatting's matte in the same band (Levin et al. 2008)."""
    import pymatting

    mask = (result.labels == result.ids[0]).astype(np.uint8)
    unit = max(1.0, max(mask.shape) / 854)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    band = np.where(mask > 0, inside < 4.5 * unit, outside < 6 * unit)
    trimap = np.where(band, 0.5, mask.astype(np.float64))
    rows, columns = np.nonzero(band)
    part = (
        slice(max(0, rows.min() - 8), rows.max() + 9),
        slice(max(0, columns.min() - 8), columns.max() + 9),
    )
    alpha = trimap.astype(np.float32)
    alpha[part] = pymatting.estimate_alpha_cf(image[part] / 255.0, trimap[part])
    return alpha


def figures(
    frames: list[MatteFrame], mattes: list[FloatArray], seconds: list[float]
) -> dict[str, float]:
    """Return error, error of the gradient, flicker, specks and seconds of a clip.

    The errors are those of the alpha matting benchmark (Rhemann et al. 2009), as means over all
    pixels: absolute (times 1000), and squared of the gradient of Gaussians of 1.4 pixels (times a
    million). Flicker is the root of the mean squared error of the change between frames (Erofeev
    et al. 2015), times 1000.
    """
    pairs = [(matte, frame.alpha) for matte, frame in zip(mattes, frames, strict=True)]
    flicker = [
        float(np.sqrt((((b - a) - (d - c)) ** 2).mean()))
        for (a, c), (b, d) in itertools.pairwise(pairs)
    ]
    return {
        "error": round(1e3 * statistics.mean(float(np.abs(a - b).mean()) for a, b in pairs), 3),
        "gradient": round(1e6 * statistics.mean(gradient_error(a, b) for a, b in pairs), 2),
        "flicker": round(1e3 * statistics.mean(flicker), 2) if flicker else 0.0,
        "specks": round(statistics.mean(specks(a) for a, _ in pairs), 1),
        "seconds": round(statistics.median(seconds), 3),
    }


def gradient_error(matte: FloatArray, truth: FloatArray) -> float:
    """Return the mean squared difference of the sizes of two gradients."""
    sizes = []
    for alpha in (matte, truth):
        smooth = cv2.GaussianBlur(alpha, (0, 0), 1.4)
        across, down = (cv2.Sobel(smooth, cv2.CV_32F, *axis) / 8 for axis in ((1, 0), (0, 1)))
        sizes.append(np.hypot(across, down))
    return float(((sizes[0] - sizes[1]) ** 2).mean())


def specks(matte: FloatArray) -> int:
    """Return the number of islands and holes of up to 8 pixels in a matte cut at one half."""
    count = 0
    for mask in (matte >= 0.5, matte < 0.5):
        _, _, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        count += int((facts[1:, cv2.CC_STAT_AREA] <= _SPECK).sum())
    return count


def mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each figure."""
    return {key: round(statistics.mean(row[key] for row in rows), 3) for key in rows[0]}


if __name__ == "__main__":
    main()
