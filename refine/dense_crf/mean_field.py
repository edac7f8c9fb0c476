"""Mean-field inference unrolled into a layer (Krähenbühl and Koltun 2011; Zheng et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.refine.dense_crf.kernels import GaussianKernel

__all__ = ["HigherOrderPotential", "MeanField", "MeanFieldResult"]


class HigherOrderPotential(Protocol):
    """An additional term of the energy with latent variables of its own."""

    def start(self) -> Tensor:
        """Return the logits (D,) of the latent variables before the first iteration."""
        ...

    def messages(self, probabilities: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the messages and the new latent variables from the previous iteration.

        Args:
            probabilities: (N, L), label probabilities of the pixels.
            latent: (D,), logits of the latent variables.

        Returns:
            The increment of the pixels' logits (N, L), and the new latent logits (D,).
        """
        ...


class MeanFieldResult(NamedTuple):
    """Result of mean-field inference.

    Attributes:
        logits: (L, H, W). Their softmax over the labels is the distribution Q.
        latent: (D,), logits of the latent variables; None without a higher-order potential.
    """

    logits: Tensor
    latent: Tensor | None


class MeanField(nn.Module):
    """Unrolled mean field: z ← U - μ Σ_k w_k F_k softmax(z) + higher-order messages.

    With ``labels``, each kernel has a weight per label, and the compatibility μ (L, L) is learned,
    starting from the Potts model (-identity). Without, each kernel has one scalar weight, and μ is
    the Potts model. The same layer then works for any number of labels, as in the instance CRF of
    Arnab and Torr (2016).

    Args:
        kernel_weights: initial weight of each kernel, in the order of the kernels.
        labels: number of labels L; None for weights that do not depend on the label.
        iterations: number of mean-field iterations, at least 0.

    Raises:
        InputError: there is no kernel weight, or the number of iterations is negative.
    """

    kernel_weights: nn.Parameter
    compatibility: nn.Parameter | None

    def __init__(
        self, kernel_weights: Sequence[float], labels: int | None = None, iterations: int = 5
    ) -> None:
        super().__init__()
        if not kernel_weights or iterations < 0:
            raise InputError(
                "MeanField: expected at least one kernel weight and iterations >= 0, "
                f"got {len(kernel_weights)} weights and {iterations} iterations"
            )
        start = torch.tensor([float(w) for w in kernel_weights])
        self.labels = labels
        self.iterations = iterations
        if labels is None:
            self.kernel_weights = nn.Parameter(start[:, None])
            self.register_parameter("compatibility", None)
        else:
            self.kernel_weights = nn.Parameter(start[:, None].repeat(1, labels))
            self.compatibility = nn.Parameter(-torch.eye(labels))

    def forward(
        self,
        logits: Tensor,
        kernels: Sequence[GaussianKernel],
        potential: HigherOrderPotential | None = None,
    ) -> MeanFieldResult:
        """Run mean-field inference.

        Args:
            logits: (L, H, W), the negative unary energies.
            kernels: the kernels of this image, one per kernel weight.
            potential: a higher-order potential, or None.

        Returns:
            The refined logits and the latent variables.

        Raises:
            InputError: the logits do not match the weights or the kernels, or are not finite.
        """
        self._check(logits, kernels)
        labels, height, width = logits.shape
        # The sparse filters need pixel-major order. Transpose once for all iterations.
        unary = logits.reshape(labels, -1).T.contiguous()
        state = unary
        latent = None if potential is None else potential.start()
        for _ in range(self.iterations):
            probabilities = torch.softmax(state, dim=1)
            state = self._with_pairwise(unary, probabilities, kernels)
            if potential is not None and latent is not None:
                increment, latent = potential.messages(probabilities, latent)
                state = state + increment
        return MeanFieldResult(state.T.reshape(labels, height, width), latent)

    def _with_pairwise(
        self, unary: Tensor, probabilities: Tensor, kernels: Sequence[GaussianKernel]
    ) -> Tensor:
        """Add the contribution of the pairwise term to the logits (N, L).

        Multiplication and addition are fused, because memory bandwidth limits the speed.
        """
        total = unary if self.compatibility is None else torch.zeros_like(unary)
        for weight, kernel in zip(self.kernel_weights, kernels, strict=True):
            message = _filter_probabilities(probabilities, kernel)
            total = torch.addcmul(total, message, weight.to(message.dtype))
        if self.compatibility is None:
            return total
        return torch.addmm(unary, total, self.compatibility.T.to(total.dtype), alpha=-1)

    def _check(self, logits: Tensor, kernels: Sequence[GaussianKernel]) -> None:
        if logits.ndim != 3 or (self.labels is not None and logits.shape[0] != self.labels):
            wanted = "L" if self.labels is None else str(self.labels)
            raise InputError(
                f"MeanField: expected logits of shape ({wanted}, H, W), got {tuple(logits.shape)}"
            )
        if len(kernels) != len(self.kernel_weights):
            raise InputError(
                f"MeanField: expected {len(self.kernel_weights)} kernels, got {len(kernels)}"
            )
        pixels = logits.shape[1] * logits.shape[2]
        for kernel in kernels:
            if kernel.points != pixels:
                raise InputError(
                    f"MeanField: expected kernels of {pixels} pixels like the logits, got "
                    f"{kernel.points}; build the kernels at the resolution of the logits"
                )
        if not bool(torch.isfinite(logits).all()):
            raise InputError(
                "MeanField: expected finite logits, got NaN or infinity; check the network"
            )


def _filter_probabilities(probabilities: Tensor, kernel: GaussianKernel) -> Tensor:
    """Filter all labels. Of two labels, filter only one, because they sum to one."""
    if probabilities.shape[1] != 2:
        return kernel(probabilities)
    first = kernel(probabilities[:, :1])
    return torch.cat([first, kernel.of_ones.to(first.dtype) - first], dim=1)
