#!/usr/bin/env bash
# torch 2.15.0: on one thread, a 1 x 1 convolution is faster with a dilation that means nothing.
#
# With one tap a dilation changes no result. But with torch.set_num_threads(1), on fewer than 16
# images, float32 convolutions of 1 x 1 without stride or dilation are not given to oneDNN: the
# profiler shows aten::_slow_conv2d_forward in place of aten::mkldnn_convolution. The check that
# decides it takes a dilated convolution, so dilation=2 brings oneDNN back. Seen with 64 channels to 16
# on 128 x 128 (AMD EPYC, Zen 5): 0.76 ms become 0.20, and with the gradients of input and weights
# 5.6 become 0.9; as AVX2, 0.78 become 0.50, and 2.0 become 1.2. Maps of some 40 x 40 and few channels
# gain nothing. With two threads both are the same. In channels last; processors that are not x86
# were not tried.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.15.0 numpy
cat > "$folder/pointwise.py" <<'PYTHON'
import sys
import time

import torch
import torch.nn.functional as F

x = torch.randn(1, 64, 128, 128).contiguous(memory_format=torch.channels_last)
weight = torch.randn(16, 64, 1, 1).contiguous(memory_format=torch.channels_last)


def kernels(dilation):
    with torch.profiler.profile() as profile:
        F.conv2d(x, weight, dilation=dilation)
    return {event.key for event in profile.key_averages()}


def milliseconds(dilation, gradients):
    a, b = (t.clone().requires_grad_(gradients) for t in (x, weight))
    spent = []
    for _ in range(30):
        begin = time.thread_time()
        found = F.conv2d(a, b, dilation=dilation)
        if gradients:
            found.sum().backward()
        spent.append(1000 * (time.thread_time() - begin))
    return sorted(spent)[len(spent) // 2]


print(torch.__version__, torch.backends.cpu.get_cpu_capability())
same = torch.allclose(F.conv2d(x, weight), F.conv2d(x, weight, dilation=2), atol=1e-3)
seen = {}
for threads in (1, 2):
    torch.set_num_threads(threads)
    for dilation in (1, 2):
        seen[threads, dilation] = "aten::_slow_conv2d_forward" in kernels(dilation)
        times = [milliseconds(dilation, gradients) for gradients in (False, True)]
        print(
            f"{threads} thread(s), dilation {dilation}: torch's own kernel {seen[threads, dilation]},"
            f" {times[0]:.2f} ms, with gradients {times[1]:.2f} ms"
        )
expected = {(1, 1): True, (1, 2): False, (2, 1): False, (2, 2): False}
sys.exit(0 if same and seen == expected else 1)
PYTHON
"$folder/venv/bin/python" "$folder/pointwise.py"
