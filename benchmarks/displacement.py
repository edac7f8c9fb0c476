"""Time the displacement proposer on masks of touching discs, and score it on VOC images.

The discs' field is set to point to their centres, so that the number of instances is known; the
network runs on the same mask and is timed too. Its weights do not change its speed.

    python benchmarks/displacement.py [--json FILE] [--plot FILE.svg] [--threads N]

With ``--voc``, a folder in VOC layout with SegmentationObject, it scores instead: connected
components of each class; displacement fields alone and with boundaries, within those components and
in whole classes as the paper has it; on the masks of the given semantic network and on true ones.

    python benchmarks/displacement.py --voc VOC2007 --semantic-weights FILE [--weights FILE]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from displacement_accuracy import accuracy
from record import begin_record, benchmark_parser, finish_record, spread, time_alternately
from torch import Tensor

from vostrack.models.weights import shipped_weights
from vostrack.proposers.displacement.centres import CellInstances, CentreConfig, find_instances
from vostrack.proposers.displacement.grouping import (
    GroupingConfig,
    connected_pieces,
    merge_neighbours,
)
from vostrack.proposers.displacement.networks import (
    DisplacementNet,
    NetworkConfig,
    load_displacement_net,
)
from vostrack.proposers.displacement.proposer import DisplacementConfig
from vostrack.proposers.displacement.selection import (
    Candidates,
    SelectionConfig,
    score_maps,
    select_instances,
    spread_scores,
)
from vostrack.protocols import InstanceProposals

SIZES = ((512, 512), (480, 854))
COUNTS = (1, 2, 4, 8, 16, 32)
REPEATS = 7
LONGEST = DisplacementConfig().longest


def discs(count: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw discs in a grid that just overlap.

    Returns:
        Label map (H, W), field (2, H, W) to their centres in pixels, and the number of the disc
        (H, W), 0 for none.
    """
    columns = math.ceil(math.sqrt(count * width / height))
    rows = math.ceil(count / columns)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    labels = torch.zeros(height, width, dtype=torch.int64)
    field = torch.zeros(2, height, width)
    numbers = torch.zeros(height, width, dtype=torch.int64)
    radius = 0.55 * min(height / rows, width / columns)
    for index in range(count):
        centre = (
            (index // columns + 0.5) * height / rows,
            (index % columns + 0.5) * width / columns,
        )
        inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
        labels[inside] = 1
        numbers[inside] = index + 1
        for axis, grid in enumerate((y, x)):
            field[axis][inside] = centre[axis] - grid[inside]
    return labels, field, numbers


class Stages:
    """The stages of one image, each a call that does it again."""

    def __init__(
        self, network: DisplacementNet, count: int, size: tuple[int, int], longest: int
    ) -> None:
        device = network.mean_shift.device
        factor = longest / max(size)
        height, width = (round(side * factor / 16) * 16 for side in size)
        small, field, numbers = discs(count, height, width)
        full, _, _ = discs(count, *size)
        self.labels = full.to(device)
        self.probabilities = torch.stack([self.labels == 0, self.labels == 1]).float()
        self.small = small.to(device)
        self.network = network
        self.field = (field[:, 2::4, 2::4] / 4).to(device)
        self.cells = self.small[2::4, 2::4]
        owner = numbers[2::4, 2::4]
        boundary = torch.zeros(owner.shape)
        boundary[1:] += owner[1:] != owner[:-1]
        boundary[:, 1:] += owner[:, 1:] != owner[:, :-1]
        self.boundary = boundary.clamp(max=1).to(device)
        self.selection = SelectionConfig(min_pixels=1)
        self.instances = self.centres()
        self.maps = self.start()
        self.spread = self.walk()

    def predict(self) -> object:
        """Run the network."""
        return self.network.field_and_boundary(self.small[None])

    def centres(self) -> CellInstances:
        """Number the pieces, follow the field, assign, and join what no boundary parts."""
        connected_pieces(self.labels.cpu().numpy(), 100)
        found = find_instances(self.field, self.cells, CentreConfig())
        return merge_neighbours(found, self.boundary.cpu().numpy(), GroupingConfig())

    def start(self) -> Tensor:
        """Make the score maps that the walk starts from."""
        known = torch.stack([self.cells == 0, self.cells == 1]).float()
        return score_maps(self.instances, known)

    def walk(self) -> Tensor:
        """Take the random walk, affinities included."""
        return spread_scores(self.maps, self.boundary, self.selection)

    def select(self) -> InstanceProposals:
        """Make masks at full size."""
        classes = self.instances.classes
        found = Candidates(self.spread, classes, classes, np.ones(len(classes)))
        return select_instances(found, self.labels, self.probabilities, self.selection)

    def whole(self) -> None:
        """Take all stages."""
        self.predict()
        self.centres()
        self.start()
        self.walk()
        self.select()


def measure(
    network: DisplacementNet, size: tuple[int, int], count: int, longest: int
) -> dict[str, Any]:
    """Time each stage and all of them, in milliseconds."""
    stages = Stages(network, count, size, longest)
    device = network.mean_shift.device
    names = ("predict", "centres", "walk", "select", "whole")
    calls: dict[str, Callable[[], object]] = {
        name: partial(_finished, getattr(stages, name), device) for name in names
    }
    times = time_alternately(calls, repeats=REPEATS)
    found = len(stages.select())
    return {
        "instances": found,
        "cells": list(stages.cells.shape),
        **{k: spread(v) for k, v in times.items()},
    }


def _finished(call: Callable[[], object], device: torch.device) -> None:
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timings(network: DisplacementNet, longest: int) -> dict[str, Any]:
    """Time both sizes with 8 instances, and one size over the number of instances."""
    result = {
        f"{height} x {width}, 8 instances": measure(network, (height, width), 8, longest)
        for height, width in SIZES
    }
    for count in COUNTS:
        name = f"{SIZES[1][0]} x {SIZES[1][1]}, {count} instances"
        if name not in result:
            result[name] = measure(network, SIZES[1], count, longest)
    return result


def plot(section: dict[str, Any], path: Path) -> None:
    """Draw milliseconds over the number of instances as SVG."""
    size = f"{SIZES[1][0]} x {SIZES[1][1]}"
    rows = [section[f"{size}, {count} instances"] for count in COUNTS]
    top = max(row["whole"]["median_ms"] for row in rows)
    parts = [f'<text x="40" y="16">ms at {size} over instances</text>']
    for name, colour in (("whole", "black"), ("walk", "crimson"), ("select", "steelblue")):
        points = [
            (40 + 340 * count / COUNTS[-1], 200 - 170 * row[name]["median_ms"] / top)
            for count, row in zip(COUNTS, rows, strict=True)
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        x, y = points[-1]
        parts.append(
            f'<text x="{x + 4:.1f}" y="{y:.1f}">{name} {rows[-1][name]["median_ms"]:.0f}</text>'
        )
    for (x, _), count in zip(points, COUNTS, strict=True):
        parts.append(f'<text x="{x:.1f}" y="216" text-anchor="middle">{count}</text>')
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="470" height="224" '
        f'font-family="sans-serif" font-size="11">{"".join(parts)}</svg>\n',
        encoding="utf-8",
    )


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = benchmark_parser(__doc__, threads=torch.get_num_threads())
    parser.add_argument("--plot", metavar="FILE.svg", type=Path)
    parser.add_argument("--longest", type=int, default=LONGEST)
    parser.add_argument("--backbone", choices=("light", "resnet50", "resnet101"), default="light")
    parser.add_argument("--weights", type=Path, help="of the proposer; the shipped ones by default")
    parser.add_argument("--voc", type=Path, help="score on this folder in VOC layout")
    parser.add_argument("--semantic-weights", type=Path, help="of deeplab_mobilenetv2")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    packages = ("torch", "numpy", "scipy", "opencv-python")
    record = begin_record("displacement proposer", packages)
    if arguments.voc is not None:
        if arguments.semantic_weights is None:
            parser.error("--voc needs --semantic-weights")
        network = load_displacement_net(arguments.weights or shipped_weights("displacement"))
        record["accuracy"] = accuracy(
            arguments.voc, network, arguments.semantic_weights, arguments.longest
        )
    else:
        paper = arguments.backbone != "light"
        config = NetworkConfig.paper(arguments.backbone) if paper else NetworkConfig()
        network = DisplacementNet(config).eval()
        for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            record[device] = timings(network.to(device), arguments.longest)
        if arguments.plot is not None:
            plot(record["cuda" if "cuda" in record else "cpu"], arguments.plot)
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
