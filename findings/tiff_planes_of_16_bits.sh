#!/usr/bin/env bash
# OpenCV 5.0.0 and Pillow 13.0.0: TIFF with colours of 16 bits in separate planes is read as noise.
#
# TIFF may keep red, green and blue one after the other (PlanarConfiguration 2), as microscopes and
# scientific software do. With 8 bits both libraries read that rightly. With 16 bits cv2.imread
# returns an array of the right shape and type whose values are wrong, and Pillow an image that is
# wrong where the file is not compressed; neither raises an error. Interleaved colours of 16 bits
# are right. What is written here is read back exactly by tifffile.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q opencv-python-headless==5.0.0.93 pillow==13.0.0 tifffile==2026.3.3
cat > "$folder/planes.py" <<'PYTHON'
import sys
from pathlib import Path

import cv2
import numpy as np
import PIL
import tifffile
from PIL import Image

folder = Path(sys.argv[1])
rows, columns = np.mgrid[:48, :64]
picture = np.stack([columns * 4, rows * 5, (rows + columns) * 2], axis=-1).astype(np.uint8)


def errors(name, values, **layout):
    """Return the mean errors of OpenCV and of Pillow, in steps of 8 bits."""
    path = folder / f"{name}.tif"
    tifffile.imwrite(path, values, photometric="rgb", **layout)
    assert np.array_equal(tifffile.imread(path), values)
    full = 257 if values.dtype == np.uint16 else 1
    by_cv = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1] / full
    by_pillow = np.asarray(Image.open(path).convert("RGB")).astype(float)
    found = [float(np.abs(read - picture).mean()) for read in (by_cv, by_pillow)]
    print(f"{name}: OpenCV {found[0]:.1f}, Pillow {found[1]:.1f}")
    return found


deep, planes = picture.astype(np.uint16) * 257, {"planarconfig": "separate"}
print(f"OpenCV {cv2.__version__}, Pillow {PIL.__version__}: mean error of 255")
right = [
    *errors("interleaved, 8 bits", picture),
    *errors("planes, 8 bits", picture.transpose(2, 0, 1).copy(), **planes),
    *errors("interleaved, 16 bits", deep),
]
wrong = errors("planes, 16 bits", deep.transpose(2, 0, 1).copy(), **planes)
sys.exit(0 if max(right) < 1 and min(wrong) > 20 else 1)
PYTHON
"$folder/venv/bin/python" "$folder/planes.py" "$folder"
