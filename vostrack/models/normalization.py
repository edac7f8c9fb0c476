"""Batch normalisation for batches of one image: frozen, or folded into the convolutions."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

__all__ = ["FrozenBatchNorm2d", "fold_batch_norm", "train_folded_biases"]


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that always uses the stored statistics. The affine part is trainable.

    Fine-tuning on one frame must not change the statistics. (Cheng et al. 2017 train with Caffe's
    ``use_global_stats``.)
    """

    def train(self, mode: bool = True) -> FrozenBatchNorm2d:
        """Stay in evaluation mode, whatever the mode of the network."""
        super().train(False)
        return self


def fold_batch_norm(module: nn.Module) -> nn.Module:
    """Fold every batch normalisation into the preceding convolution, in place.

    The result computes the same function with one memory pass less per convolution. Each
    normalisation must directly follow its convolution among the children, as in torchvision's
    networks.

    Args:
        module: the network to fold. It is set to evaluation mode.

    Returns:
        The same module, with every ``BatchNorm2d`` replaced by ``Identity``. A convolution that had
        no bias before has one that is not trained; see ``train_folded_biases``.
    """
    module.eval()
    previous: nn.Conv2d | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d):
            previous = child
        elif isinstance(child, nn.BatchNorm2d) and previous is not None:
            _fold_into(previous, child)
            setattr(module, name, nn.Identity())
            previous = None
        else:
            fold_batch_norm(child)
    return module


def _fold_into(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Change a convolution in place: torch's function copies it first."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )


def train_folded_biases(module: nn.Module) -> None:
    """Let the biases of all convolutions be trained, in place.

    Folding gives biases to convolutions that had none, and torch does not train these.
    """
    for child in module.modules():
        if isinstance(child, nn.Conv2d) and child.bias is not None:
            child.bias.requires_grad_(True)
