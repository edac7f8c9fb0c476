"""Backbones of plug-ins are checked on a small image when they are built."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from vostrack.errors import InputError
from vostrack.plug_ins import naming_errors, whose

if TYPE_CHECKING:
    from vostrack.models.backbones import Backbone

__all__ = ["try_backbone"]

_log = logging.getLogger("vostrack.models")

_HEIGHT, _WIDTH = 40, 56


def try_backbone(backbone: Backbone, strides: Sequence[int], *, filled: bool = True) -> None:
    """Check that a plug-in's backbone gives what it says, on a small image of noise.

    There is a warning of batch normalisation that changes its statistics in training.

    Args:
        backbone: what the plug-in built.
        strides: what it was asked for.
        filled: whether it has its weights; if not, its values say nothing.

    Raises:
        InputError: it fails, or a feature map has another size or type than expected, or holds
            values that are not finite.
    """
    name = whose(backbone, "backbone")
    if backbone.strides != tuple(strides):
        raise InputError(
            f"{name} has strides {backbone.strides}; expected those it was asked for, "
            f"{tuple(strides)}"
        )
    parameter = next(backbone.parameters(), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, _HEIGHT, _WIDTH, generator=generator).to(parameter)
    mode = backbone.training
    _warn_of_batch_norm(name, backbone.train())
    with naming_errors(backbone), torch.no_grad():
        maps = backbone.eval()(image)
    backbone.train(mode)
    tensors = _checked_maps(name, maps, backbone.channels, strides)
    for stride, x in zip(strides, tensors, strict=True):
        if x.dtype != image.dtype:
            raise InputError(
                f"{name} gives a feature map of {x.dtype} at stride {stride}; expected "
                f"{image.dtype}, as its parameters and the image are; repair it, or choose another"
            )
        if filled and not bool(x.isfinite().all()):
            raise InputError(
                f"{name} gives NaN or infinite features of an image of noise at stride {stride}; "
                "expected finite numbers; repair it, give it other options or weights, or choose "
                "another"
            )


def _checked_maps(
    name: str, maps: Iterable[object], channels: Sequence[int], strides: Sequence[int]
) -> list[Tensor]:
    """Return the feature maps.

    Raises:
        InputError: they have other channels or sizes than expected.
    """
    tensors = [x for x in maps if isinstance(x, Tensor)]
    expected = [
        (1, width, -(-_HEIGHT // stride), -(-_WIDTH // stride))
        for width, stride in zip(channels, strides, strict=False)
    ]
    got = [tuple(x.shape) for x in tensors]
    if got != expected:
        raise InputError(
            f"{name} gives feature maps {got} of an image (1, 3, {_HEIGHT}, {_WIDTH}); expected "
            f"{expected}: the channels that it declares, and sizes that are rounded up"
        )
    return tensors


def _warn_of_batch_norm(name: str, training: nn.Module) -> None:
    """Warn of batch normalisation that does not stay in evaluation mode."""
    changing = [
        path
        for path, layer in training.named_modules()
        if isinstance(layer, _BatchNorm) and layer.training and layer.track_running_stats
    ]
    if changing:
        _warn_once(
            f"{name} has batch normalisation that changes its statistics in training "
            f"({changing[0]}); a video is far too few images for that: use "
            "vostrack.models.normalization.FrozenBatchNorm2d"
        )


@functools.cache
def _warn_once(text: str) -> None:
    _log.warning("%s", text)
