"""``vostrack propose``: images or a video in, the instances of every image out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vostrack.arrays import UInt8Array
from vostrack.checks import OptionValue
from vostrack.cli.command_options import CommandOptions
from vostrack.errors import InputError
from vostrack.files import expand_home, real_path
from vostrack.wording import counted

if TYPE_CHECKING:
    from vostrack.proposers.sources import ProposerSources
    from vostrack.protocols import InstanceProposals, InstanceProposer

    NamedFrames = Iterable[tuple[str, UInt8Array]]

__all__ = ["ProposeCommand"]


@dataclass(frozen=True)
class ProposeCommand(CommandOptions):
    """Find the instances of each image by itself: masks, scores, classes and boxes.

    Example: vostrack propose --method detection-crf --images photos --output out
    --semantic deeplabv3_resnet50 --detections boxes.json

    The output folder receives NAME.png for each image (palette PNG, instance numbers, the best
    score first and on top) and, at the end, proposals.json: a list of image, category_id, score,
    bbox (x, y, width, height) and segmentation (COCO RLE). NAME is the image's file name without
    its suffix; of a video's frame its number, five digits. Each method below has its own flags.
    """

    method: str
    """The proposer; the groups of flags below name them."""

    output: Path
    """Folder for the results."""

    images: str | None = None
    """Folder of images, a pattern such as "photos/*.jpg", or one image. They may differ in size."""

    video: str | None = None
    """Video file, instead of --images."""

    semantic: str | None = None
    """Network that scores the VOC classes of each pixel: deeplab_mobilenetv2 or fcn8s_vgg16 (with
    --semantic-weights), or torchvision's, downloaded once: fcn_resnet50, fcn_resnet101,
    deeplabv3_mobilenet_v3_large, deeplabv3_resnet50, deeplabv3_resnet101,
    lraspp_mobilenet_v3_large. Or the fcrn.safetensors of vostrack train fcrn."""

    semantic_weights: Path | None = None
    """State dict of the semantic network, .safetensors, .pt or .pth."""

    semantic_masks: Path | None = None
    """Folder with a class mask NAME.png of each image, for methods that start from one."""

    detections: Path | None = None
    """JSON of boxes: {"images": {NAME: [{"box": [x0, y0, x1, y1], "score": s, "label": l}]}},
    pixels, the end exclusive, VOC class 1..20."""

    device: str = "auto"
    """auto (CUDA where there is one), cpu, cuda or cuda:N."""

    overwrite: bool = False
    """Replace results of the same name in the output folder."""

    method_options: Mapping[str, OptionValue] = field(default_factory=dict)
    """Options of the method, by name."""

    def run(self) -> int:
        """Propose, write, and return the exit status: 0, or 1 where the video broke off early."""
        from vostrack.progress import open_progress
        from vostrack.proposers.output import write_proposals
        from vostrack.proposers.registry import PROPOSERS, image_proposers

        self._check_method(image_proposers())
        if (self.images is None) == (self.video is None):
            came = "neither" if self.images is None else "both"
            raise InputError(f"expected one of `images` and `video`, got {came}")
        paths = None if self.images is None else _image_paths(self.images)
        self._check_output(paths)
        sources = self._sources([path.stem for path in paths] if paths is not None else ())
        part = f"method_options: {self.method}"
        settings = PROPOSERS.settings(self.method, self.method_options, part)
        proposer = PROPOSERS.build(self.method, settings, sources)
        stream = _Stream(paths, self.video)
        with stream, open_progress(stream.length, "image", "proposing", quiet=self.quiet) as bar:
            results = _results(proposer, stream.frames(), bar)
            images, count = write_proposals(self.output, results)
        if not self.quiet:
            done = f"{counted(images, 'image')}, {counted(count, 'proposal')}"
            print(f"{done}: {self.output / 'proposals.json'}")
        return 1 if stream.truncated else 0

    def _check_method(self, methods: Mapping[str, Any]) -> None:
        if self.method not in methods:
            raise InputError(f"method: expected one of {', '.join(methods)}, got {self.method}")

    def _check_output(self, paths: list[Path] | None) -> None:
        """Refuse to mix results, and to write PNGs over the images they are made from."""
        if paths and any(real_path(path.parent) == real_path(self.output) for path in paths):
            raise InputError(
                f"{self.output} holds the images themselves, which NAME.png would replace; give "
                "another `output`"
            )
        index = self.output / "proposals.json"
        if index.exists() or any(self.output.glob("*.png")):
            if not self.overwrite:
                raise InputError(
                    f"{self.output} holds results already; `overwrite=True` replaces "
                    "them, `output` names another folder"
                )
            # A run that stops early must not leave an index of other masks.
            index.unlink(missing_ok=True)

    def _sources(self, names: Iterable[str]) -> ProposerSources:
        """Read what was given, and find out what it lacks before any work is done."""
        from vostrack.compute.precision import resolve_device
        from vostrack.proposers.detections import read_detections
        from vostrack.proposers.semantic import build_semantic
        from vostrack.proposers.sources import ProposerSources

        if self.semantic is None and self.semantic_weights is not None:
            raise InputError("semantic_weights: give the network's name with `semantic` too")
        masks = self.semantic_masks
        if masks is not None and not masks.is_dir():
            raise InputError(f"semantic_masks: expected a folder, {masks} is none")
        device = resolve_device(self.device)
        detections = None if self.detections is None else read_detections(self.detections)
        if detections is not None:
            lacking = [name for name in names if name not in detections]
            if lacking:
                raise InputError(
                    f"detections: {self.detections} has no entry for {len(lacking)} of the "
                    f"images, the first {lacking[0]}; give each an entry, an empty list for none"
                )
        semantic = None
        if self.semantic is not None:
            semantic = build_semantic(self.semantic, self.semantic_weights).to(device)
        return ProposerSources(semantic, detections, masks, device)


class _Stream:
    """The frames to work on, by name; a context manager."""

    def __init__(self, paths: list[Path] | None, video: str | None) -> None:
        from vostrack.video.opening import open_source

        self._paths = paths
        self._source = None if video is None else open_source(video)

    @property
    def length(self) -> int | None:
        """How many; None where that is unknown."""
        if self._source is not None:
            return self._source.length
        return len(self._paths or ())

    @property
    def truncated(self) -> bool:
        """Whether the video ended early."""
        return self._source is not None and self._source.truncated

    def frames(self) -> Iterator[tuple[str, UInt8Array]]:
        """Read them one at a time."""
        from vostrack.video.images import read_image

        if self._source is not None:
            for frame in self._source:
                yield f"{frame.index:05d}", frame.image
        for path in self._paths or ():
            yield path.stem, read_image(path)

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        if self._source is not None:
            self._source.close()


def _image_paths(images: str) -> list[Path]:
    """The image files that a folder, a pattern or a path names, in natural order.

    Raises:
        InputError: there is none, or two have one name.
    """
    from vostrack.video.images import images_in_folder, images_matching
    from vostrack.video.names import is_pattern

    path = expand_home(images)
    if path.is_dir():
        paths = images_in_folder(path)
    elif path.is_file():
        paths = [path]
    elif is_pattern(images):
        paths = images_matching(images)
    else:
        raise InputError(
            f"images: {images} does not exist; expected a folder of images, a pattern or an image"
        )
    seen: dict[str, Path] = {}
    for path in paths:
        if path.stem in seen:
            raise InputError(
                f"images: {seen[path.stem]} and {path} would both be written to {path.stem}.png; "
                "rename one"
            )
        seen[path.stem] = path
    return paths


def _results(
    proposer: InstanceProposer, frames: NamedFrames, bar: Any
) -> Iterator[tuple[str, InstanceProposals]]:
    from vostrack.proposers.sources import ImageProposer
    from vostrack.tracking.proposal_checks import asked

    def propose(name: str, own: UInt8Array) -> InstanceProposals:
        if isinstance(proposer, ImageProposer):
            return proposer.propose_image(name, own)
        return proposer.propose(own, None)

    for name, frame in frames:
        yield name, asked(proposer, frame, partial(propose, name))
        bar.update()
