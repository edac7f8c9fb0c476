"""A light localisation network: the box of the instance that each cell of a mask belongs to.

Wu et al. (2016) regress boxes from the image alone, with a network of the size of their semantic
one. Here a small head on the features of the tracker's backbone also sees the mask whose instances
are wanted, and for each cell the box of the connected component that it lies in. It predicts the
*difference* to that box: a head that has learnt nothing votes for the connected components, one
that has learnt something splits and joins them. One head serves the foreground of a video and the
mask of each class of a still.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from vostrack.arrays import FloatArray
from vostrack.models.weights_file import (
    read_described,
    read_header,
    write_weights,
)

__all__ = [
    "LocalizerConfig",
    "LocalizerHead",
    "component_boxes",
    "load_localizer",
    "localizer_fingerprint",
    "save_localizer",
]

_CONFIG_KEY = "vostrack.localizer"
_BACKBONE_KEY = "vostrack.trunk"  # as files have said it from the beginning
_COMPONENT_FROM = 0.5
# Components are no smaller than a cell; boxes at most this much smaller or larger (logarithm).
_SMALLEST = 0.08
_LOG_RATIOS = (-4.0, 2.0)


@dataclass(frozen=True)
class LocalizerConfig:
    """What a localisation head is made of.

    Attributes:
        channels: of the backbone's features at strides 8 and 16.
        width: channels inside at stride 8.
        dilations: of the 3x3 convolutions at stride 8, one after the other.
        deep_width: channels inside at stride 16.
        deep_dilations: of the 3x3 convolutions at stride 16, which come first; together they see
            the whole of most objects.
        longest: larger pictures are scaled down to this longer side, the size of the pictures that
            the head was trained on.
    """

    channels: tuple[int, int] = (128, 256)
    width: int = 48
    dilations: tuple[int, ...] = (1, 2)
    deep_width: int = 96
    deep_dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)
    longest: int = 320


class LocalizerHead(nn.Module):
    """Features and a mask in, a transform of every cell out.

    Attributes:
        config: what it was built from.
    """

    stride = 8

    def __init__(self, config: LocalizerConfig | None = None) -> None:
        super().__init__()
        self.config = config or LocalizerConfig()
        width, deep = self.config.width, self.config.deep_width
        self.fine = nn.Conv2d(self.config.channels[0], width, 1)
        self.coarse = nn.Conv2d(self.config.channels[1], deep, 1)
        self.given = nn.Conv2d(5, width, 3, padding=1)
        self.down = nn.Conv2d(width, deep, 3, stride=2, padding=1)
        self.deep_layers = nn.ModuleList(
            nn.Conv2d(deep, deep, 3, padding=d, dilation=d) for d in self.config.deep_dilations
        )
        self.up = nn.Conv2d(deep, width, 1)
        self.layers = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=d, dilation=d) for d in self.config.dilations
        )
        self.regress = nn.Conv2d(width, 4, 1)
        # No difference at first: training begins at the connected components.
        nn.init.zeros_(self.regress.weight)
        if self.regress.bias is not None:
            nn.init.zeros_(self.regress.bias)
        # A third less time on a CPU.
        self.to(memory_format=torch.channels_last)

    def forward(self, fine: Tensor, coarse: Tensor, mask: Tensor, components: Tensor) -> Tensor:
        """Predict.

        Args:
            fine: (B, C, h, w) features at stride 8.
            coarse: (B, C', ceil(h / 2), ceil(w / 2)) features at stride 16.
            mask: (B, h, w) in [0, 1], the share of each cell that the mask covers.
            components: (B, 4, h, w) the boxes of ``component_boxes``, as offsets to their centres
                and their sizes, in units of 100 pixels.

        Returns:
            (B, 4, h, w) float32: offset x, y from the cell's centre to that of the box, its width
            and height, in the unit of ``components``.
        """
        offset, size = components[:, :2], components[:, 2:].clamp(min=_SMALLEST)
        # Where a cell lies in its component, whatever the component's size.
        place = torch.cat([(offset / size).clamp(-1, 1), size.log()], dim=1)
        given = self.given(torch.cat([mask[:, None] - 0.5, place], dim=1))
        x = F.relu(self.fine(fine) + given)
        deep = F.relu(self.down(x) + self.coarse(coarse))
        for layer in self.deep_layers:
            deep = deep + F.relu(layer(deep))
        deep = F.interpolate(deep, size=x.shape[-2:], mode="bilinear", align_corners=False)
        x = F.relu(x + self.up(deep))
        for layer in self.layers:
            x = x + F.relu(layer(x))
        difference = self.regress(x).float()
        return torch.cat(
            [
                offset + size * difference[:, :2],
                size * difference[:, 2:].clamp(*_LOG_RATIOS).exp(),
            ],
            dim=1,
        )


def component_boxes(mask: FloatArray, stride: int) -> FloatArray:
    """Give every cell the box of the connected component that it lies in, or that is nearest.

    Args:
        mask: (h, w) in [0, 1]; a cell is of a component from 0.5 on.
        stride: pixels per cell.

    Returns:
        (4, h, w) x0, y0, x1, y1 in pixels; the whole grid where there is no component.
    """
    height, width = mask.shape
    binary = (mask >= _COMPONENT_FROM).astype(np.uint8)
    count, numbered, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=8)
    if count == 1:
        whole = np.array([0, 0, width, height], np.float32) * stride
        return np.broadcast_to(whole[:, None, None], (4, height, width)).copy()
    nearest = distance_transform_edt(binary == 0, return_distances=False, return_indices=True)
    x, y, w, h = (stats[:, k].astype(np.float32) for k in range(4))
    boxes = np.stack([x, y, x + w, y + h]) * stride
    return np.ascontiguousarray(boxes[:, numbered[tuple(nearest)]], dtype=np.float32)


def save_localizer(
    head: LocalizerHead, path: Path, *, backbone: str | None = None, half: bool = False
) -> None:
    """Write a head with its configuration as safetensors; replaced whole or not at all.

    Args:
        head: what to save.
        path: file to write.
        backbone: whose features it was trained on, see ``backbone_fingerprint``;
            None leaves it unsaid.
        half: store float16.
    """
    header: dict[str, object] = {_CONFIG_KEY: asdict(head.config)}
    if backbone is not None:
        header[_BACKBONE_KEY] = backbone
    write_weights(head, path, header, half=half)


def load_localizer(path: Path) -> LocalizerHead:
    """Read a head written by ``save_localizer``, ready for inference.

    Raises:
        InputError: no such file, or no localisation head.
    """
    values, state = read_described(path, _CONFIG_KEY, what="localisation head", command="localizer")
    first, second = values["channels"]
    config = LocalizerConfig(
        (first, second),
        values["width"],
        tuple(values["dilations"]),
        values["deep_width"],
        tuple(values["deep_dilations"]),
        values["longest"],
    )
    head = LocalizerHead(config)
    head.load_state_dict(state)
    return head.eval()


def localizer_fingerprint(path: Path) -> str | None:
    """Return the backbone that a head written by ``save_localizer`` was trained on.

    Returns:
        Its name, see ``backbone_fingerprint``; None where the file does not say, as those
        of earlier versions: they are for the foreground network of the package.
    """
    return read_header(path).get(_BACKBONE_KEY)
