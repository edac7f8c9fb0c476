"""A light localisation network: predicts, for each cell of a mask, the box of its instance.

Wu et al. (2016) regress boxes from the image alone, with a network as large as their semantic one.
Here a small head on the tracker's backbone features also sees the mask that is to be split into
instances, and for each cell the box of its connected component. It predicts the *difference* to
that box. An untrained head votes for the connected components; a trained one splits and merges
them. The same head is used for the foreground of a video and for each class mask of an image.
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
    UndrawnWeights,
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
_BACKBONE_KEY = "vostrack.trunk"  # the key in existing files
_COMPONENT_FROM = 0.5
# Minimum size of a component (one cell), and limits of the logarithmic change of a box's size.
_SMALLEST = 0.08
_LOG_RATIOS = (-4.0, 2.0)


@dataclass(frozen=True)
class LocalizerConfig:
    """Architecture of a localisation head.

    Attributes:
        channels: channels of the backbone features at strides 8 and 16.
        width: channels of the hidden layers at stride 8.
        dilations: dilations of the successive 3x3 convolutions at stride 8.
        deep_width: channels of the hidden layers at stride 16.
        deep_dilations: dilations of the 3x3 convolutions at stride 16, which come first. Together
            they see most objects as a whole.
        longest: images with a longer side are scaled down to this size in pixels, the size of the
            training images.
    """

    channels: tuple[int, int] = (128, 256)
    width: int = 48
    dilations: tuple[int, ...] = (1, 2)
    deep_width: int = 96
    deep_dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)
    longest: int = 320


class LocalizerHead(nn.Module):
    """Predicts a box for every cell from features and a mask.

    Attributes:
        config: the architecture.
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
        # Training starts from the connected components.
        nn.init.zeros_(self.regress.weight)
        if self.regress.bias is not None:
            nn.init.zeros_(self.regress.bias)
        # This takes a third less time on a CPU.
        self.to(memory_format=torch.channels_last)

    def forward(self, fine: Tensor, coarse: Tensor, mask: Tensor, components: Tensor) -> Tensor:
        """Predict the boxes.

        Args:
            fine: (B, C, h, w) features at stride 8.
            coarse: (B, C', ceil(h / 2), ceil(w / 2)) features at stride 16.
            mask: (B, h, w) in [0, 1], the fraction of each cell that the mask covers.
            components: (B, 4, h, w), the boxes of ``component_boxes`` as offsets to their centres
                and their sizes, in units of 100 pixels.

        Returns:
            (B, 4, h, w) float32: offsets x, y from the centre of the cell to the centre of the box,
            and its width and height, in units of 100 pixels.
        """
        offset, size = components[:, :2], components[:, 2:].clamp(min=_SMALLEST)
        # The position of a cell in its component, relative to the component's size.
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
    """Return, for every cell, the box of its connected component or of the nearest one.

    Args:
        mask: (h, w) in [0, 1]. Cells with at least 0.5 form the components.
        stride: pixels per cell.

    Returns:
        (4, h, w) float32: x0, y0, x1, y1 in pixels; the whole grid if there is no component.
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
    """Write a head with its configuration as safetensors, atomically.

    Args:
        head: the head.
        path: the file to write.
        backbone: name of the backbone that it was trained on; see ``backbone_fingerprint``. None
            leaves it out.
        half: whether to store float16.
    """
    header: dict[str, object] = {_CONFIG_KEY: asdict(head.config)}
    if backbone is not None:
        header[_BACKBONE_KEY] = backbone
    write_weights(head, path, header, half=half)


def load_localizer(path: Path) -> LocalizerHead:
    """Load a head written by ``save_localizer``.

    Returns:
        The head, in evaluation mode.

    Raises:
        InputError: the file does not exist or does not contain a localisation head.
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
    with UndrawnWeights():
        head = LocalizerHead(config)
    head.load_state_dict(state)
    return head.eval()


def localizer_fingerprint(path: Path) -> str | None:
    """Return the backbone that a head written by ``save_localizer`` was trained on.

    Returns:
        Its name; see ``backbone_fingerprint``. None for files of earlier versions, which do not
        state it. Their heads were trained on the package's foreground network.
    """
    return read_header(path).get(_BACKBONE_KEY)
