#!/usr/bin/env bash
# torch 2.15.0 (oneDNN): weights that torch.ops.onednn.qconv_prepack has packed are laid out anew at every call.
#
# With AVX-512, oneDNN picks the layout of the int8 weights of a 1 x 1 convolution with many output
# channels by the size of the map. qconv_prepack guesses when its last argument, x_shape, is left out,
# and guesses the layout for maps of fewer than 64 cells. On any larger map the packed weights do not
# fit: each call of qconv2d_pointwise converts them with oneDNN's reference code, in silence. With 960
# channels to 320 that is some 10 ms beside 0.2 ms for the convolution itself. With x_shape the weights
# fit, until a map lies on the other side of 64 cells. Results are the same throughout. Pack the
# weights once for each side of the limit. ONEDNN_VERBOSE=1 shows it: look for "reorder,simple:any".
#
# Exits with 1 if the behaviour has changed, and with 2 where it cannot be seen: without AVX-512.
set -euo pipefail
if ! grep -qw avx512bw /proc/cpuinfo 2> /dev/null; then
    echo "needs an x86 processor with AVX-512"
    exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.15.0 numpy
cat > "$folder/pack.py" <<'PYTHON'
import torch

weights = torch.randint(-64, 65, (320, 960, 1, 1), dtype=torch.int8)
scales, zeros = torch.full((320,), 0.01), torch.zeros(320, dtype=torch.int32)
geometry = [[1, 1], [0, 0], [1, 1], 1]


def convolve(packed, side):
    x = torch.randint(0, 256, (1, 960, side, side), dtype=torch.uint8)
    x = x.contiguous(memory_format=torch.channels_last)
    given = [x, 0.02, 0, packed, scales, zeros, None]
    for _ in range(3):
        torch.ops.onednn.qconv2d_pointwise(*given, *geometry, 1.0, 0, torch.float32, "none", [], "")


for packed_for in (None, 20, 5):
    shape = None if packed_for is None else [1, 960, packed_for, packed_for]
    packed = torch.ops.onednn.qconv_prepack(weights, scales, 0.02, 0, *geometry, shape)
    for side in (5, 20):
        print(f"CASE {packed_for} {side}", flush=True)
        convolve(packed, side)
print(f"CASE end {torch.__version__}", flush=True)
PYTHON
ONEDNN_VERBOSE=1 OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/pack.py" > "$folder/said"
awk '
    $1 == "CASE" { if (name != "") print name ": " changed " of 3 calls changed the layout"
                   name = "packed for " $2 ", map of " $3; changed = 0 }
    /,exec,.*,reorder,simple:any/ { changed++ }
' "$folder/said" | sed 's/packed for None/packed without a size/' | tee "$folder/found"
cat > "$folder/expected" <<'TEXT'
packed without a size, map of 5: 0 of 3 calls changed the layout
packed without a size, map of 20: 3 of 3 calls changed the layout
packed for 20, map of 5: 3 of 3 calls changed the layout
packed for 20, map of 20: 0 of 3 calls changed the layout
packed for 5, map of 5: 0 of 3 calls changed the layout
packed for 5, map of 20: 3 of 3 calls changed the layout
TEXT
diff "$folder/expected" "$folder/found"
