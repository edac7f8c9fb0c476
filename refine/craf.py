"""CRAF, the connected region-aware filter of Cheng et al. (2017), section 4.2.

The paper does not specify what happens if the best region is too small or if two regions cover each
other, and how a lost object can reappear. Such choices are marked below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from vostrack.arrays import BoolArray, DoubleArray, FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.refine.regions import Regions, connected_regions, jaccard

__all__ = ["Craf", "CrafConfig"]


@dataclass(frozen=True)
class CrafConfig:
    """Thresholds of the filter. alpha, beta, gamma and delta are those of the paper.

    Attributes:
        binarize: pixels with a score above this threshold form the connected regions (30 of 255 in
            the released filter), in [0, 1].
        connectivity: 4 or 8 neighbours.
        min_overlap: minimum Jaccard index of a chosen region with the object's previous region, in
            [0, 1].
        alpha: minimum area of a chosen region, as a fraction of the object's largest region, in
            [0, 1].
        beta: if an object covers more than this fraction of another object's region, it loses that
            region, in [0, 1].
        gamma: an object counts as lost if its region is smaller than this fraction of its previous
            area, in [0, 1]. (The paper gives no unit. The released filter uses the previous area.)
        delta: minimum Jaccard index of a region that replaces a lost object, in [0, 1].
        min_previous: objects with a smaller previous area in pixels do not count as lost.
        max_age: after this many frames without the object, the previous region no longer matters
            and the strongest region is chosen. (The filter of the paper can never find such an
            object again, because the overlap with an empty region is 0.)
        keep_fragments: whether to keep, with score 1, the regions that overlap better than the
            chosen one but are too small (as in the released filter; not in the paper).
        companions: other regions are kept too if more than this fraction of their area lies in the
            object's previous region, in [0, 1]. An object behind a post has several regions. 1
            keeps none, as in the paper.
    """

    binarize: float = 30 / 255
    connectivity: Literal[4, 8] = 8
    min_overlap: float = 0.01
    alpha: float = 0.2
    beta: float = 0.9
    gamma: float = 0.1
    delta: float = 0.4
    min_previous: int = 100
    max_age: int = 5
    keep_fragments: bool = False
    companions: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a fraction is outside [0, 1], or the connectivity is not 4 or 8.
        """
        shares = ("binarize", "min_overlap", "alpha", "beta", "gamma", "delta", "companions")
        for name in shares:
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: expected a value in [0, 1], got {getattr(self, name)}")
        if self.connectivity not in (4, 8):
            raise InputError(f"connectivity: expected 4 or 8, got {self.connectivity}")


