"""Score the proposer hough: what a localizer adds to voting for the connected components.

    python benchmarks/hough.py --voc VOC2007 --semantic-weights FILE [--localizer NAME=FILE ...]
    python benchmarks/hough.py --train DAVIS --held-out NAME ... [--scenes 60]
    python benchmarks/hough.py --videos FRAMES=LABELS ... [--every 5]

``--voc`` (VOC layout with SegmentationObject) is scored class by class, on the masks of DeepLabv3
and on the true ones, and class-agnostically, on the foreground of the package's network and on the
true one. ``--train`` makes scenes of several instances from the videos named by ``--held-out``, and
synthetic scenes with seeds that training never draws. ``--videos`` pairs a folder of frames with
one of label maps. The options can be combined.

Besides the named localizers: ``none`` (pixels vote for their connected component),
``shipped`` (the package's, which reads the shapes of the masks), ``components`` (the connected
components themselves, without voting) and ``true boxes`` (a localizer without errors, the
upper bound). A head on the backbone of the target network is also run as in the tracker,
``NAME shared``: on the features of the window around the foreground instead of those of the whole
image scaled down.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from record import begin_record, benchmark_parser, finish_record
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from vostrack.arrays import BoolArray, FloatArray, UInt8Array
from vostrack.datasets import open_davis
from vostrack.errors import InputError
from vostrack.eval import InstanceAP, Instances, instances_from_voc
from vostrack.masks.palette import VOID, read_label_map
from vostrack.models.shared_backbone import backbone_fingerprint
from vostrack.models.weights import load_target_net
from vostrack.online_finetune.target.window import WindowConfig, choose_window, mask_box
from vostrack.proposers.hough_voting.localizers import HeadLocalizer, Localizer
from vostrack.proposers.hough_voting.proposer import HoughOptions, HoughProposer, build_hough
from vostrack.proposers.hough_voting.scenes import PastedScenes, SceneSource, SyntheticScenes
from vostrack.proposers.hough_voting.targets import cell_labels, instance_boxes
from vostrack.proposers.semantic import build_semantic
from vostrack.proposers.sources import ProposerSources
from vostrack.protocols import BackboneFeatures, InstanceProposals
from vostrack.video.images import read_image

CLASSES = 21
SCENE_SIZE = 320
# Training draws the seeds of synthetic scenes from 0 .. 99,999.
FIRST_SEED = 1_000_000
MIN_PIXELS = 100


@dataclass(frozen=True)
class Example:
    """One example with its truth and what the voting starts from.

    Attributes:
        kind: the set that it counts for.
        frame: (H, W, 3) uint8 RGB.
        ids: (H, W) true instance of each pixel, 0 none, 255 void.
        truth: the true instances; all of label 0 where there are two probabilities.
        probabilities: (21 or 2, H, W), background first.
    """

    kind: str
    frame: UInt8Array
    ids: UInt8Array
    truth: Instances
    probabilities: FloatArray


class GivenClasses(nn.Module):
    """In the place of a semantic network: what was computed before."""

    def __init__(self) -> None:
        super().__init__()
        self.probabilities: FloatArray = np.zeros((CLASSES, 1, 1), np.float32)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (1, 21, H, W) whose softmax is what was given."""
        return torch.from_numpy(self.probabilities)[None].clamp(min=1e-12).log()


class TrueBoxes:
    """Knows the box of the true instance that is nearest to each cell. Implements ``Localizer``."""

    stride = HeadLocalizer.stride

    def __init__(self) -> None:
        self.ids: UInt8Array = np.zeros((1, 1), np.uint8)

    def boxes(self, image: Tensor, masks: FloatArray, probabilities: FloatArray) -> FloatArray:
        """Return (1, 4, h, w), the same for all classes."""
        ids = torch.from_numpy(self.ids).long()
        cells = cell_labels(ids, self.stride).numpy()
        outside = (cells == 0) | (cells == VOID)
        nearest = distance_transform_edt(outside, return_distances=False, return_indices=True)
        boxes = instance_boxes(ids).numpy()[cells[tuple(nearest)]]
        return np.ascontiguousarray(boxes.transpose(2, 0, 1)[None], dtype=np.float32)


