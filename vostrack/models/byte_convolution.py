"""Convolutions of bytes, for processors that multiply bytes faster than floats.

Activations are bytes with one scale per tensor, weights are signed bytes with one scale per output
channel (Jacob et al. 2018, "Quantization and training of neural networks").
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "LARGEST_BYTE",
    "MARGIN",
    "MIDDLE_BYTE",
    "ByteConvolution",
    "byte_products",
    "has_fast_int8",
    "image_bytes",
    "pooled",
    "rectified_to_bytes",
    "rows_to_bytes",
    "to_bytes",
]

LARGEST_BYTE = 255

MIDDLE_BYTE = 128
"""What stands for 0 where there are values below."""

# Processors without VNNI add pairs of products in 16 bits: 2 x 255 x 64 is the most that fits.
_LARGEST_WEIGHT = 64

# With AVX-512, oneDNN lays out the weights of 1 x 1 convolutions in one way for maps of fewer cells
# and in another for larger ones. A layout that does not fit is changed at every call: with 960
# channels to 320, that takes 11 ms beside 0.2 for the convolution.
_FEW_CELLS = 64

MARGIN = 1.1
"""How much larger activations may become: later frames may be brighter than the first."""


@lru_cache(maxsize=1)
def has_fast_int8() -> bool:
    """Tell whether this processor and this torch can compute convolutions in 8 bits.

    Only x86 processors with AVX2 or more are known to gain. The operators differ between versions
    of torch, so two convolutions are compared with float32.
    """
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        return False
    generator = torch.Generator().manual_seed(0)
    conv = nn.Conv2d(8, 8, 3, padding=1)
    x = torch.rand(1, 8, 6, 6, generator=generator).contiguous(memory_format=torch.channels_last)
    try:
        with torch.no_grad():
            conv.weight.copy_(torch.rand(conv.weight.shape, generator=generator) - 0.5)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # there is one
            wanted = F.relu(conv(x) + x)
            scale = 1 / LARGEST_BYTE
            whole = ByteConvolution(conv, scale, float(wanted.max()) / LARGEST_BYTE)
            found = whole.add(to_bytes(x, scale), to_bytes(x, scale), scale)
            summed = (found * whole.output_scale - wanted).abs().max()
            shifted = ByteConvolution(conv, 2 * scale, 1.0, input_zero=128)
            found = shifted.floats(to_bytes(2 * x - 1, 2 * scale, 128))
            if not torch.equal(
                pooled(to_bytes(x, scale)), to_bytes(F.max_pool2d(x, 3, 2, 1), scale)
            ):
                return False
            # Steps of the second input are twice as large.
            return bool(summed < 0.05 and (found - conv(2 * x - 1)).abs().max() < 0.1)
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return False


def to_bytes(x: Tensor, scale: float, zero: int = 0) -> Tensor:
    """Round x / scale + zero to bytes, halves to even numbers; what is below 0 becomes 0.

    Args:
        x: (B, C, h, w) on the CPU, best with channels last: the bytes are.
        scale: value of one step.
        zero: the byte that stands for 0.
    """
    rows = _rows(x)
    steps = cv2.addWeighted(rows, 1 / scale, rows, 0, zero, dtype=cv2.CV_8U)
    return torch.from_numpy(steps).view(_last(x)).permute(0, 3, 1, 2)


def rectified_to_bytes(x: Tensor, scale: float) -> Tensor:
    """Do what ``to_bytes`` does, in half the time, where x is at least 0."""
    steps = cv2.convertScaleAbs(_rows(x), alpha=1 / scale)
    return torch.from_numpy(steps).view(_last(x)).permute(0, 3, 1, 2)


def rows_to_bytes(rows: Tensor) -> tuple[Tensor, float]:
    """Return rows (A, K) as bytes (1, K, A, 1), 128 for 0, and the value of one step."""
    scale = max(float(rows.abs().amax()), 1e-6) / (LARGEST_BYTE - MIDDLE_BYTE)
    return to_bytes(rows.T[None, :, :, None], scale, MIDDLE_BYTE), scale


def byte_products(others: Tensor) -> ByteConvolution:
    """Return the convolution of ``rows_to_bytes`` that gives products with others (M, K)."""
    like = nn.Conv2d(others.shape[1], len(others), 1, bias=False, device="meta")
    like.weight = nn.Parameter(others[:, :, None, None], requires_grad=False)
    return ByteConvolution(like, 1.0, 1.0, MIDDLE_BYTE)


def _rows(x: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return x (B, C, h, w) as B h rows, channels last: OpenCV goes over them in one pass."""
    batch, channels, height, width = x.shape
    rows = x.detach().float().permute(0, 2, 3, 1)
    return rows.reshape(batch * height, width * channels).numpy()


