"""Compare the target network's parts with what this processor can do at most.

The limits are the best rates of a large product of matrices, of float32 and of bytes. Printed
are, in CPU seconds of one thread, these rates, that of each kind of convolution of the backbone,
and what the backbones, and the readers with the decoder, reach, with their shares of the limit of
their precision. Readers and decoder in 8 bits have parts in float32.

    python benchmarks/limit.py [--repeats 15] [--side 320] [--json FILE]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from record import begin_record, benchmark_parser, finish_record
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vostrack.models.byte_convolution import byte_products, has_fast_int8, rows_to_bytes
from vostrack.models.target_net import Features, TargetNet
from vostrack.models.weights import load_target_net
from vostrack.online_finetune.target.eight_bit_stages import (
    WHOLE,
    measured,
    uses_eight_bits,
    with_byte_layers_above,
    with_eight_bits,
)

_SIDE = 1024


def rate(work: Callable[[], object], operations: float, repeats: int) -> dict[str, float]:
    """Return the median rate of ``work`` in 1e9 operations per CPU second, and its spread."""
    for _ in range(3):
        work()
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    low, median, high = statistics.quantiles(seconds, n=4)
    return {
        "ms": round(1000 * median, 3),
        "iqr_low_ms": round(1000 * low, 3),
        "iqr_high_ms": round(1000 * high, 3),
        "gflops": round(operations / median / 1e9, 2),
    }


def operations(work: Callable[[], object]) -> float:
    """Return the number of additions and multiplications of ``work``."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def convolutions(network: TargetNet, side: int, repeats: int) -> dict[str, Any]:
    """Return the rate of the second convolution of each stage of the backbone."""
    found = {}
    for stride in (4, 8, 16):
        block: Any = next(iter(network.backbone.stage_layers(stride).children()))
        cells = side // stride
        x = torch.rand(1, block.conv2.in_channels, cells, cells)
        work = partial(block.conv2, x.contiguous(memory_format=torch.channels_last))
        shape = f"{x.shape[1]} channels, {cells} x {cells}"
        found[shape] = rate(work, operations(work), repeats)
    return found


def forward(network: TargetNet, features: Features, side: int) -> Callable[[], object]:
    """Return the work of one frame behind the backbone, for one object and two memories."""
    mask = F.pad(torch.ones(1, 1, side // 2, side // 2), (side // 4,) * 4)
    cells = side // 16
    line = (torch.arange(cells) + 0.5) / cells
    places = torch.stack(torch.meshgrid(line, line, indexing="xy"))[None]
    memory = network.remember(features, mask, places)
    return lambda: network(
        features, places, ([memory, memory], [memory]), memory.statistics, mask, torch.ones(1)
    )


def parts(network: TargetNet, image: Tensor, repeats: int) -> dict[str, Any]:
    """Return the rates of the backbones and of the rest, in float32 and in 8 bits."""
    side = image.shape[-1]
    count = operations(lambda: network.features(image))
    rest = forward(network, network.features(image), side)
    rest_count = operations(rest)
    found = {
        "backbones, float32": rate(lambda: network.features(image), count, repeats),
        "readers and decoder, float32": rate(rest, rest_count, repeats),
    }
    if uses_eight_bits(network, image.device, "auto"):
        ranges = measured(network, image, WHOLE)
        network = with_byte_layers_above(with_eight_bits(network, ranges))
        rest = forward(network, network.features(image), side)
        found["backbones, 8 bits"] = rate(lambda: network.features(image), count, repeats)
        found["readers and decoder, 8 bits"] = rate(rest, rest_count, repeats)
    return found


def limits(repeats: int) -> dict[str, Any]:
    """Return the best rates of products of matrices."""
    a, b = torch.rand(_SIDE, _SIDE), torch.rand(_SIDE, _SIDE)
    # Torch's library keeps to AVX2 on some processors; a convolution goes to another one.
    image, weight = a.T[None, :, :, None], b[:, :, None, None]
    works: dict[str, list[Callable[[], object]]] = {
        "float32": [lambda: a @ b.T, lambda: F.conv2d(image, weight, dilation=2)]
    }
    if has_fast_int8():
        (values, scale), packed = rows_to_bytes(a), byte_products(b)
        works["8 bits"] = [lambda: packed.floats(values, scale)]
    return {
        name: max((rate(work, 2 * _SIDE**3, repeats) for work in some), key=lambda r: r["gflops"])
        for name, some in works.items()
    }


def main() -> None:
    """Measure what the arguments ask for."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--side", type=int, default=320, help="side of the window, pixels")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    record = begin_record("share of the processor's limit", ("torch", "numpy"))
    with torch.inference_mode():
        record["limits"] = limits(arguments.repeats)
        network = load_target_net()
        image = F.interpolate(torch.rand(1, 3, 20, 20), size=(arguments.side,) * 2, mode="bilinear")
        record["convolutions"] = convolutions(network, arguments.side, arguments.repeats)
        record["parts"] = parts(network, image, arguments.repeats)
    for name, entry in [*record["convolutions"].items(), *record["parts"].items()]:
        limit = record["limits"]["8 bits" if "8 bits" in name else "float32"]
        entry["share_of_limit"] = round(entry["gflops"] / limit["gflops"], 2)
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
