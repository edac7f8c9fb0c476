"""What a target network is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from vostrack.checks import OptionValue
from vostrack.errors import InputError
from vostrack.models.backbones import NormKind

__all__ = ["SemanticName", "TargetNetConfig", "config_from_json"]

SemanticName = Literal["none", "deeplab"]


@dataclass(frozen=True)
class TargetNetConfig:
    """What a target network is made of.

    Attributes:
        backbone: name of the feature extractor, one of the package's or of a plug-in; its levels of
            stride 2 to 16 are used.
        backbone_options: fields of its options that are not left at their defaults.
        norm: what becomes of batch normalisation.
        key: channels that cells are compared in.
        value: channels that a memory keeps of its mask.
        embedding: channels that the closed-form classifier sees.
        labels: numbers that it predicts of each cell: the mask, and what the mask encoder adds.
        widths: channels of the decoder at strides 16, 8, 4 and 2.
        semantic: a second backbone, which is never trained: ``deeplab`` for that of a
            DeepLabv3-MobileNetV2, or ``none``.
        semantic_scale: size of the images that it sees, relative to those of the first.
        semantic_channels: channels that its features add to keys and to embeddings.
    """

    backbone: str = "resnet18"
    norm: NormKind = "folded"
    key: int = 64
    value: int = 32
    embedding: int = 48
    labels: int = 9
    widths: tuple[int, int, int, int] = (96, 48, 32, 16)
    semantic: SemanticName = "none"
    semantic_scale: float = 1.0
    semantic_channels: int = 48
    backbone_options: Mapping[str, OptionValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a number or a name is not possible.
        """
        for name in ("key", "value", "embedding", "semantic_channels"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.labels < 2:
            raise InputError(f"labels: expected at least 2, got {self.labels}")
        if len(self.widths) != 4 or min(self.widths) < 1:
            raise InputError(f"widths: expected 4 numbers of at least 1, got {self.widths}")
        if self.semantic not in get_args(SemanticName):
            raise InputError(
                f"semantic: expected {' or '.join(get_args(SemanticName))}, got {self.semantic!r}"
            )
        if not 0 < self.semantic_scale <= 4:
            raise InputError(f"semantic_scale: expected over 0 to 4, got {self.semantic_scale}")


def config_from_json(values: dict[str, Any]) -> TargetNetConfig:
    """Build the configuration that ``dataclasses.asdict`` and JSON made of one."""
    known = {field.name for field in fields(TargetNetConfig)}
    if set(values) - known:
        raise InputError(f"target network: unknown settings {sorted(set(values) - known)}")
    return TargetNetConfig(**{**values, "widths": tuple(values["widths"])})
