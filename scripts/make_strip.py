"""Make the picture of the README: three frames of the bundled clip with their tracked masks.

Run from the repository's root: ``python scripts/make_strip.py``. It tracks the clip with the preset
``balanced`` and writes ``docs/figures/crossing_strip.png``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from vostrack import build_tracker, open_source, read_first_mask
from vostrack.files import atomic_path
from vostrack.masks import davis_palette
from vostrack.video import draw_overlay

FRAMES = (0, 16, 39)
SIZE = (256, 160)
GAP = 6
COLOURS = 96


def main() -> None:
    """Track the clip and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/figures/crossing_strip.png"))
    output: Path = parser.parse_args().output
    tracker = build_tracker("balanced")
    tiles = []
    with open_source("examples/crossing.mp4") as source:
        mask = read_first_mask("examples/crossing_first_mask.png", size=source.size)
        for frame in source:
            first = frame.index == 0
            result = tracker.start(frame.image, mask.labels) if first else tracker.step(frame.image)
            if frame.index in FRAMES:
                drawn = draw_overlay(frame.image, result.labels, palette=davis_palette())
                tiles.append(np.asarray(Image.fromarray(drawn).resize(SIZE, Image.Resampling.BOX)))
                tiles.append(np.full((SIZE[1], GAP, 3), 255, np.uint8))
    strip = Image.fromarray(np.concatenate(tiles[:-1], axis=1)).quantize(COLOURS)
    with atomic_path(output) as temporary:
        strip.save(temporary, format="PNG", optimize=True)
    print(f"{output}: {output.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
