"""Compare the presets with SAM 2.1 and EdgeTAM: CPU seconds per frame, and memory.

The peers come from ``transformers``, built from their configurations with random weights: nothing
is downloaded, and the time does not depend on the weights. All get the same synthetic clip and the
mask of its first frame. Each runs in a process of its own, with one thread.

    python -m pip install transformers==4.57.1 timm==1.0.20
    python benchmarks/peers.py [--frames 4] [--only sam2.1-tiny fast] [--json FILE]
"""

from __future__ import annotations

import importlib
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from record import begin_record, benchmark_parser, finish_record

PRESETS = ("fast", "balanced", "best")
PEERS = ("sam2.1-tiny", "sam2.1-base-plus", "edgetam")
_SIDE = 1024  # of the square images that the peers work on

# The trunk of base+ as in SAM 2.1's configuration files; that of tiny is the default.
_BASE_PLUS = {
    "hidden_size": 112,
    "num_attention_heads": 2,
    "blocks_per_stage": [2, 3, 16, 3],
    "embed_dim_per_stage": [112, 224, 448, 896],
    "num_attention_heads_per_stage": [2, 4, 8, 16],
    "window_size_per_stage": [8, 4, 14, 7],
    "window_positional_embedding_background_size": [14, 14],
    "global_attention_blocks": [12, 16, 20],
}
_REPVIT = {
    "model_type": "timm_wrapper",
    "architecture": "repvit_m1",
    "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
}


def build_peer(name: str) -> tuple[Any, Any]:
    """Return a model with random weights, and the class of its sessions."""
    edge = name == "edgetam"
    package = "edgetam_video" if edge else "sam2_video"
    modeling = importlib.import_module(f"transformers.models.{package}.modeling_{package}")
    settings = importlib.import_module(f"transformers.models.{package}.configuration_{package}")
    prefix = "EdgeTamVideo" if edge else "Sam2Video"
    vision: dict[str, Any] | None = None
    if edge:
        vision = {"model_type": "edgetam_vision_model", "backbone_config": _REPVIT}
    elif name == "sam2.1-base-plus":
        vision = {
            "model_type": "sam2_vision_model",
            "backbone_config": _BASE_PLUS,
            "backbone_channel_list": [896, 448, 224, 112],
        }
    configuration = getattr(settings, f"{prefix}Config")(vision_config=vision)
    model = getattr(modeling, f"{prefix}Model")(configuration).eval()
    return model, getattr(modeling, f"{prefix}InferenceSession")


def follow_peer(name: str, frames: int) -> dict[str, Any]:
    """Let a peer track the clip."""
    import torch
    import torch.nn.functional as F

    images, labels = clip(frames)
    model, sessions = build_peer(name)
    pixels = torch.stack([torch.from_numpy(image) for image in images]).permute(0, 3, 1, 2)
    video = F.interpolate(pixels / 127.5 - 1, size=(_SIDE, _SIDE), mode="bilinear")
    session = sessions(
        video=video, video_height=labels.shape[0], video_width=labels.shape[1], dtype=torch.float32
    )
    mask = torch.from_numpy(labels == 1).float()[None, None]
    mask = (F.interpolate(mask, size=(_SIDE, _SIDE), mode="bilinear") >= 0.5).float()
    session.add_mask_inputs(session.obj_id_to_idx(1), 0, mask)
    session.obj_with_new_inputs = [1]
    with torch.inference_mode():
        return timed(lambda k: model(inference_session=session, frame_idx=k), frames)


def follow_preset(name: str, frames: int) -> dict[str, Any]:
    """Let a preset track the clip."""
    from vostrack import build_tracker

    images, labels = clip(frames)
    tracker = build_tracker(name)
    return timed(
        lambda k: tracker.step(images[k]) if k else tracker.start(images[0], labels), frames
    )


def clip(frames: int) -> tuple[Any, Any]:
    """Return images (T, 480, 854, 3) and the labels of the first."""
    from vostrack.datasets.synthetic import SyntheticScene, render_clip

    images, labels = render_clip(SyntheticScene(size=(480, 854), frames=frames, objects=1, seed=3))
    return images, labels[0]


def timed(work: Callable[[int], object], frames: int) -> dict[str, Any]:
    """Return CPU seconds of the first frame, the median of the others, and the peak of memory."""
    seconds = []
    for index in range(frames):
        began = time.process_time()
        work(index)
        seconds.append(time.process_time() - began)
    return {
        "first_frame_s": round(seconds[0], 3),
        "frame_s": round(statistics.median(seconds[1:]), 4),
        "frame_s_range": [round(min(seconds[1:]), 4), round(max(seconds[1:]), 4)],
        "frames": frames - 1,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def use_one_thread() -> None:
    """Let torch and OpenCV use one thread in this process."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def main() -> None:
    """Measure what the arguments ask for."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--frames", type=int, default=4, help="of a peer; presets get 20 more")
    parser.add_argument("--only", nargs="+", choices=PEERS + PRESETS, default=PEERS + PRESETS)
    parser.add_argument("--alone", choices=PEERS + PRESETS, help="measure one in this process")
    arguments = parser.parse_args()
    if arguments.frames < 2:
        parser.error("--frames: expected at least 2")
    if arguments.alone:
        follow = follow_peer if arguments.alone in PEERS else follow_preset
        use_one_thread()
        print(json.dumps(follow(arguments.alone, arguments.frames)))
        return
    record = begin_record("presets and peers", ("torch", "transformers", "timm"))
    record["clip"] = "480 x 854, one object"
    for name in arguments.only:
        count = arguments.frames + (20 if name in PRESETS else 0)
        command = [sys.executable, str(Path(__file__)), "--alone", name, "--frames", str(count)]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        record[name] = json.loads(result.stdout.splitlines()[-1])
        print(name, record[name], file=sys.stderr, flush=True)
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
