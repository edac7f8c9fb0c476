"""What the networks and the colours say of a frame before any click."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.interactive.cues import FrameMaps
from vostrack.interactive.distances import ImageGraph
from vostrack.models.foreground import SegmentationNet
from vostrack.models.target_net import Features, TargetNet
from vostrack.models.weights import load_network, load_target_net, shipped_weights

__all__ = ["ClickNetworks", "frame_maps", "load_networks"]

# Shorter sides that the networks see, in pixels, and the most that a small frame is magnified.
_COARSE, _FOREGROUND, _MAGNIFY = 240, 256, 1.5
_CELL = 16
# Pixels of the coarse image per pixel of the grid that the cues lie on.
_GRID = 4


@dataclass(frozen=True)
class ClickNetworks:
    """The networks that clicks are answered with, in evaluation mode.

    Attributes:
        target: the target network, which segments from a memory.
        foreground: the foreground network, which knows what usually moves.
        device: of both.
    """

    target: TargetNet
    foreground: SegmentationNet
    device: torch.device


def load_networks(device: torch.device) -> ClickNetworks:
    """Load the networks that are shipped with the package."""
    return ClickNetworks(
        load_target_net().to(device),
        load_network(shipped_weights()).eval().to(device),
        device,
    )


def frame_maps(networks: ClickNetworks, frame: UInt8Array) -> FrameMaps:
    """Compute what is known of a frame before any click.

    Args:
        networks: the networks.
        frame: (H, W, 3) uint8 RGB.

    Returns:
        Maps on a grid of about 60 rows or columns on the shorter side.
    """
    image = _scaled(frame, _COARSE, networks.device)
    features = networks.target.features(image)
    # Of keys and embeddings, the channels of the first backbone: those of the second, which sees a
    # frame this small in cells of 21 pixels, blur what a click means.
    config = networks.target.config
    key, embedding = features.key[:, : config.key], features.embedding[:, : config.embedding]
    rows, columns = (side // _GRID for side in image.shape[-2:])
    probability = networks.foreground(_scaled(frame, _FOREGROUND, networks.device)).softmax(1)
    foreground = F.interpolate(probability[:, 1:2], size=(rows, columns), mode="area")
    lab = cv2.cvtColor(
        cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB
    )
    colour: FloatArray = lab.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    keys = _unit_vectors(key, (rows, columns))
    surface = foreground.clamp(0.01, 0.99)[0, 0].cpu().numpy()
    graph = ImageGraph(
        np.concatenate([colour, surface[None]]), [*_edge_vectors(features, (rows, columns)), keys]
    )
    return FrameMaps(
        foreground=np.log(surface / (1 - surface)),
        colour=colour,
        keys=keys,
        embedding=_unit_vectors(embedding, (rows, columns)),
        graph=graph,
    )


def _scaled(frame: UInt8Array, side: int, device: torch.device) -> Tensor:
    """Return the image (1, 3, h, w) with a shorter side of about ``side`` pixels."""
    height, width = frame.shape[:2]
    scale = min(side / min(height, width), _MAGNIFY)
    rows, columns = (
        max(2 * _CELL, round(length * scale / _CELL) * _CELL) for length in (height, width)
    )
    small = cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small).to(device).permute(2, 0, 1)[None].float() / 255


def _edge_vectors(features: Features, size: tuple[int, int]) -> list[FloatArray]:
    """Return the features of strides 4 and 8, in which edges show."""
    return [_unit_vectors(level, size) for level in features.levels[1:3]]


def _unit_vectors(maps: Tensor, size: tuple[int, int]) -> FloatArray:
    """Return maps (1, C, h', w') as unit vectors (C, h, w)."""
    spread = F.interpolate(maps.float(), size=size, mode="bilinear", align_corners=False)
    vectors: FloatArray = F.normalize(spread, dim=1)[0].cpu().numpy()
    return vectors
