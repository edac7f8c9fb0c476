"""Batch normalisation for one-image batches: frozen statistics, or folded into the convolutions."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["FrozenBatchNorm2d", "fold_batch_norm"]


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that always uses the stored statistics; the affine part stays trainable.

    One frame is no basis for batch statistics, so fine-tuning on it must not touch them
    (Cheng et al. 2017 train with Caffe's ``use_global_stats``).
    """

    def train(self, mode: bool = True) -> FrozenBatchNorm2d:
        """Stay in evaluation mode, whatever the network around it does."""
        super().train(False)
        return self


def fold_batch_norm(module: nn.Module) -> nn.Module:
    """Fold every batch normalisation into the convolution before it, in place.

    The result computes the same function with one memory pass less per convolution. Normalisations
    must directly follow their convolution among the children, as in torchvision's networks.

    Args:
        module: the network to fold; it is put into evaluation mode.

    Returns:
        The same module, its ``BatchNorm2d`` replaced by ``Identity``.
    """
    module.eval()
    previous: tuple[str, nn.Conv2d] | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d):
            previous = (name, child)
        elif isinstance(child, nn.BatchNorm2d) and previous is not None:
            setattr(module, previous[0], fuse_conv_bn_eval(previous[1], child))
            setattr(module, name, nn.Identity())
            previous = None
        else:
            fold_batch_norm(child)
    return module
