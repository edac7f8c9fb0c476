"""Convolutions from float32 to float32 whose products are of bytes."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import TypeVar

import torch
from torch import Tensor, nn

from vostrack.models.byte_convolution import (
    LARGEST_BYTE,
    MIDDLE_BYTE,
    ByteConvolution,
    rectified_to_bytes,
    to_bytes,
)
from vostrack.models.byte_map import ByteMap

__all__ = ["ByteLayer", "convolved_part", "with_byte_layers"]

# A map of zeros has no scale; any will do.
_SMALLEST = 1e-6

_Module = TypeVar("_Module", bound=nn.Module)


class ByteLayer(nn.Module):
    """A convolution of float32 maps on the CPU, without gradients.

    The scale of the bytes comes from each input, so nothing has to be measured beforehand.

    Args:
        conv: the layer; its weights must not change any more.
        signed: whether inputs may be below 0.
    """

    def __init__(self, conv: nn.Conv2d, *, signed: bool = False) -> None:
        super().__init__()
        self._layer, self._zero = [conv], MIDDLE_BYTE if signed else 0
        self._parts: dict[tuple[int, int, bool], ByteConvolution] = {}

    def forward(self, x: Tensor | ByteMap) -> Tensor:
        """Convolve (B, C, h, w) to (B, D, h', w') float32."""
        conv = self._part(0, self._layer[0].in_channels, True)
        if isinstance(x, ByteMap):
            return conv.floats(x.values, x.step)
        return self._floats(conv, x)

    def part(self, x: Tensor, start: int, *, biased: bool) -> Tensor:
        """Convolve only some channels, x (B, C, h, w), which begin at ``start`` of all."""
        return self._floats(self._part(start, start + x.shape[1], biased), x)

    def _part(self, start: int, stop: int, biased: bool) -> ByteConvolution:
        place = start, stop, biased
        if place not in self._parts:
            part = copy.copy(self._layer[0])
            part._parameters = dict(part._parameters)
            part.weight = nn.Parameter(part.weight[:, start:stop], requires_grad=False)
            part.bias = part.bias if biased else None
            self._parts[place] = ByteConvolution(part, 1.0, 1.0, self._zero)
        return self._parts[place]

    def _floats(self, conv: ByteConvolution, x: Tensor) -> Tensor:
        if self._zero:
            low, high = float(x.amin()), float(x.amax())
            scale = max(high, -low, _SMALLEST) / (LARGEST_BYTE - self._zero)
            return conv.floats(to_bytes(x, scale, self._zero), scale)
        scale = max(float(x.amax()), _SMALLEST) / LARGEST_BYTE
        return conv.floats(rectified_to_bytes(x, scale), scale)


def convolved_part(layer: nn.Conv2d | ByteLayer, x: Tensor, start: int, *, biased: bool) -> Tensor:
    """Convolve only some channels, x (B, C, h, w), which begin at ``start`` of all."""
    if isinstance(layer, ByteLayer):
        return layer.part(x, start, biased=biased)
    weight = layer.weight[:, start : start + x.shape[1]]
    bias = layer.bias if biased else None
    return torch.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation)


def with_byte_layers(
    module: _Module, kept: Collection[nn.Module] = (), signed: Collection[nn.Module] = ()
) -> _Module:
    """Return a copy of a module whose convolutions are ``ByteLayer``; all else is shared.

    Args:
        module: not changed.
        kept: parts that stay as they are.
        signed: layers whose inputs may be below 0.
    """
    changed = copy.copy(module)
    changed._modules = dict(module._modules)
    for name, child in module.named_children():
        if child in kept:
            continue
        if isinstance(child, nn.Conv2d):
            changed._modules[name] = ByteLayer(child, signed=child in signed)
        else:
            changed._modules[name] = with_byte_layers(child, kept, signed)
    return changed
