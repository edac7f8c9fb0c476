#!/usr/bin/env bash
# PyAV 18.1.0 (SVT-AV1): encoding AV1 as root makes the calling thread a real-time one, for good.
#
# After one clip with the codec libsvtav1, the thread that encoded has the policy SCHED_FIFO at
# priority 99, and keeps it when the container is closed. Threads and processes that it starts later
# inherit that. On two cores, programs with codecs that wait in loops for threads of their own then
# take minutes, or never end. Other users keep the policy that they had. Ask os.sched_getscheduler
# before, and set the policy back afterwards. Linux alone; other encoders leave the policy as it is.
#
# Exits with 1 if the behaviour has changed, and with 2 where it cannot be seen: not on Linux, or not as root.
set -euo pipefail
if [ "$(uname)" != Linux ] || [ "$(id -u)" != 0 ]; then
    echo "needs Linux and root"
    exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0 numpy
cat > "$folder/schedule.py" <<'PYTHON'
import os
import sys

import av
import numpy as np

NAMES = {os.SCHED_OTHER: "SCHED_OTHER", os.SCHED_FIFO: "SCHED_FIFO"}


def schedule():
    policy = os.sched_getscheduler(0)
    return NAMES.get(policy, str(policy)), os.sched_getparam(0).sched_priority


def encode(codec):
    with av.open(f"{sys.argv[1]}/clip.mp4", "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(4):
            picture = np.zeros((64, 96, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return schedule()


first, h264, av1 = schedule(), encode("libx264"), encode("libsvtav1")
print(f"PyAV {av.__version__}: before {first}, after H.264 {h264}, after AV1 {av1}")
sys.exit(0 if first == h264 == ("SCHED_OTHER", 0) and av1 == ("SCHED_FIFO", 99) else 1)
PYTHON
"$folder/venv/bin/python" "$folder/schedule.py" "$folder" 2> "$folder/messages"
