"""Small sources, made here: discs and bars with mattes, patterned stills, a short sequence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from vostrack.datasets.composites import CompositeSources, open_sources
from vostrack.masks import write_label_map

WritePhoto = Callable[..., None]


def _write_photo(
    folder: Path, name: str, colour: tuple[int, int, int], shape: str = "disc"
) -> None:
    """A 60 x 80 photograph with one shape in four tones of a colour on white, and its matte."""
    alpha = np.zeros((60, 80), np.uint8)
    if shape == "disc":
        cv2.circle(alpha, (40, 30), 20, 255, -1, cv2.LINE_AA)
    elif shape == "bar":
        cv2.rectangle(alpha, (10, 22), (70, 38), 255, -1)
    elif shape == "two":
        cv2.circle(alpha, (20, 30), 12, 255, -1)
        cv2.circle(alpha, (60, 30), 12, 255, -1)
    elif shape == "soft":
        alpha[:, :60] = 128
    elif shape == "whole":
        alpha[:] = 255
    # Darker above, and to the left: no flip or turn looks like another.
    paint = np.full((60, 80, 3), colour, np.float64)
    paint[:30] *= 0.6
    paint[:, :30] *= 0.8
    share = alpha[..., None] / 255
    image = np.rint(paint * share + 240 * (1 - share)).astype(np.uint8)
    for part in ("JPEGImages", "Mattes"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(folder / "JPEGImages" / f"{name}.png")
    Image.fromarray(alpha).save(folder / "Mattes" / f"{name}.png")


@pytest.fixture(scope="session")
def write_photo() -> WritePhoto:
    return _write_photo


@pytest.fixture(scope="session")
def objects_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty clean objects, and five photographs that the filter refuses."""
    folder = tmp_path_factory.mktemp("objects")
    rng = np.random.default_rng(0)
    for index in range(20):
        red, green, blue = rng.integers(40, 255, 3).tolist()
        _write_photo(folder, f"o{index:02d}", (red, green, blue), ("disc", "bar")[index % 2])
    for name, shape in (("x0", "soft"), ("x1", "whole"), ("x2", "two"), ("x3", "none")):
        _write_photo(folder, name, (200, 100, 50), shape)
    return folder


@pytest.fixture(scope="session")
def backgrounds_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dozen stills, and one sequence of six annotated frames in the layout of DAVIS."""
    folder = tmp_path_factory.mktemp("backgrounds")
    rng = np.random.default_rng(1)
    (folder / "stills").mkdir()
    for index in range(24):
        coarse = rng.integers(0, 255, (6, 8, 3), np.uint8)
        still = cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_CUBIC)
        Image.fromarray(np.asarray(still)).save(folder / "stills" / f"s{index:02d}.png")
    frames = folder / "davis" / "JPEGImages" / "480p" / "walk"
    frames.mkdir(parents=True)
    for index in range(6):
        image = np.full((96, 128, 3), 20 * index + 60, np.uint8)
        mask = np.zeros((96, 128), np.uint8)
        mask[40:60, 10 * index + 10 : 10 * index + 30] = 1
        image[mask > 0] = (255, 0, 0)
        Image.fromarray(image).save(frames / f"{index:05d}.png")
        annotations = folder / "davis" / "Annotations" / "480p" / "walk"
        write_label_map(annotations / f"{index:05d}.png", mask)
    return folder


@pytest.fixture(scope="session")
def sources(objects_folder: Path, backgrounds_folder: Path) -> CompositeSources:
    folders = [backgrounds_folder / "stills", backgrounds_folder / "davis"]
    return open_sources(objects_folder, folders, split="all")
