#!/usr/bin/env bash
# Pillow 13.0.0: an uncompressed gray TIFF with an orientation of 5 to 8 is read as a scrambled
# picture.
#
# Since Pillow states the size of such a file as it is displayed, the size that it is opened with
# has width and height swapped. Where the file is mapped into memory (mode L, P, I;16, RGBA and
# others, not compressed, one strip, opened by name), the rows are cut at that length. No error is
# raised. The same file is right where it is opened as a file object, which is not mapped.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy pillow==13.0.0 tifffile==2026.3.3
cat > "$folder/turned.py" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import PIL
import tifffile
from PIL import Image

path = Path(sys.argv[1]) / "turned.tif"
rows, columns = np.mgrid[:48, :64]
picture = (columns * 3 + rows).astype(np.uint8)
tag = (274, "H", 1, 6, True)
tifffile.imwrite(path, np.ascontiguousarray(np.rot90(picture)), extratags=[tag], metadata=None)
with Image.open(path) as image:
    mapped = np.asarray(image)
with path.open("rb") as file, Image.open(file) as image:
    read = np.asarray(image)
print(f"Pillow {PIL.__version__}: by name {mapped.shape}, as a file object {read.shape}")
wrong = mapped.shape != picture.shape or not np.array_equal(mapped, picture)
sys.exit(0 if wrong and np.array_equal(read, picture) else 1)
PYTHON
"$folder/venv/bin/python" "$folder/turned.py" "$folder"