def components(probabilities: FloatArray) -> InstanceProposals:
    """Make every connected component of every class an instance; its score is its mean."""
    labels = probabilities.argmax(axis=0)
    masks, scores, classes = [], [], []
    for label in np.unique(labels[labels > 0]):
        count, numbered = cv2.connectedComponents((labels == label).astype(np.uint8))
        for mask in (numbered == k for k in range(1, count)):
            if mask.sum() >= MIN_PIXELS:
                masks.append(mask)
                scores.append(float(probabilities[label][mask].mean()))
                classes.append(int(label) if len(probabilities) > 2 else 0)
    return InstanceProposals(
        masks=np.stack(masks) if masks else np.zeros((0, *labels.shape), np.bool_),
        scores=np.array(scores, np.float32).clip(0, 1),
        labels=np.array(classes, np.int64),
        boxes=np.zeros((len(masks), 4), np.float32),
    )


class Ways:
    """The ways to find instances that are compared, by name."""

    def __init__(self, localizers: dict[str, str]) -> None:
        self.given = GivenClasses()
        self.true_boxes = TrueBoxes()
        self.tracked = load_target_net()
        sources = ProposerSources(tracked=self.tracked)
        self.heads = {
            name: build_hough(HoughOptions(localizer=chosen), sources).localizer
            for name, chosen in localizers.items()
        }

    def find(self, example: Example) -> Iterator[tuple[str, InstanceProposals]]:
        """Find the instances of an example in every way."""
        yield "components", components(example.probabilities)
        self.given.probabilities = example.probabilities
        self.true_boxes.ids = example.ids
        by_class = len(example.probabilities) > 2
        localizers: dict[str, Localizer] = {**self.heads, "true boxes": self.true_boxes}
        for name, localizer in localizers.items():
            proposer = HoughProposer(localizer, semantic=self.given if by_class else None)
            foreground = None if by_class else example.probabilities[1]
            yield name, proposer.propose(example.frame, foreground)
            if foreground is not None and isinstance(localizer, HeadLocalizer):
                shared = self.share(example.frame, foreground)
                if shared.backbone == localizer.backbone:
                    proposer.use_features(shared)
                    yield f"{name} shared", proposer.propose(example.frame, foreground)

    @torch.inference_mode()
    def share(self, frame: UInt8Array, foreground: FloatArray) -> BackboneFeatures:
        """Compute what an adapter would for the objects that the foreground shows."""
        image = torch.from_numpy(frame).permute(2, 0, 1).float() / 255
        size = image.shape[1:]
        window = choose_window(mask_box(torch.from_numpy(foreground) > 0.5), size, WindowConfig())
        levels = self.tracked.features(window.crop(image[None])).levels
        name = backbone_fingerprint(self.tracked)
        return BackboneFeatures(name, levels[2], levels[3], window.shares(size), window.size)


def two_classes(kind: str, frame: UInt8Array, ids: UInt8Array, foreground: FloatArray) -> Example:
    """Make an example of a foreground (H, W)."""
    numbers = [k for k in np.unique(ids) if k not in (0, VOID)]
    masks = np.array([ids == k for k in numbers]).reshape(-1, *ids.shape)
    truth = Instances(masks, np.zeros(len(numbers), np.int64))
    probabilities = np.stack([1 - foreground, foreground]).astype(np.float32)
    return Example(kind, frame, ids, truth, probabilities)


def both_foregrounds(
    kind: str, frame: UInt8Array, ids: UInt8Array, network: HeadLocalizer
) -> Iterator[Example]:
    """Make the two class-agnostic examples: on the network's foreground and on the true one."""
    image = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255
    yield two_classes(f"{kind}: foreground of the network", frame, ids, network.foreground(image))
    inside = ((ids > 0) & (ids != VOID)).astype(np.float32)
    yield two_classes(f"{kind}: true foreground", frame, ids, inside)


