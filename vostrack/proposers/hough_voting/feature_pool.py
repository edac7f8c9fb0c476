"""Training scenes whose features are computed once, for a head on a frozen backbone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vostrack.files import atomic_path
from vostrack.masks.palette import VOID
from vostrack.models.localizer import LocalizerHead
from vostrack.models.shared_backbone import BackboneNetwork, backbone_levels
from vostrack.proposers.hough_voting.scenes import SceneSource
from vostrack.proposers.hough_voting.targets import cell_labels, instance_boxes

__all__ = ["FeaturePool", "build_pool"]

_INSTANCES = 32
_PART = 50


@dataclass(frozen=True)
class FeaturePool:
    """P scenes, as the head sees them.

    Attributes:
        fine: (P, C, h, w) float16 features at stride 8.
        coarse: (P, C', h / 2, w / 2) float16 features at stride 16.
        ids: (P, h, w) uint8 instance under each cell's centre; 0 none, 255 void.
        boxes: (P, 32, 4) float32, x0, y0, x1, y1 in pixels of instance k; row 0 is unused.
    """

    fine: Tensor
    coarse: Tensor
    ids: Tensor
    boxes: Tensor

    def __len__(self) -> int:
        """Return P."""
        return len(self.ids)


def build_pool(
    network: BackboneNetwork,
    source: SceneSource,
    count: int,
    folder: Path,
    *,
    key: str,
    seed: int = 0,
    on_scene: Callable[[int], None] | None = None,
) -> FeaturePool:
    """Draw scenes and compute their features, or read those that an earlier call kept.

    Args:
        network: its backbone has levels of strides 8 and 16.
        source: of the scenes.
        count: P.
        folder: keeps pools, each in a subfolder of its own, in parts of 50 scenes; an interrupted
            call continues after the last complete part, and larger pools begin with the parts of
            smaller ones.
        key: describes backbone and source, what it reads included; a pool of another key or seed
            is neither read nor replaced.
        seed: of the scenes.
        on_scene: called with the number of scenes done.
    """
    name = hashlib.blake2b(json.dumps([key, seed]).encode(), digest_size=8).hexdigest()
    parts = []
    for first in range(0, count, _PART):
        last = min(first + _PART, count)
        path = folder / name / f"{first:06d}-{last:06d}.pt"
        label = json.dumps([key, seed, first, last])
        part = _read_part(path, label)
        if part is None:  # earlier versions kept one pool in a folder
            part = _read_part(folder / f"{first:06d}.pt", label)
        if part is None:
            scenes = []
            for index in range(first, last):
                image, ids = source.draw(np.random.default_rng([seed, index]))
                scenes.append(
                    _compute_features(network, torch.from_numpy(image), torch.from_numpy(ids))
                )
                if on_scene is not None:
                    on_scene(index + 1)
            part = vars(FeaturePool(*(torch.stack(p) for p in zip(*scenes, strict=True))))
            # Several processes of one training may write the same part.
            with atomic_path(path) as temporary:
                torch.save({**part, "label": label}, temporary)
        parts.append(part)
    return FeaturePool(**{name: torch.cat([p[name] for p in parts]) for name in parts[0]})


def _read_part(path: Path, label: str) -> dict[str, Tensor] | None:
    """Read a part that was kept; None where it is another one, cut short or damaged."""
    if not path.is_file():
        return None
    try:
        part = torch.load(path, weights_only=True)
    # What is no such file makes torch raise errors of nearly every kind.
    except Exception:
        part = None
    names = {"label", *(field.name for field in fields(FeaturePool))}
    if not isinstance(part, dict) or part.keys() != names or part.pop("label") != label:
        return None
    return part


def _compute_features(network: BackboneNetwork, image: Tensor, ids: Tensor) -> tuple[Tensor, ...]:
    device = network.mean.device
    pixels = image.permute(2, 0, 1)[None].to(device).float() / 255
    maps = dict(zip(network.backbone.strides, backbone_levels(network, pixels), strict=True))
    ids = torch.where((ids >= _INSTANCES) & (ids != VOID), VOID, ids)
    return (
        maps[8][0].half().cpu().contiguous(),
        maps[16][0].half().cpu().contiguous(),
        cell_labels(ids, LocalizerHead.stride),
        instance_boxes(ids)[:_INSTANCES],
    )
