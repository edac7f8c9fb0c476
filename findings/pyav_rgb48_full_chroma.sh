#!/usr/bin/env bash
# PyAV 18.1.0 (libswscale 9.5): 10-bit 4:2:0 becomes noise in rgb48 with full chroma interpolation.
#
# VideoFrame.reformat(format="rgb48le", interpolation=BILINEAR | FULL_CHR_H_INT) of a smooth picture
# in yuv420p10le is wrong by 40 of 255 on average. The planar gbrp16le is right with the same flags,
# and so is rgb48le without FULL_CHR_H_INT. PyAV 16.1.0 and 17.0.0 are wrong without the flag, too;
# 15.1.0 is right.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0 numpy
cat > "$folder/chroma.py" <<'PYTHON'
import sys

import av
import numpy as np
from av.video.reformatter import Interpolation

rows, columns = np.mgrid[:48, :64]
picture = np.stack([columns * 4, rows * 5, (rows + columns) * 2], axis=-1).astype(np.uint8)
frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p10le")


def wrong(pixels, flags):
    """Return the mean error in 8-bit steps."""
    found = frame.reformat(format=pixels, interpolation=flags).to_ndarray() / 257
    return float(np.abs(found - picture).mean())


full = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT
plain, packed, planar = (
    wrong("rgb48le", Interpolation.BILINEAR), wrong("rgb48le", full), wrong("gbrp16le", full)
)
print(f"PyAV {av.__version__}, libswscale {av.library_versions['libswscale']}")
print(f"mean error: rgb48le {plain:.1f}, with FULL_CHR_H_INT {packed:.1f}, gbrp16le {planar:.1f}")
sys.exit(0 if plain < 3 and packed > 20 and planar < 3 else 1)
PYTHON
"$folder/venv/bin/python" "$folder/chroma.py"
