"""The options of tracking: each is declared here, once, for Python and for the command line.

The text under each field is its help on the command line, too. This module loads no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from vostrack.checks import OptionValue, check_at_least, check_types
from vostrack.compute.precision import Precision
from vostrack.errors import InputError
from vostrack.proposers.registry import PROPOSERS
from vostrack.refine.registry import REFINERS
from vostrack.tracking.config import Gate, TrackerConfig

__all__ = ["TrackerOptions"]


@dataclass(frozen=True, kw_only=True)
class TrackerOptions:
    """Tracker: changes to the preset. An option that is left out stays as the preset has it."""

    max_size: int | None = None
    """Longest side of the frames that the networks see, pixels: 0 (no limit), or 32 or more. Larger
    frames are scaled down to it; the masks keep the size of the video. All presets."""

    object_steps: int | None = None
    """Fine-tuning steps of each object model, 0 or more. More steps take longer, and improve the
    masks up to a point. All presets."""

    foreground_steps: int | None = None
    """Fine-tuning steps of the foreground model, 0 or more. Left out, finetune uses one network for
    both where there is a single object. Presets finetune and paper."""

    per_video: bool | None = None
    """On: one network for all objects of the video. Off: one network per object. Presets finetune
    and paper."""

    craf: bool | None = None
    """Connected region filter: keep one connected region per object that agrees with the previous
    frame. All presets."""

    identity: bool | None = None
    """Keep objects apart that touch or cross: when they come apart again, their pieces are matched
    to them by how they moved before and what they look like. All presets; on in fast, balanced and
    best."""

    let_go: bool | None = None
    """Search an object in the whole frame when only a remnant of it with a low presence has been
    left for some frames, instead of following the remnant. Presets fast, balanced and best; on in
    each of them."""

    reacquire: bool | None = None
    """Search an object that is lost, or that looks unlike its first mask, among the proposals of a
    proposer in the whole frame. All presets, with a proposer."""

    support: bool | None = None
    """Let the unsure pixels of an object follow the proposal that matches it. All presets, with a
    proposer."""

    adapt: bool | None = None
    """Let the target models learn from confident parts of later frames. Presets fast, balanced and
    best."""

    second_pass: bool | None = None
    """Track the whole video twice. Before the second time, fine-tuning learns from later frames,
    too, whose masks were sure the first time. It takes about twice as long. There is one pass only
    where several masks are given, and for videos that can be read once only. Presets balanced and
    best; off in both, because on six videos it lost more than it gained."""

    mirror: bool | None = None
    """Look at each frame a second time, mirrored and smaller, and take the mean. It takes about 1.6
    times as long, and gains where the network has one backbone. Presets fast, balanced and best;
    off in each of them."""

    flow: bool | None = None
    """Carry masks from frame to frame along the optical flow, where it can be trusted, and mix them
    with what the network finds. Outlines stay steadier. Presets fast, balanced and best; on in each
    of them."""

    carry: int | None = None
    """Most frames in a row whose masks only follow the optical flow, without the networks, while
    all objects move steadily. Such a frame takes a quarter of the time, and outlines lag a little.
    Presets fast, balanced and best; 0 in each of them: the networks see each frame."""

    gate: Gate | None = None
    """Where scores outside the foreground become zero: before the refiner, after it, or nowhere.
    Presets finetune and paper."""

    refiner: str | None = None
    """What refines the scores along the edges of the image. none: nothing. sampled-crf: a dense CRF
    on a sample of the pixels around, at uncertain pixels only. dense-crf: a dense CRF over all
    pixels, much slower. spn: a spatial propagation network. All presets: sampled-crf in fast,
    balanced and best, spn in finetune, none in paper."""

    refiner_options: Mapping[str, OptionValue] = field(default_factory=dict)
    """Options of the refiner, by name."""

    proposer: str | None = None
    """What proposes instances, for the connected region filter, reacquire and support. All presets,
    with one of these on; none in each of them."""

    proposer_options: Mapping[str, OptionValue] = field(default_factory=dict)
    """Options of the proposer, by name."""

    seed: int = 0
    """Seed of the random augmentations of fine-tuning. The same seed gives the same masks; without
    fine-tuning, as in fast, every seed does. All presets."""

    precision: Precision = "auto"
    """Number format of the networks. auto: bfloat16 where the hardware computes with it, else
    float32; on x86 processors, fast, balanced and best track in float32 with most of the backbone
    in 8 bits, which is faster than both. fp32 and bf16 use no 8 bits. All presets."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value is out of its range, or there is no part of that name.
        """
        check_types(self)
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed: expected 0 to {2**32 - 1}, got {self.seed}")
        for name in ("object_steps", "foreground_steps"):
            if getattr(self, name) is not None:
                check_at_least(self, {name: 0})
        if self.max_size is not None:
            TrackerConfig(max_size=self.max_size)
        if self.refiner is not None:
            REFINERS.check(self.refiner)
        if self.proposer is not None:
            PROPOSERS.check(self.proposer)

    def changed(self) -> dict[str, OptionValue | Mapping[str, OptionValue]]:
        """Return the options that are not at their defaults, by name."""
        default = TrackerOptions()
        return {
            entry.name: getattr(self, entry.name)
            for entry in fields(self)
            if getattr(self, entry.name) != getattr(default, entry.name)
        }
