"""Kernels, mean field and the refiner: pydensecrf's values, gradients, properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.refine.dense_crf import (
    DenseCrfRefiner,
    DenseCrfRefinerConfig,
    GaussianKernel,
    KernelConfig,
    MeanField,
    Normalisation,
    bilateral_kernel,
    image_kernels,
    spatial_kernel,
)

NORMALISATIONS: tuple[Normalisation, ...] = ("symmetric", "after", "before", "none")

# Label 0 after five iterations. Made with pydensecrf2 1.1 on the image and probabilities of
# `_small_case`: setUnaryEnergy(-log p); addPairwiseGaussian(sxy=1, compat=3, DIAG_KERNEL, n);
# addPairwiseBilateral(sxy=3, srgb=30, rgbim=image, compat=4, DIAG_KERNEL, n); inference(5).
PYDENSECRF = {
    "symmetric": [
        [1.005377e-03, 4.631023e-03, 9.868903e-01, 9.976464e-01, 9.986991e-01],
        [4.087667e-04, 2.072504e-03, 5.814139e-01, 9.962560e-01, 9.980564e-01],
        [2.550461e-04, 6.535930e-04, 3.380460e-03, 8.449335e-01, 9.929780e-01],
        [2.307588e-04, 4.955113e-04, 1.490313e-03, 5.955847e-03, 1.993423e-01],
    ],
    "after": [
        [7.036523e-04, 4.152243e-03, 9.844616e-01, 9.973246e-01, 9.990492e-01],
        [3.813063e-04, 2.203615e-03, 2.455672e-01, 9.942406e-01, 9.978027e-01],
        [2.409353e-04, 7.628584e-04, 3.234927e-03, 5.946664e-01, 9.918593e-01],
        [1.837846e-04, 4.423975e-04, 1.231894e-03, 4.588904e-03, 9.527911e-02],
    ],
    "before": [
        [1.327165e-03, 4.899246e-03, 9.884936e-01, 9.979013e-01, 9.983015e-01],
        [4.170030e-04, 1.791933e-03, 8.759542e-01, 9.976991e-01, 9.982652e-01],
        [2.611182e-04, 5.203310e-04, 3.487268e-03, 9.490638e-01, 9.937263e-01],
        [2.687662e-04, 5.340184e-04, 1.720722e-03, 7.298357e-03, 3.142988e-01],
    ],
}


def _small_case() -> tuple[Tensor, Tensor]:
    """An image (3, 4, 5) in [0, 1] and probabilities (3, 4, 5)."""
    y, x = np.mgrid[:4, :5]
    image = np.stack([x * 40, y * 50, (x + y) % 2 * 90]).astype(np.float32) / 255
    scores = np.stack([x + 1, y + 2, np.full_like(x, 2)]).astype(np.float32)
    return torch.from_numpy(image), torch.from_numpy(scores / scores.sum(0))


def _kernels(seed: int, normalisation: Normalisation = "after") -> list[GaussianKernel]:
    """Two random kernels over 12 points, float64."""
    generator = torch.Generator().manual_seed(seed)
    return [
        GaussianKernel(torch.randn(d, 12, dtype=torch.float64, generator=generator), normalisation)
        for d in (2, 5)
    ]


@pytest.mark.parametrize("normalisation", ["symmetric", "after", "before"])
def test_agrees_with_pydensecrf(normalisation: Normalisation) -> None:
    image, probabilities = _small_case()
    kernels = image_kernels(image, KernelConfig(1.0, 3.0, 30.0, normalisation))
    result = MeanField([3.0, 4.0], iterations=5)(probabilities.log(), kernels)
    actual = torch.softmax(result.logits, 0)[0]
    torch.testing.assert_close(
        actual, torch.tensor(PYDENSECRF[normalisation]), atol=5e-6, rtol=1e-4
    )
    assert result.latent is None


def test_unnormalised_kernel_is_the_bare_filter() -> None:
    features = torch.randn(2, 9, dtype=torch.float64)
    values = torch.rand(9, 2, dtype=torch.float64)
    bare = GaussianKernel(features, "none")(values)
    after = GaussianKernel(features, "after")
    expected = after(values) * GaussianKernel(features, "none").of_ones
    torch.testing.assert_close(bare, expected)
    torch.testing.assert_close(after.of_ones, torch.ones(9, 1, dtype=torch.float64))


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_kernel_transpose(normalisation: Normalisation) -> None:
    x, y = torch.randn(2, 12, 3, dtype=torch.float64)
    for kernel in _kernels(5, normalisation):
        torch.testing.assert_close(
            (kernel(x) * y).sum(), (x * kernel(y, transpose=True)).sum(), rtol=1e-10, atol=1e-10
        )


@pytest.mark.parametrize("labels", [None, 3])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_gradcheck(labels: int | None, normalisation: Normalisation) -> None:
    layer = MeanField([0.3, 0.5], labels=labels, iterations=3).double()
    kernels = _kernels(6, normalisation)
    logits = torch.randn(3, 3, 4, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]

    def run(logits: Tensor, *parameters: Tensor) -> Tensor:
        values = dict(zip(names, parameters, strict=True))
        result: Tensor = torch.func.functional_call(layer, values, (logits, kernels)).logits
        return result

    inputs = (logits, *(p.detach().clone().requires_grad_() for p in layer.parameters()))
    assert torch.autograd.gradcheck(run, inputs)


def test_weights_of_each_label_start_as_the_scalar_ones() -> None:
    logits = torch.randn(4, 3, 4, dtype=torch.float64)
    kernels = _kernels(7)
    scalar = MeanField([2.0, 3.0], iterations=4).double()(logits, kernels).logits
    full = MeanField([2.0, 3.0], labels=4, iterations=4).double()(logits, kernels).logits
    torch.testing.assert_close(scalar, full)


def test_trained_weights_of_labels_and_their_compatibility() -> None:
    layer = MeanField([1.0, 1.0], labels=3, iterations=1).double()
    assert layer.compatibility is not None
    kernel_weights = torch.tensor([[0.2, 0.5, 0.9], [1.1, 0.3, 0.7]], dtype=torch.float64)
    compatibility = torch.arange(9, dtype=torch.float64).reshape(3, 3) / 10
    layer.kernel_weights.data.copy_(kernel_weights)
    layer.compatibility.data.copy_(compatibility)
    kernels, logits = _kernels(15), torch.randn(3, 3, 4, dtype=torch.float64)
    q = logits.softmax(0).reshape(3, 12)
    expected = logits.reshape(3, 12).clone()
    for pixel in range(12):
        for label in range(3):
            for other in range(3):
                message = sum(
                    weights[other] * kernel(q.T)[pixel, other]
                    for weights, kernel in zip(kernel_weights, kernels, strict=True)
                )
                expected[label, pixel] -= compatibility[label, other] * message
    torch.testing.assert_close(layer(logits, kernels).logits.reshape(3, 12), expected)


def test_no_iterations_is_the_identity() -> None:
    logits = torch.randn(4, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(MeanField([1.0, 1.0], iterations=0)(logits, _kernels(8))[0], logits)


def test_relabelling_commutes() -> None:
    logits = torch.randn(4, 3, 4, dtype=torch.float64)
    layer, kernels = MeanField([2.0, 1.0]).double(), _kernels(9)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(
        layer(logits[order], kernels).logits, layer(logits, kernels).logits[order]
    )


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_two_labels_are_two_of_three(normalisation: Normalisation) -> None:
    """Also where the kernel does not keep the constant one."""
    kernel = spatial_kernel(6, 7, 2.0, normalisation)
    logits = torch.randn(2, 6, 7, generator=torch.Generator().manual_seed(0))
    third = torch.full((1, 6, 7), -60.0)  # a label that is nowhere
    mean_field = MeanField([0.7], iterations=2)
    expected = mean_field(torch.cat([logits, third]), [kernel]).logits[:2]
    torch.testing.assert_close(mean_field(logits, [kernel]).logits, expected)


def test_one_label_is_a_result() -> None:
    result = MeanField([2.0, 1.0]).double()(torch.zeros(1, 3, 4).double(), _kernels(10))
    assert result.logits.shape == (1, 3, 4)


def test_spatial_kernel_is_cached_per_size() -> None:
    assert spatial_kernel(7, 9, 3.0) is spatial_kernel(7, 9, 3.0)
    assert spatial_kernel(7, 9, 3.0) is not spatial_kernel(9, 7, 3.0)
    double = torch.empty(0, dtype=torch.float64)
    assert spatial_kernel(7, 9, 3.0, like=double).of_ones.dtype == torch.float64


def test_kernel_cached_during_inference_serves_training() -> None:
    with torch.inference_mode():
        kernel = spatial_kernel(5, 13, 3.0)
    values = torch.rand(65, 2, requires_grad=True)
    torch.autograd.backward((kernel(values) + values * kernel.of_ones).sum())
    assert values.grad is not None


def test_kernel_axes_are_columns_then_rows() -> None:
    kernel = spatial_kernel(20, 30, 2.0, "none")
    impulse = torch.zeros(20, 30)
    impulse[4, 20] = 1
    response = kernel(impulse.reshape(-1, 1)).reshape(20, 30)
    assert divmod(int(response.argmax()), 30) == pytest.approx((4, 20), abs=1)


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (torch.zeros(3, 4), "shape"),
        (torch.zeros(2, 3, 5), "pixels"),
        (torch.full((2, 3, 4), float("nan")), "finite"),
    ],
)
def test_unusable_logits_are_refused(logits: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MeanField([1.0, 1.0])(logits, _kernels(11))


def test_mismatched_settings_are_refused() -> None:
    with pytest.raises(InputError, match="2 kernels, got 1"):
        MeanField([1.0, 1.0])(torch.zeros(2, 3, 4), _kernels(12)[:1])
    with pytest.raises(InputError, match="at least one"):
        MeanField([])
    with pytest.raises(InputError, match="colour_sigma"):
        KernelConfig(colour_sigma=0)
    with pytest.raises(InputError, match="one of symmetric"):
        GaussianKernel(torch.zeros(1, 2), "mean")  # type: ignore[arg-type]  # the wrong value
    with pytest.raises(InputError, match="floating-point image"):
        bilateral_kernel(torch.zeros(3, 4, 4, dtype=torch.uint8), 1, 1)


def _two_halves() -> tuple[Tensor, Tensor]:
    """A dark and a bright half (3, 30, 40), and the mask (1, 30, 40) of the bright one."""
    mask = torch.zeros(1, 30, 40)
    mask[:, :, 20:] = 1
    return 0.2 + 0.6 * mask.repeat(3, 1, 1), mask


def test_refiner_leaves_a_perfect_mask() -> None:
    image, mask = _two_halves()
    refined = DenseCrfRefiner()(image, mask)
    assert torch.equal(refined > 0.5, mask > 0.5)


def test_refiner_moves_a_shifted_edge_to_the_image_edge() -> None:
    image, mask = _two_halves()
    shifted = torch.roll(mask, 3, dims=2) * 0.6 + 0.2
    refined = DenseCrfRefiner()(image, shifted)
    wrong_before = int(((shifted > 0.5) != (mask > 0.5)).sum())
    wrong_after = int(((refined > 0.5) != (mask > 0.5)).sum())
    assert wrong_before == 180
    assert wrong_after < 20


def test_refiner_is_the_two_label_mean_field() -> None:
    image, mask = _two_halves()
    scores = (mask * 0.7 + 0.1 + 0.1 * torch.rand(1, 30, 40)).double()
    config = DenseCrfRefinerConfig(spatial_weight=0.5, bilateral_weight=1.5, iterations=3)
    logits = torch.cat([torch.zeros_like(scores), torch.logit(scores)])
    kernels = image_kernels(image.double(), config.kernels)
    expected = MeanField([0.5, 1.5], iterations=3).double()(logits, kernels).logits.softmax(0)[1:]
    torch.testing.assert_close(DenseCrfRefiner(config)(image.double(), scores), expected)


def test_refiner_treats_objects_alike() -> None:
    image, mask = _two_halves()
    scores = torch.cat([mask * 0.5 + 0.2, 1 - mask, torch.rand(1, 30, 40)])
    order = torch.tensor([1, 2, 0])
    refiner = DenseCrfRefiner()
    torch.testing.assert_close(refiner(image, scores[order]), refiner(image, scores)[order])
    refined = refiner(image, scores)
    assert refined.min() >= 0
    assert refined.max() <= 1
    assert refiner(image, scores[:0]).shape == (0, 30, 40)


def test_refiner_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="scores"):
        DenseCrfRefiner()(torch.zeros(3, 4, 4), torch.zeros(1, 5, 4))
    with pytest.raises(InputError, match="finite"):
        DenseCrfRefiner()(torch.zeros(3, 4, 4), torch.full((1, 4, 4), float("nan")))
    with pytest.raises(InputError, match="iterations"):
        DenseCrfRefinerConfig(iterations=-1)
