"""What is asked for when a clip is tracked into a folder, and what comes of it.

The text under each field is its help on the command line, too. This module loads no torch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from vostrack.checks import check_types
from vostrack.compute.options import ComputeOptions
from vostrack.errors import InputError
from vostrack.files import expand_home
from vostrack.masks.formats.format import Alpha
from vostrack.masks.formats.registry import check_alpha, check_writable
from vostrack.masks.validation import MAX_OBJECTS, MIN_PIXELS
from vostrack.presets.options import TrackerOptions
from vostrack.refine.matte_edges import MatteEdges
from vostrack.video import Deinterlace, Names, Reader

__all__ = [
    "AUTO",
    "ClipRequest",
    "ClipSummary",
    "MethodOptions",
    "ObjectOptions",
    "Observer",
    "OutputOptions",
    "VideoOptions",
]

AUTO = "auto"
"""The first mask that is proposed, not read."""


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """Input: the frames of the video."""

    video: str
    """Video file, folder of images, pattern such as "frames/*.png", camera index, or address."""

    reader: Reader = "auto"
    """What decodes a video file. auto: PyAV for files, OpenCV for cameras."""

    start: int = 0
    """Position of the first frame: 0 is the first, whatever number its file has."""

    end: int | None = None
    """Position after the last frame. Default: the end of the video."""

    range: str = "auto"
    """Which values of 16-bit frames become 0 to 255. full: 0 to 65535. min,max: such as 7000,8000.
    auto: the range of the first frame where this is narrow, as of thermal cameras, else full."""

    deinterlace: Deinterlace = "auto"
    """auto: pictures of a video file that are marked as interlaced are deinterlaced, by the reader
    pyav. off: they stay combed."""

    stride: int = 1
    """Track every frame (1), every second one (2), and so on."""


@dataclass(frozen=True, kw_only=True)
class ObjectOptions:
    """Object: the masks of one frame, or of several."""

    first_mask: tuple[str, ...]
    """The objects to track: a palette PNG, a gray PNG of ids, a black and white or colour-coded
    image, annotations of another tool (docs/formats.md), a folder, or several files with one object
    each. Masks of several frames:
    write the number of its frame before each, such as 0=a.png 40=b.png, or give files (or a folder
    of files) that are named after their frames. An object begins at its first mask; a further mask
    of it is a correction, and the frames between are tracked from both. auto: objects that stand
    out and move are proposed; look at the overlay. A file of that name is ./auto."""

    objects: int | None = None
    """How many objects the first mask auto proposes. Default: those nearly as good as the best, at
    most 5."""

    first_mask_frame: int | None = None
    """Number of the frame that the mask belongs to: of images the number in its file name (see
    names), else counted from 0. The video is then tracked both ways from it. Default: the first
    frame."""

    max_objects: int = MAX_OBJECTS
    """Refuse a mask with more objects: it probably has smoothed edges."""

    min_pixels: int = MIN_PIXELS
    """Warn of an object with fewer pixels."""


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """Method: speed against quality, and where to compute."""

    preset: str = "balanced"
    """fast: target models, no fine-tuning. balanced: with some seconds of fine-tuning. best: with
    more steps of it, and larger windows. finetune: a small network fitted to each object, a
    minute or two on a CPU. paper: ResNet-101 and the whole schedule of Cheng et al. 2017, hours on
    a GPU; as published, its network is first trained on DAVIS with vostrack train foreground and
    given as weights. The last two have variants that leave parts out, such as finetune-no-craf;
    docs/ablation.md says which is which row of the paper."""

    weights: str = "auto"
    """Initial weights: auto (the preset's), shipped (the trained network of the package), imagenet
    (torchvision's, downloaded once), none (random), or a .safetensors, .pt or .pth file. With
    weights that hold no target network, fast, balanced and best become finetune."""

    device: str = "auto"
    """auto (CUDA where there is one), cpu, cuda or cuda:N."""

    options: TrackerOptions = field(default_factory=TrackerOptions)
    """Changes to the preset."""


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Output: what is written, and where."""

    output: Path = Path("out")
    """Folder for the results."""

    overlay: bool = True
    """Write overlay.mp4: the video with the masks drawn over it."""

    export: tuple[str, ...] = ()
    """Also write the masks in these formats of other tools, such as "coco cvat": exports/coco.json.
    docs/formats.md lists them. vostrack convert does it later."""

    alpha: Alpha = "straight"
    """Colours of a prores export. straight: the object's own up to its edge, which most editors
    expect. premultiplied: these times alpha, on black."""

    save_scores: bool = False
    """Write the soft score of each object and frame: scores/ID/00000.png, 8-bit gray."""

    save_mattes: bool = False
    """Write alpha mattes for compositing: mattes/ID/00000.png, white on black, soft edges."""

    matte_edges: MatteEdges = "plain"
    """What the edges of mattes, also in exports, are made of. plain: as soft as in the picture,
    close to the mask. hair: also strands outside of the mask, which takes several times as long;
    use it where the background has other colours than the hair."""

    names: Names = "source"
    """Names of the result files. source: those of the frames, so that frame shot.1001.png gets the
    mask 1001.png; videos have none and are counted. counter: 00000, 00001 and so on."""

    overwrite: bool = False
    """Replace the results in the output folder."""

    resume: bool = False
    """Continue an interrupted run in the output folder; one that is complete stays as it is."""


@dataclass(frozen=True, kw_only=True)
class ClipRequest(OutputOptions, ComputeOptions, MethodOptions, ObjectOptions, VideoOptions):
    """What is tracked, how, and where the results go; see ``track_clip``.

        ClipRequest(video="clip.mp4", first_mask=("mask.png",), output=Path("out"), preset="fast")

    One file may be given for ``first_mask`` without a tuple, and a string for ``output``.
    """

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value is out of its range, or two do not go together.
        """
        self._take_paths()
        check_types(self)
        super().__post_init__()
        if self.overwrite and self.resume:
            raise InputError(
                "overwrite: `resume=True` continues a run and `overwrite=True` begins it again; "
                "leave one of them out"
            )
        if self.objects is not None and self.first_mask != (AUTO,):
            raise InputError(
                "objects: only the first mask auto needs a number of objects; leave `objects` out, "
                f"or choose `first_mask={AUTO!r}`"
            )
        if self.first_mask == (AUTO,) and self.first_mask_frame is not None:
            raise InputError(
                "first_mask: auto proposes objects of the first frame that is tracked; leave "
                "`first_mask_frame` out, or choose that frame with `start`"
            )
        if isinstance(self.export, str):
            object.__setattr__(self, "export", (self.export,))
        for name in self.export:
            check_writable(name, "export")
        check_alpha(self.alpha, self.export)

    def _take_paths(self) -> None:
        """Bring the paths into one form, and check that there is something in each."""
        for name in ("video", "weights"):
            if isinstance(getattr(self, name), os.PathLike):
                object.__setattr__(self, name, os.fspath(getattr(self, name)))
        if isinstance(self.first_mask, str | Path):
            object.__setattr__(self, "first_mask", (str(self.first_mask),))
        given = {"video": [self.video], "first_mask": self.first_mask, "output": [self.output]}
        for name, values in given.items():
            if "" in values:
                raise InputError(
                    f"{name}: expected a path, got an empty text; check the variable that it came "
                    "from"
                )
        masks = tuple(str(mask) for mask in self.first_mask)
        masks = tuple(str(expand_home(mask)) if mask.startswith("~") else mask for mask in masks)
        object.__setattr__(self, "first_mask", masks)
        object.__setattr__(self, "output", expand_home(self.output))


@dataclass(frozen=True)
class ClipSummary:
    """What came of it."""

    output: Path
    """The folder."""

    frames: int
    """Frames with a mask."""

    ids: tuple[int, ...]
    """The objects."""

    finetune_seconds: float
    """Seconds spent on the first frame."""

    frame_seconds: float
    """Mean seconds per later frame, all stages, without reading and writing."""

    truncated: bool
    """Whether the video broke off before its end."""

    damaged: bool = False
    """Whether pictures are missing or wrong within the video."""

    deinterlaced: bool = False
    """Whether interlaced pictures were deinterlaced."""

    names: tuple[str, ...] = ()
    """The names of the objects, in the order of the ids. Those of a mask in colours are colours."""


class Observer(Protocol):
    """Is told how far the work is."""

    def finetuning(self, model: str, done: int, total: int) -> None:
        """Hear of a fine-tuning step."""
        ...

    def first_pass(self, done: int, total: int, name: str) -> None:
        """Hear of a frame of the first of two passes; nothing is written yet."""
        ...

    def frame(self, done: int, total: int | None, name: str) -> None:
        """Hear of a tracked frame, whose files follow at once; ``name`` is theirs."""
        ...

    def writing(self, what: str) -> None:
        """Hear what is written at the end."""
        ...


def check_observer(observer: object) -> None:
    """Refuse an observer that would end a run in its midst.

    Raises:
        InputError: it lacks a method.
    """
    calls = ("finetuning", "first_pass", "frame", "writing")
    missing = [name for name in calls if not callable(getattr(observer, name, None))]
    if missing:
        raise InputError(
            f"observer: expected an object with the methods {', '.join(calls)}, got "
            f"{type(observer).__name__} without {', '.join(missing)}; derive its class from "
            "`vostrack.runs.request.Observer`, whose methods do nothing"
        )
