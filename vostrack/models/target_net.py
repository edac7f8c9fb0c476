"""One network for any object: a backbone, cues from earlier frames, and a decoder to stride 2.

The backbone is run once per frame. What an object looks like is never in the weights but in its
memories and in a small classifier that is fitted to them in closed form; the decoder, the same for
all objects, turns these cues and the previous mask into a mask with edges.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.models.backbones import IMAGENET_MEAN, IMAGENET_STD, Backbone
from vostrack.models.byte_convolution import image_bytes
from vostrack.models.byte_map import as_floats
from vostrack.models.eight_bit import EightBitStages
from vostrack.models.eight_bit_mobilenet import EightBitMobileNet
from vostrack.models.lateral_map import LateralMap
from vostrack.models.memory_cues import (
    Memory,
    RidgeRegression,
    Statistics,
    confident_cells,
    cover,
    known_shares,
)
from vostrack.models.memory_reader import MemoryReader, similarity_channels
from vostrack.models.pointwise import pointwise
from vostrack.models.regions import Regions
from vostrack.models.semantic_backbone import SEMANTIC_CHANNELS, SemanticCues
from vostrack.models.target_config import TargetNetConfig
from vostrack.models.target_decoder import Level, MaskEncoder, TargetDecoder
from vostrack.models.target_features import EarlyLevels, Features, Segmentation

__all__ = ["Features", "Segmentation", "TargetNet", "TargetNetConfig"]

# Unit vectors of 48 numbers would leave the penalty of the regression too strong at the start.
_EMBEDDING_NORM = 3.0


class TargetNet(nn.Module):
    """Segments the objects of a frame from memories of earlier frames.

    Attributes:
        config: what it was built from.
        eight_bit: stages of the backbone that are computed in 8 bits, without gradients; None for
            none.
        eight_bit_semantic: the layers of the second backbone in 8 bits; None for float32.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: TargetNetConfig, backbone: Backbone) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.eight_bit: EightBitStages | None = None
        self.eight_bit_semantic: EightBitMobileNet | None = None
        deep, middle = backbone.channels[-1], backbone.channels[-2]
        self.key = nn.Conv2d(deep, config.key, 3, padding=1)
        self.embedding = pointwise(deep + middle, config.embedding)
        self.semantic = None
        if config.semantic != "none":
            self.semantic = SemanticCues(config.semantic_channels, config.semantic_scale)
            deep += SEMANTIC_CHANNELS
        self.encoder = MaskEncoder(deep, config.value)
        self.labels = nn.Conv2d(config.value, config.labels - 1, 1)
        self.first_reader = MemoryReader()
        self.recent_reader = MemoryReader(nearness=20.0)
        self.regression = RidgeRegression()
        cues = 2 * similarity_channels(config.value) + config.labels + 2
        self.decoder = TargetDecoder((*backbone.channels[:-1], deep), cues, config.widths)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def freeze_early_stages(self) -> None:
        """Leave only the last stage of the backbone to be trained, and all that is above it."""
        self.backbone.requires_grad_(False)
        if self.semantic is not None:
            self.semantic.backbone.requires_grad_(False)
        self.backbone.last_stage.requires_grad_(True)

    def features(self, image: Tensor) -> Features:
        """Run the backbone on images (B, 3, H, W) in [0, 1]; H and W should be multiples of 16.

        Images may also be bytes, which are in [0, 255].
        """
        return self.complete(self.early_levels(image))

    def early_levels(self, image: Tensor) -> EarlyLevels:
        """Run what fine-tuning does not change."""
        if self.reads_bytes:
            assert self.eight_bit is not None
            image = image_bytes(image)
            levels = EarlyLevels(*self.eight_bit.early(image))
        else:
            image = image.float() / 255 if image.dtype == torch.uint8 else image
            f2 = self.backbone.stage(self.normalized(image), 2)
            f4 = self._stage(f2, 4)
            levels = EarlyLevels(f2, f4, self._stage(f4, 8))
        if self.semantic is None:
            return levels
        cells = [-(-side // 2) for side in levels.stride8.shape[-2:]]
        semantic = self.semantic.backbone(image, cells, eight_bit=self.eight_bit_semantic)
        return levels._replace(semantic=semantic)

    @property
    def reads_bytes(self) -> bool:
        """Whether images are best given as bytes: the first convolution is computed in 8 bits."""
        return self.eight_bit is not None and self.eight_bit.reads_images

    def normalized(self, image: Tensor) -> Tensor:
        """Return images (B, 3, H, W) in [0, 1] as the backbone takes them."""
        x = (image - self.mean) / self.std
        return x.contiguous(memory_format=torch.channels_last)

    def _stage(self, x: Tensor, stride: int) -> Tensor:
        if self.eight_bit is not None and stride in self.eight_bit:
            return self.eight_bit(x, stride)
        return self.backbone.stage(x, stride)

    def complete(self, early: EarlyLevels) -> Features:
        """Run the rest on what ``early_levels`` gave."""
        return self.described(early, self.last_level(early))

    def last_level(self, early: EarlyLevels) -> Tensor:
        """Run the last stage of the backbone, of stride 16, on what ``early_levels`` gave."""
        return self._stage(early.stride8, 16)

    def described(self, early: EarlyLevels, f16: Tensor) -> Features:
        """Run what is above the backbone on what ``early_levels`` gave, and on the last level."""
        f2, f4, f8, semantic, halved = early
        key = F.normalize(self.key(f16), dim=1)
        lateral = halved is not None
        if halved is None:
            halved = F.avg_pool2d(f8, 2, ceil_mode=True)
        embedding = F.normalize(self.embedding(torch.cat([f16, halved], dim=1)), dim=1)
        embeddings = [_EMBEDDING_NORM * embedding]
        if self.semantic is not None:
            assert semantic is not None
            key = self.semantic.with_key(key, semantic)
            embeddings.append(self.semantic.embed(semantic))
        embedding = torch.cat([*embeddings, torch.ones_like(key[:, :1])], dim=1)
        return Features((f2, f4, f8, f16), key, embedding, semantic, lateral)

    def remember(
        self,
        features: Features,
        mask: Tensor,
        positions: Tensor,
        *,
        confident: bool = False,
        known: Tensor | None = None,
    ) -> Memory:
        """Make a memory of a frame.

        Args:
            features: of the frame.
            mask: (B, 1, H, W) probability in [0, 1] of each object, at the size of the image.
            positions: (1 or B, 2, h, w) x and y of the cells, in any unit that later frames use.
            confident: the classifier learns only from cells that are certain.
            known: (1, 1, H, W) 0 for void, from which the classifier does not learn, else 1; None:
                there is none. In the cells that later frames are compared with, void is background.
        """
        deep = features.deep
        half = cover(mask if known is None else mask * known, features.levels[0].shape[-2:])
        values = self.encoder(half, deep)
        cells = cover(half, deep.shape[-2:])
        shares, seen = known_shares(cells, known)
        targets = torch.cat([shares * 2 - 1, self.labels(values)], dim=1)
        counted = confident_cells(shares) if confident else None
        return Memory(
            keys=features.key.flatten(2),
            values=values.flatten(2),
            mask=cells.flatten(2),
            positions=positions.flatten(2),
            statistics=self.regression.statistics(
                features.embedding, targets, shares, counted, seen
            ),
        )

    def forward(
        self,
        features: Features,
        positions: Tensor,
        memories: tuple[Sequence[Memory], Sequence[Memory]],
        statistics: Statistics,
        previous: Tensor,
        near: Tensor | None,
        regions: Regions | None = None,
        *,
        only_present: bool = False,
    ) -> Segmentation:
        """Segment.

        Args:
            features: of the frame.
            positions: (1 or B, 2, h, w) x and y of its cells.
            memories: those to compare with wherever they lie, and those of just before.
            statistics: of the frames that the classifier is fitted to.
            previous: (B, 1, H, W) in [0, 1], where each object was.
            near: (B,) 1 where ``previous`` is known, 0 for an object that is lost: then
                ``previous`` and distances count for nothing. None: all objects are lost.
            regions: where each object can be; None for everywhere.
            only_present: draw no object that is not in sight: its logits are ``NOWHERE``.
        """
        first, recent = memories
        reads = (
            self.first_reader(features.key, positions, first, None, regions),
            self.recent_reader(features.key, positions, recent, near, regions),
        )
        return self.decoded(
            features, reads, statistics, (previous, near), regions, only_present=only_present
        )

    def decoded(
        self,
        features: Features,
        reads: tuple[Tensor, Tensor],
        statistics: Statistics,
        before: tuple[Tensor, Tensor | None],
        regions: Regions | None = None,
        *,
        only_present: bool = False,
    ) -> Segmentation:
        """Segment with what was read.

        Args:
            features: of the frame.
            reads: what ``first_reader`` and ``recent_reader`` gave, of the regions.
            statistics: see ``forward``.
            before: ``previous`` and ``near``; see ``forward``.
            regions: see ``forward``.
            only_present: see ``forward``.
        """
        previous, near = before
        covers = [previous * (0 if near is None else near.view(-1, 1, 1, 1))]
        for level in (1, 2, 3):
            covers.append(cover(covers[-1], features.levels[level].shape[-2:]))
        read = self.decoder.entered(features.deep, reads[0], regions)
        cues, target = self._cues(features, reads[1], statistics, (covers[3], near), regions)
        f2, f4, f8 = features.levels[:3]
        levels: tuple[Level, Level, Level] = f2, f4, f8
        if features.lateral:
            levels = LateralMap(as_floats(f2)), LateralMap(f4), LateralMap(f8)
        logits, presence = self.decoder(
            levels, (read, cues), (covers[2], covers[1]), regions, only_present
        )
        return Segmentation(logits, presence, target[:, :1], read)

    def presence(
        self,
        features: Features,
        positions: Tensor,
        memories: Sequence[Memory],
        statistics: Statistics,
        regions: Regions | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        """Tell whether objects are there, wherever they were before.

        It takes a fraction of the time of ``forward``: nothing is drawn.

        Args:
            features: of the frame.
            positions: (1 or B, 2, h, w) x and y of its cells.
            memories: what to compare with, the given masks first.
            statistics: of the frames that the classifier is fitted to.
            regions: where each object can be; None for everywhere.
            read: what ``forward`` read of the same memories in the same regions, if it did.

        Returns:
            (B,) logits.
        """
        nowhere = features.key.new_zeros((len(statistics.gram), 1, *features.key.shape[-2:]))
        if read is None:
            first = self.first_reader(features.key, positions, memories, None, regions)
            read = self.decoder.entered(features.deep, first, regions)
        recent = self.recent_reader(features.key, positions, memories[:1], None, regions)
        cues, _ = self._cues(features, recent, statistics, (nowhere, None), regions)
        return self.decoder.objects(read, cues)[1]

    def _cues(
        self,
        features: Features,
        recent: Tensor,
        statistics: Statistics,
        before: tuple[Tensor, Tensor | None],
        regions: Regions | None,
    ) -> tuple[Tensor, Tensor]:
        """Return what else the decoder is told at stride 16, and what the classifier gives.

        Where each object was is a map (B, 1, h, w) in [0, 1], and whether that is known. The rest
        is as for ``decoded``.
        """
        (covered, near), size = before, features.key.shape[-2:]
        target = self.regression(features.embedding.expand(len(covered), -1, -1, -1), statistics)
        flags = torch.zeros_like(covered)
        if near is not None:
            flags = near.view(-1, 1, 1, 1).expand(-1, 1, *size)
        others = torch.cat([target, covered, flags], dim=1)
        if regions is not None:
            others = regions.cut(others, 1)
        return torch.cat([recent, others], dim=1), target
