"""Fit the weights of the click cues (``vostrack/interactive/cues.py``) and print them.

Clicks are simulated with the weights of the round before, so that the fit sees masks that it makes
itself; they are rough masks, which the target network has not refined. Every image counts the same,
and so do object and background of small objects, by halves.

    python scripts/fit_click_cues.py --davis DAVIS --photos PHOTOS

PHOTOS holds JPEGImages/NAME.* and Mattes/NAME.png, 8-bit gray; it may be left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from vostrack.arrays import BoolArray, FloatArray, UInt8Array
from vostrack.datasets.annotated_frames import read_annotation
from vostrack.datasets.davis import open_davis
from vostrack.interactive import Click
from vostrack.interactive.cues import CUES, FIRST_WEIGHTS, LATER_WEIGHTS, FrameMaps, cue_maps
from vostrack.interactive.frame_maps import frame_maps, load_networks
from vostrack.interactive.simulated_clicks import next_click
from vostrack.video.images import read_image

CLICKS, ROUNDS = 5, 3
Samples = list[tuple[FloatArray, BoolArray]]


def davis_images(root: Path) -> Iterator[tuple[UInt8Array, BoolArray]]:
    """Return the first frame of every second training sequence, all objects as one."""
    for sequence in open_davis(root, year=2016, subset="train")[::2]:
        path = sequence.annotations[0]
        assert path is not None, "the first frame of every sequence is annotated"
        labels = read_annotation(path, sequence.semantics)
        yield read_image(sequence.frames[0]), labels > 0


def photos(root: Path, count: int) -> Iterator[tuple[UInt8Array, BoolArray]]:
    """Return photographs of one object with a sharp matte, spread over the folder."""
    good = []
    for path in sorted((root / "Mattes").glob("*.png")):
        matte = read_image(path)[..., 0] / 255
        mask = matte > 0.5
        sizes = cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
        soft = float(((matte > 0.1) & (matte < 0.9)).mean())
        if 0.01 < mask.mean() < 0.7 and soft < 0.06 and sizes.max() > 0.9 * mask.sum():
            good.append((path.stem, mask))
    for name, mask in good[:: max(1, len(good) // count)]:
        yield read_image(next((root / "JPEGImages").glob(f"{name}.*"))), mask


def collect(
    maps: FrameMaps, truth: BoolArray, weights: tuple[FloatArray, FloatArray]
) -> tuple[Samples, Samples]:
    """Click on one image; return the cues (P, C) and the truth (P,) of first and later clicks."""
    rows, columns = maps.foreground.shape
    height, width = truth.shape
    small = cv2.resize(truth.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    mask, before = np.zeros_like(truth), None
    clicks: list[Click] = []
    samples: tuple[Samples, Samples] = ([], [])
    for turn in range(CLICKS):
        click = next_click(mask, truth)
        if click is None:
            break
        clicks.append(Click(click.x * columns // width, click.y * rows // height, click.inside))
        cues = cue_maps(maps, clicks, before)
        samples[turn > 0].append((cues.reshape(len(CUES), -1).T, small.ravel() > 0.5))
        before = np.tensordot(weights[turn > 0], cues, 1)
        mask = cv2.resize(before, (width, height)) > 0
    return samples


def fit(samples: Samples) -> FloatArray:
    """Return the weights (C,) of a logistic regression with a small penalty."""
    cues = torch.from_numpy(np.concatenate([one for one, _ in samples]))
    truth = torch.from_numpy(np.concatenate([one for _, one in samples])).float()
    shares = [np.where(one, one.mean(), 1 - one.mean()) for _, one in samples]
    sizes = [np.full(len(one), len(one)) for _, one in samples]
    weight = torch.from_numpy(
        1 / (np.sqrt(np.maximum(np.concatenate(shares), 1e-4)) * np.concatenate(sizes))
    ).float()
    mean, spread = cues.mean(0), cues.std(0) + 1e-6
    mean[0], spread[0] = 0, 1
    scaled = (cues - mean) / spread
    factors = torch.zeros(len(CUES), requires_grad=True)
    optimizer = torch.optim.LBFGS([factors], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(scaled @ factors, truth, reduction="none")
        total = (loss * weight).sum() / weight.sum() + 1e-3 * factors[1:].square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    found = factors.detach() / spread
    found[0] -= (found[1:] * mean[1:]).sum()
    result: FloatArray = found.numpy()
    return result


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--davis", type=Path, required=True)
    parser.add_argument("--photos", type=Path, default=None)
    parser.add_argument("--count", type=int, default=20, help="photographs")
    arguments = parser.parse_args()
    networks = load_networks(torch.device("cpu"))
    images = list(davis_images(arguments.davis))
    images += list(photos(arguments.photos, arguments.count)) if arguments.photos else []
    with torch.inference_mode():
        opened = [(frame_maps(networks, image), truth) for image, truth in images]
    weights = FIRST_WEIGHTS, LATER_WEIGHTS
    for _ in range(ROUNDS):
        found = [collect(maps, truth, weights) for maps, truth in opened]
        first, later = ([s for pair in found for s in pair[k]] for k in (0, 1))
        weights = fit(first), fit(later)
    for name, one, other in zip(CUES, *weights, strict=True):
        print(f'    "{name}": ({one:.3f}, {other:.3f}),')


if __name__ == "__main__":
    main()
