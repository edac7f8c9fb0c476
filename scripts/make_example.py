"""Make the bundled example: ``examples/crossing.mp4``, its first mask and its truth.

Run from the repository's root: ``python scripts/make_example.py [--output examples]``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av

from vostrack.arrays import UInt8Array
from vostrack.datasets.synthetic import SyntheticScene, render_clip
from vostrack.masks import atomic_path, write_label_map, write_masks_json

SCENE = SyntheticScene(size=(240, 384), frames=40, objects=2, seed=6)
FRAME_RATE = 25
NAMES = {1: "stripes", 2: "blotches"}


def main() -> None:
    """Write the example's three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("examples"), help="folder to write to")
    folder: Path = parser.parse_args().output
    frames, labels = render_clip(SCENE)
    with atomic_path(folder / "crossing.mp4") as temporary:
        encode(temporary, frames)
    write_label_map(folder / "crossing_first_mask.png", labels[0])
    info = {"description": "Exact truth of crossing.mp4", "frame_rate": FRAME_RATE}
    write_masks_json(
        folder / "crossing_truth.json",
        enumerate(labels),
        tuple(NAMES),
        SCENE.size,
        names=NAMES,
        info=info,
    )
    for path in sorted(folder.glob("crossing*")):
        print(f"{path}: {path.stat().st_size / 1000:.1f} kB")


def encode(path: Path, frames: Iterable[UInt8Array]) -> None:
    """Encode frames (H, W, 3) uint8 RGB as H.264 in mp4; one thread, so that it is repeatable."""
    height, width = SCENE.size
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(FRAME_RATE))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "20", "preset": "slow"}
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
