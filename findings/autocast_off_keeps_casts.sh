#!/usr/bin/env bash
# torch 2.15.0: inside an autocast that is switched off, a network goes on with its first weights.
#
# torch keeps the bfloat16 casts of weights until the outermost autocast ends. One with enabled=False
# counts as such, though it casts nothing: a training loop with an autocast of its own for each
# forward pass, called inside torch.autocast("cpu", enabled=False), computes every step with the
# casts of the first. Nothing fails: the loss of the same batch stays the same to the bit while the
# optimiser drives the weights away. Seen on CPUs; there the forward pass needs no bfloat16 units.
# torch.clear_autocast_cache() around each forward pass mends it.
#
# Seen: alone 3.18 1.80 1.06 0.63; inside 3.18 3.18 3.18 3.18; inside, cleared 3.18 1.80 1.06 0.63
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.15.0 numpy
cat > "$folder/casts.py" <<'PYTHON'
import contextlib

import torch


def losses(around, clear=False):
    torch.manual_seed(0)
    layer, x = torch.nn.Linear(4, 1), torch.randn(16, 4)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.2)
    found = []
    with around:
        for _ in range(4):
            if clear:
                torch.clear_autocast_cache()
            with torch.autocast("cpu", torch.bfloat16):
                y = layer(x)
            loss = (y.float()[:, 0] - x.sum(1)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(round(loss.item(), 2))
    return found


def off():
    return torch.autocast("cpu", enabled=False)


alone, inside, cleared = losses(contextlib.nullcontext()), losses(off()), losses(off(), clear=True)
print(f"torch {torch.__version__}: alone {alone}, inside {inside}, inside, cleared {cleared}")
changed = not (len(set(inside)) == 1 and alone == cleared and alone[-1] < 0.5 * alone[0])
if changed:
    print("the behaviour has changed")
raise SystemExit(int(changed))
PYTHON
"$folder/venv/bin/python" "$folder/casts.py"