def stills(root: Path, semantic: nn.Module, network: HeadLocalizer) -> Iterator[Example]:
    """Yield each image of a VOC folder four times."""
    for path in sorted((root / "SegmentationObject").glob("*.png")):
        frame = read_image(root / "JPEGImages" / f"{path.stem}.jpg")
        classes = read_label_map(root / "SegmentationClass" / path.name)
        ids = read_label_map(path)
        truth, _ = instances_from_voc(classes, ids)
        image = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            scores = semantic(image).softmax(1)[0].numpy()
        yield Example("stills: classes of the network", frame, ids, truth, scores)
        known = np.where(classes < CLASSES, classes, 0)
        true = np.ascontiguousarray(np.eye(CLASSES, dtype=np.float32)[known].transpose(2, 0, 1))
        yield Example("stills: true classes", frame, ids, truth, true)
        yield from both_foregrounds("stills", frame, ids, network)


def scenes(kind: str, source: SceneSource, count: int) -> Iterator[Example]:
    """Yield synthetic scenes with their true foreground."""
    for index in range(count):
        frame, ids = source.draw(np.random.default_rng([77, index]))
        yield two_classes(kind, frame, ids, ((ids > 0) & (ids != VOID)).astype(np.float32))


def videos(pairs: list[str], every: int, network: HeadLocalizer) -> Iterator[Example]:
    """Yield every n-th frame of each pair FRAMES=LABELS of folders, twice."""
    for pair in pairs:
        frames, labels = (Path(part) for part in pair.split("="))
        paths = sorted(labels.glob("*.png"))[::every]
        if not paths:
            raise InputError(f"videos: expected label maps (.png) in {labels}, got none")
        for path in paths:
            frame = read_image(frames / f"{path.stem}.jpg")
            yield from both_foregrounds("videos", frame, read_label_map(path), network)


def examples(arguments: argparse.Namespace) -> Iterator[Example]:
    """Yield all that was asked for."""
    network = HeadLocalizer.load(torch.device("cpu"))
    if arguments.voc is not None:
        semantic = build_semantic("deeplab_mobilenetv2", arguments.semantic_weights)
        yield from stills(arguments.voc, semantic, network)
    if arguments.train is not None:
        sequences = open_davis(arguments.train, year=2016, subset="train")
        held = [s for s in sequences if s.name in arguments.held_out]
        count = arguments.scenes
        yield from scenes("pasted scenes", PastedScenes(held, SCENE_SIZE), count)
        made = SyntheticScenes(SCENE_SIZE, first_seed=FIRST_SEED)
        yield from scenes("synthetic scenes", made, count)
    yield from videos(arguments.videos, arguments.every, network)


def score(arguments: argparse.Namespace) -> dict[str, dict[str, dict[str, float]]]:
    """Return AP^r by kind of example and way."""
    localizers = {"none": "none", "shipped": "shipped"}
    for pair in arguments.localizer:
        name, _, file = pair.partition("=")
        localizers[name] = file
    ways = Ways(localizers)
    scorers: dict[tuple[str, str], InstanceAP] = {}
    for example in examples(arguments):
        void: BoolArray = example.ids == VOID
        for name, found in ways.find(example):
            scorer = scorers.setdefault((example.kind, name), InstanceAP())
            confidences = found.scores.astype(np.float64)
            scorer.update(Instances(found.masks, found.labels, confidences), example.truth, void)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for (kind, name), scorer in scorers.items():
        scores = scorer.compute()
        table.setdefault(kind, {})[name] = {
            "APr 0.5": round(scores.mean_ap(0.5), 4),
            "APr 0.7": round(scores.mean_ap(0.7), 4),
            "APr vol": round(scores.volume, 4),
        }
    return table


def main() -> None:
    """Score, print, and write what was asked for."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--voc", type=Path, help="folder in VOC layout")
    parser.add_argument("--semantic-weights", type=Path, help="of deeplab_mobilenetv2")
    parser.add_argument("--train", type=Path, help="DAVIS folder with the held-out videos")
    parser.add_argument("--held-out", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--scenes", type=int, default=60, help="of each kind of scene")
    parser.add_argument("--videos", nargs="+", default=[], metavar="FRAMES=LABELS")
    parser.add_argument("--every", type=int, default=5, help="frames of a video")
    parser.add_argument("--localizer", nargs="+", default=[], metavar="NAME=FILE")
    arguments = parser.parse_args()
    if arguments.voc is not None and arguments.semantic_weights is None:
        parser.error("--voc needs --semantic-weights")
    packages = ("torch", "numpy", "scipy", "opencv-python")
    record = begin_record("proposer hough, AP^r", packages)
    record["scores"] = score(arguments)
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
