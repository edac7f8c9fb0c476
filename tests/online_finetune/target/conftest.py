"""Two small annotated videos to draw training clips from."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vostrack.datasets import VideoSequence


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[VideoSequence]:
    """Two videos of five frames: a red box and a blue disk move over noise."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("videos")
    videos = []
    for name, colour in (("red", (230, 20, 20)), ("blue", (20, 20, 230))):
        frames, masks = [], []
        back = rng.integers(60, 140, (120, 160, 3)).astype(np.uint8)
        for t in range(5):
            y, x = np.mgrid[:120, :160]
            box = (abs(x - 60 - 5 * t) < 22) & (abs(y - 60) < 18)
            disk = (x - 70 - 5 * t) ** 2 + (y - 55) ** 2 < 500
            mask = box if name == "red" else disk
            frames.append(root / f"{name}{t}.jpg")
            masks.append(root / f"{name}{t}.png")
            Image.fromarray(np.where(mask[..., None], np.array(colour, np.uint8), back)).save(
                frames[-1]
            )
            Image.fromarray(mask.astype(np.uint8) * 255).save(masks[-1])
        videos.append(
            VideoSequence(name, tuple(frames), tuple(masks), ((0, masks[0]),), "binary", "")
        )
    return videos