def _last(x: Tensor) -> tuple[int, int, int, int]:
    batch, channels, height, width = x.shape
    return batch, height, width, channels


def pooled(values: Tensor) -> Tensor:
    """Return the largest of 3 x 3 bytes (B, C, h, w) at every other place of each side."""
    return torch.ops.quantized.max_pool2d(  # type: ignore[no-any-return]
        values, [3, 3], [2, 2], [1, 1], [1, 1], False
    )


def image_bytes(image: Tensor) -> Tensor:
    """Return an image (B, 3, H, W) as bytes 0 to 255, channels last.

    Args:
        image: in [0, 1] on the CPU, or bytes already.
    """
    if image.dtype == torch.uint8:
        return image.contiguous(memory_format=torch.channels_last)
    # OpenCV scales, rounds and limits in one pass.
    pictures = [
        cv2.merge([cv2.convertScaleAbs(plane, alpha=255) for plane in planes])
        for planes in image.detach().float().numpy()
    ]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


class ByteConvolution:
    """One convolution of bytes.

    Args:
        conv: the layer.
        input_scale: value of one step of the input.
        output_scale: of the output, where that is bytes.
        input_zero: the byte that stands for 0 in the input.
    """

    def __init__(
        self, conv: nn.Conv2d, input_scale: float, output_scale: float, input_zero: int = 0
    ) -> None:
        weight = conv.weight.detach().float()
        scale = (weight.abs().amax((1, 2, 3)) / _LARGEST_WEIGHT).clamp(min=1e-9)
        steps = (weight / scale.view(-1, 1, 1, 1)).round().to(torch.int8)
        self.input_scale, self.output_scale = input_scale, output_scale
        self.input_zero = input_zero
        self.geometry = [list(conv.stride), list(conv.padding), list(conv.dilation), conv.groups]
        self.bias = None if conv.bias is None else conv.bias.detach().clone()
        self.scale, self.zeros = scale, torch.zeros(len(scale), dtype=torch.int32)
        self.steps = steps
        self._packed: dict[bool, Tensor] = {}

    def _weights(self, x: Tensor) -> Tensor:
        """Return the weights as they are laid out for maps as large as x (B, C, h, w)."""
        few = x.shape[-2] * x.shape[-1] < _FEW_CELLS
        if few not in self._packed:
            self._packed[few] = torch.ops.onednn.qconv_prepack(
                self.steps,
                self.scale,
                self.input_scale,
                self.input_zero,
                *self.geometry,
                list(x.shape),
            )
        return self._packed[few]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what only this process can use."""
        return vars(self) | {"_packed": {}}

    def _given(self, x: Tensor, input_scale: float | None = None) -> list[Any]:
        scale = self.input_scale if input_scale is None else input_scale
        return [x, scale, self.input_zero, self._weights(x), self.scale, self.zeros]

    def relu(self, x: Tensor) -> Tensor:
        """Convolve bytes to bytes, with a rectifier behind."""
        output = (self.output_scale, 0, torch.uint8)
        return torch.ops.onednn.qconv2d_pointwise(  # type: ignore[no-any-return]
            *self._given(x), self.bias, *self.geometry, *output, "relu", [], ""
        )

    def floats(self, x: Tensor, input_scale: float | None = None) -> Tensor:
        """Convolve bytes to float32; ``input_scale`` is of this input, where it has its own."""
        output = (1.0, 0, torch.float32)
        return torch.ops.onednn.qconv2d_pointwise(  # type: ignore[no-any-return]
            *self._given(x, input_scale), self.bias, *self.geometry, *output, "none", [], ""
        )

    def add(self, x: Tensor, other: Tensor, other_scale: float) -> Tensor:
        """Convolve bytes and add others, with a rectifier behind; ``other`` is overwritten."""
        output = (self.output_scale, 0, torch.uint8)
        return torch.ops.onednn.qconv2d_pointwise.binary(  # type: ignore[no-any-return]
            *self._given(x),
            other,
            self.bias,
            *self.geometry,
            *output,
            other_scale,
            0,
            "sum",
            1.0,
            "relu",
            [],
            "",
        )
