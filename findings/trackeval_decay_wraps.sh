#!/usr/bin/env bash
# TrackEval 1.3.0: J-Decay and F-Decay are NaN or 0 for sequences of 256 frames and more.
#
# The limits of the quarters over which decay is computed are cast to 8 bits (metrics/j_and_f.py,
# `ids.astype(np.uint8)`), as in the DAVIS evaluation code that it follows. Here an object is found
# until three quarters of the sequence and then lost: the decay is 1 at any length.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q trackeval==1.3.0 numpy scipy pycocotools scikit-image opencv-python-headless
cat > "$folder/decay.py" <<'PYTHON'
import warnings
from importlib.metadata import version

import numpy as np
from pycocotools import mask
from trackeval.metrics import JAndF

warnings.simplefilter("ignore")


def decay(frames):
    truth = np.zeros((16, 16), np.uint8, order="F")
    truth[4:12, 4:12] = 1
    lost = np.zeros((16, 16), np.uint8, order="F")
    lost[:2, :2] = 1
    found = frames * 3 // 4
    data = {
        "num_timesteps": frames, "num_gt_ids": 1, "num_tracker_ids": 1,
        "gt_ids": [np.array([0])] * frames, "tracker_ids": [np.array([0])] * frames,
        "gt_dets": [[mask.encode(truth)] for _ in range(frames)],
        "tracker_dets": [[mask.encode(truth if t < found else lost)] for t in range(frames)],
    }
    scores = JAndF().eval_sequence(data)
    return float(scores["J-Mean"]), float(scores["J-Decay"])


print("trackeval", version("trackeval"), "numpy", version("numpy"))
results = {frames: decay(frames) for frames in (100, 200, 256, 300, 400)}
for frames, (mean, value) in results.items():
    print(f"{frames} frames: J-Mean {mean:.3f}, J-Decay {value:.3f}")
assert all(value > 0.9 for frames, (_, value) in results.items() if frames < 256)
wrapped = [value for frames, (_, value) in results.items() if frames >= 256]
raise SystemExit(0 if all(np.isnan(value) or value == 0 for value in wrapped) else 1)
PYTHON
"$folder/venv/bin/python" "$folder/decay.py"
