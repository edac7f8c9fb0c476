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
    """A further term of the energy, with latent variables of its own."""

    def start(self) -> Tensor:
        """Return the latent variables' logits (D,) before the first iteration."""
        ...

    def messages(self, probabilities: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Update from the previous iteration's state, both at once.

        Args:
            probabilities: (N, L), the pixels' label probabilities.
            latent: (D,), the latent variables' logits.

        Returns:
            What to add to the pixels' logits (N, L), and the new latent logits (D,).
        """
        ...


class MeanFieldResult(NamedTuple):
    """What inference ends with.

    Attributes:
        logits: (L, H, W); their softmax over the labels is Q.
        latent: (D,) logits of the higher-order potential's latent variables, or None without one.
    """

    logits: Tensor
    latent: Tensor | None


class MeanField(nn.Module):
    """Unrolled mean field: z ← U - μ Σ_k w_k F_k softmax(z) + higher-order messages.

    With ``labels`` the kernel weights are one per label and the compatibility μ (L, L) is trained,
    starting from Potts (-identity). Without, there is one scalar per kernel and μ stays Potts, so
    the same layer serves any number of labels (the instance CRF of Arnab and Torr 2016).

    Args:
        kernel_weights: start value of the weight of each kernel, in the order of the kernels.
        labels: L, or None for weights that know no labels.
        iterations: number of mean-field steps.

    Raises:
        InputError: no kernel weight, or a negative number of iterations.
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
        """Infer.

        Args:
            logits: (L, H, W), minus the unary energies.
            kernels: of this image, as many as there are kernel weights.
            potential: a higher-order term, or None.

        Returns:
            The refined logits and the latent variables.

        Raises:
            InputError: the shape of the logits does not fit the weights or the kernels, or they
                are not finite.
        """
        self._check(logits, kernels)
        labels, height, width = logits.shape
        # Pixel-major, as the sparse filters want it; one transposition for all iterations.
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
        """Add the pairwise term's contribution to the logits (N, L).

        Multiply and add in one pass: beside the filters, the time goes into reading memory.
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
                    f"MeanField: logits of {pixels} pixels, but a kernel of {kernel.points}; "
                    "build the kernels from the image at the logits' resolution"
                )
        if not bool(torch.isfinite(logits).all()):
            raise InputError("MeanField: logits must be finite, got NaN or infinity")


def _filter_probabilities(probabilities: Tensor, kernel: GaussianKernel) -> Tensor:
    """Filter all labels; of two, one, from which the other follows as they sum to one."""
    if probabilities.shape[1] != 2:
        return kernel(probabilities)
    first = kernel(probabilities[:, :1])
    return torch.cat([first, kernel.of_ones.to(first.dtype) - first], dim=1)