class Craf:
    """Connected region-aware filter with a memory of the previous frame; a ``TemporalFilter``."""

    def __init__(self, config: CrafConfig | None = None) -> None:
        self.config = config or CrafConfig()
        self._references: list[BoolArray] = []
        self._ages: list[int] = []

    def start(self, labels: UInt8Array) -> None:
        """Start from the label map (h, w) of the first frame; slots 1..N, 255 is background."""
        slots = labels[labels != 255]
        count = int(slots.max()) if slots.size else 0
        self._references = [labels == slot for slot in range(1, count + 1)]
        self._ages = [0] * count

    def change_objects(self, labels: UInt8Array, before: Sequence[int | None]) -> None:
        """Go on with other objects; see ``vostrack.tracking.parts.FollowsEdits``."""
        references, ages = [], []
        for slot, old in enumerate(before, start=1):
            region = labels == slot
            seen = old is None or bool(region.any())
            references.append(region if seen or old is None else self._references[old - 1])
            ages.append(0 if old is None else self._ages[old - 1])
        self._references, self._ages = references, ages

    def forget_places(self) -> None:
        """Choose the strongest regions in the next frame, wherever they are."""
        self._ages = [max(age, self.config.max_age + 1) for age in self._ages]

    def commit(self, labels: UInt8Array) -> None:
        """Use the final label map (h, w) of this frame as reference for the next one."""
        regions = [labels == index + 1 for index in range(len(self._references))]
        pairs = zip(regions, self._references, strict=True)
        self._references = [region if region.any() else before for region, before in pairs]
        ages = zip(regions, self._ages, strict=True)
        self._ages = [0 if region.any() else age + 1 for region, age in ages]

    def __call__(
        self,
        scores: FloatArray,
        candidates: Callable[[], FloatArray] | None = None,
        presence: Sequence[float] | None = None,
    ) -> FloatArray:
        """Keep one region per object.

        Args:
            scores: (N, h, w) in [0, 1].
            candidates: returns (K, h, w) score maps of further regions for step 3.
            presence: N probabilities that the objects are visible. Step 3 skips objects below 0.5.

        Returns:
            (N, h, w): the scores inside each object's region, zero elsewhere.

        Raises:
            InputError: the number of objects differs from that in ``start``.
        """
        if len(scores) != len(self._references):
            raise InputError(
                f"CRAF: expected scores of {len(self._references)} objects like in the first "
                f"frame, got {len(scores)}; call start again for other objects"
            )
        scores = scores.copy()
        regions = [self._find_regions(score) for score in scores]
        selected = [self._best_region(i, scores, regions[i]) for i in range(len(scores))]
        selected = self._remove_covered(selected)
        lost = [
            index
            for index, region in enumerate(selected)
            if self._is_lost(index, region) and (presence is None or presence[index] >= 0.5)
        ]
        if lost and self._find_lost(lost, scores, regions, selected, candidates):
            selected = self._remove_covered(selected)
        filtered: FloatArray = np.where(np.stack(selected), scores, np.float32(0))
        return filtered

    def _find_regions(self, score: FloatArray) -> Regions:
        return connected_regions(score, self.config.binarize, self.config.connectivity)

    def _best_region(self, index: int, scores: FloatArray, regions: Regions) -> BoolArray:
        """Step 1: choose the large enough region that overlaps most with the previous one."""
        config = self.config
        empty = np.zeros(regions.numbered.shape, dtype=np.bool_)
        if len(regions.areas) < 2:
            return empty
        if self._ages[index] > config.max_age:
            # Rank by mean score times area, regardless of the position.
            rank: DoubleArray = np.bincount(
                regions.numbered.ravel(), scores[index].ravel(), minlength=len(regions.areas)
            ).astype(np.float64)
            rank[0] = 0
            eligible = regions.areas > 0
        else:
            rank = regions.overlaps(self._references[index])
            eligible = rank > config.min_overlap
        large = regions.areas > config.alpha * regions.areas.max()
        for number in np.lexsort((-regions.areas, -rank)):
            if not eligible[number]:
                break
            regions.chosen.add(int(number))
            if large[number]:
                fragments = np.isin(regions.numbered, list(regions.chosen - {int(number)}))
                scores[index][fragments] = 1.0
                regions.chosen |= regions.inside(self._references[index], config.companions)
                region: BoolArray = np.isin(regions.numbered, list(regions.chosen))
                return region
            if not config.keep_fragments:
                regions.chosen.discard(int(number))
        regions.chosen.clear()
        return empty

    def _remove_covered(self, selected: list[BoolArray]) -> list[BoolArray]:
        """Step 2: remove from each object the regions of other objects that it covers.

        All decisions are based on the same regions, so the order of the objects has no effect. If
        two regions cover each other, the one that fits its previous region better keeps the pixels.
        Between equals it is the lower slot.
        """
        areas = [int(region.sum()) for region in selected]
        result = [region.copy() for region in selected]
        for i in range(len(selected)):
            for j in range(len(selected)):
                if i == j or not areas[i] or not areas[j]:
                    continue
                shared = int((selected[i] & selected[j]).sum())
                if shared <= self.config.beta * areas[j]:
                    continue
                mutual = shared > self.config.beta * areas[i]
                if mutual and self._fits_better(i, j, selected):
                    continue
                result[i] &= ~selected[j]
        return result

    def _fits_better(self, i: int, j: int, selected: list[BoolArray]) -> bool:
        fit_i = jaccard(selected[i], self._references[i])
        fit_j = jaccard(selected[j], self._references[j])
        return fit_i > fit_j or (fit_i == fit_j and i < j)

    def _find_lost(
        self,
        lost: list[int],
        scores: FloatArray,
        regions: list[Regions],
        selected: list[BoolArray],
        candidates: Callable[[], FloatArray] | None,
    ) -> bool:
        """Step 3: look for lost or shrunken objects among the unused regions.

        Each object is replaced at most once, in ascending order of the slots.
        """
        maps = [(scores[m].copy(), r) for m, r in enumerate(regions)]
        if candidates is not None:
            maps += [(extra, self._find_regions(extra)) for extra in candidates()]
        changed = False
        for index in lost:
            taken = np.zeros(scores.shape[1:], dtype=np.bool_)
            for other, region in enumerate(selected):
                if other != index:
                    taken |= region
            found = self._best_candidate(self._references[index], maps, taken)
            if found is None:
                continue
            region, source = found
            selected[index] = region
            scores[index][region] = np.maximum(scores[index], source)[region]
            changed = True
        return changed

    def _is_lost(self, index: int, region: BoolArray) -> bool:
        previous = int(self._references[index].sum())
        return previous >= self.config.min_previous and bool(
            region.sum() < self.config.gamma * previous
        )

    def _best_candidate(
        self,
        reference: BoolArray,
        maps: list[tuple[FloatArray, Regions]],
        taken: BoolArray,
    ) -> tuple[BoolArray, FloatArray] | None:
        best, result = self.config.delta, None
        for source, regions in maps:
            free = np.where(taken, 0, regions.numbered)
            areas = np.bincount(free.ravel(), minlength=len(regions.areas))
            areas[0] = 0
            overlaps = Regions(free, areas, set()).overlaps(reference)
            overlaps[list(regions.chosen)] = 0
            number = int(overlaps.argmax())
            if overlaps[number] > best:
                best, result = overlaps[number], (free == number, source)
        return result

    def state_dict(self) -> dict[str, Any]:
        """Return the reference regions, one bit per pixel, and their ages."""
        shape = self._references[0].shape if self._references else (0, 0)
        return {
            "references": [torch.from_numpy(np.packbits(region)) for region in self._references],
            "shape": tuple(shape),
            "ages": list(self._ages),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of ``state_dict``."""
        height, width = state["shape"]
        self._references = [
            np.unpackbits(bits.numpy(), count=height * width)
            .reshape(height, width)
            .astype(np.bool_)
            for bits in state["references"]
        ]
        self._ages = list(state["ages"])
