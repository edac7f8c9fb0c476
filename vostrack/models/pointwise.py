"""1 x 1 convolutions, on one thread, too."""

from __future__ import annotations

from torch import nn

__all__ = ["pointwise"]


def pointwise(inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv2d:
    """Build a 1 x 1 convolution.

    The dilation says nothing where there is one tap. But on one thread, with fewer than 16 images,
    torch keeps 1 x 1 convolutions of float32 from oneDNN if they have none, and takes twice the
    time forwards and up to six times backwards (``findings/one_thread_pointwise.sh``).

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        bias: whether it has one.
    """
    return nn.Conv2d(inputs, outputs, 1, dilation=2, bias=bias)
