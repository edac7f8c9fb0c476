"""Detection potentials and eq. 4 against enumeration of all states of tiny graphs."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.proposers.detection_crf import (
    DetectionPotentialConfig,
    DetectionPotentials,
    identify_instances,
)
from vostrack.refine.dense_crf import GaussianKernel, MeanField

PIXELS, CLASSES = 4, 3
FOREGROUNDS = torch.tensor([[1, 1, 0, 1], [0, 1, 1, 0]], dtype=torch.bool).reshape(2, 2, 2)
SCORES = torch.tensor([0.8, 0.35], dtype=torch.float64)
LABELS = torch.tensor([2, 1])


def _energy(x: tuple[int, ...], y: int, detection: int, weight: float) -> float:
    """Eq. 2 of the paper for one detection."""
    members = [i for i in range(PIXELS) if FOREGROUNDS[detection].reshape(-1)[i]]
    label = int(LABELS[detection])
    wrong = [x[i] == label if y == 0 else x[i] != label for i in members]
    return weight * float(SCORES[detection]) / len(members) * sum(wrong)


def _potentials(config: DetectionPotentialConfig) -> DetectionPotentials:
    layer = DetectionPotentials(CLASSES, config).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(torch.tensor([1.0, 0.5, 1.7], dtype=torch.float64))
    return layer


def _expected_updates(q: Tensor, validity: Tensor, weights: list[float]) -> tuple[Tensor, Tensor]:
    """Mean-field updates, by enumerating every other variable: pixels (4, 3) and latents (2,)."""
    increments = torch.zeros(PIXELS, CLASSES, dtype=torch.float64)
    latent = torch.zeros(2, 2, dtype=torch.float64)
    for d in range(2):
        for x in itertools.product(range(CLASSES), repeat=PIXELS):
            chance = torch.stack([q[i, x[i]] for i in range(PIXELS)])
            for y in (0, 1):
                energy = _energy(x, y, d, weights[d])
                latent[d, y] -= chance.prod() * energy
                valid = validity[d] if y else 1 - validity[d]
                for i in range(PIXELS):
                    others = chance.prod() / chance[i]
                    increments[i, x[i]] -= others * valid * energy
    return increments, latent[:, 1] - latent[:, 0]


def _state() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    q = torch.rand(PIXELS, CLASSES, dtype=torch.float64, generator=generator)
    return q / q.sum(1, keepdim=True), torch.tensor([0.9, -0.4], dtype=torch.float64)


def test_updates_agree_with_enumeration_of_equation_2() -> None:
    config = DetectionPotentialConfig("equation", pixel_weight=2.0, neutral_score=0.3)
    bound = _potentials(config).bind(FOREGROUNDS, SCORES, LABELS)
    q, latent = _state()
    increment, updated = bound.messages(q, latent)
    weights = [2.0 * 1.7, 2.0 * 0.5]
    expected_increment, expected_update = _expected_updates(q, latent.sigmoid(), weights)
    # Logits are the same up to a constant for each pixel.
    torch.testing.assert_close(
        torch.softmax(increment, 1), torch.softmax(expected_increment, 1), atol=1e-14, rtol=0
    )
    torch.testing.assert_close(updated - bound.start(), expected_update, atol=1e-14, rtol=0)


def test_inference_updates_pixels_and_latents_at_once() -> None:
    config = DetectionPotentialConfig("equation", pixel_weight=2.0, neutral_score=0.3)
    bound = _potentials(config).bind(FOREGROUNDS, SCORES, LABELS)
    generator = torch.Generator().manual_seed(4)
    unary = torch.randn(PIXELS, CLASSES, dtype=torch.float64, generator=generator)
    kernel = GaussianKernel(torch.randn(2, PIXELS, dtype=torch.float64, generator=generator))
    state, latent = unary, bound.start()
    for _ in range(3):
        q = torch.softmax(state, 1)
        increment, update = _expected_updates(q, latent.sigmoid(), [2.0 * 1.7, 2.0 * 0.5])
        state, latent = unary + 0.75 * kernel(q) + increment, bound.start() + update
    crf = MeanField([0.75], iterations=3).double()
    result = crf(unary.T.reshape(CLASSES, 2, 2), [kernel], bound)
    actual = torch.softmax(result.logits, 0).reshape(CLASSES, PIXELS).T
    torch.testing.assert_close(actual, torch.softmax(state, 1), atol=1e-12, rtol=0)
    torch.testing.assert_close(result.latent, latent, atol=1e-12, rtol=0)


def test_per_pixel_convention_scales_the_pull_on_pixels_by_the_foreground() -> None:
    q, latent = _state()
    exact = _potentials(DetectionPotentialConfig("equation", 2.0))
    scaled = _potentials(DetectionPotentialConfig("per_pixel", 2.0, 2.0))
    sizes = FOREGROUNDS.reshape(2, -1).sum(1)
    for d in range(2):
        one = slice(d, d + 1)
        arguments = (FOREGROUNDS[one], SCORES[one], LABELS[one])
        a, ya = exact.bind(*arguments).messages(q, latent[one])
        b, yb = scaled.bind(*arguments).messages(q, latent[one])
        torch.testing.assert_close(a * sizes[d], b)
        torch.testing.assert_close(ya, yb)


def test_released_convention_starts_from_probabilities() -> None:
    bound = _potentials(DetectionPotentialConfig("released")).bind(FOREGROUNDS, SCORES, LABELS)
    torch.testing.assert_close(bound.start(), 2 * SCORES - 1)
    certain = torch.ones(1, dtype=torch.float64)
    start = _potentials(DetectionPotentialConfig("released")).bind(
        FOREGROUNDS[:1], certain, LABELS[:1]
    )
    assert float(start.start().sigmoid()) == pytest.approx(0.7311, abs=1e-4)


def test_released_convention_sends_no_gradient_through_the_latent_variables() -> None:
    for convention, expected in (("released", False), ("per_pixel", True)):
        config = DetectionPotentialConfig(convention)  # type: ignore[arg-type]  # from a tuple
        bound = _potentials(config).bind(FOREGROUNDS, SCORES, LABELS)
        q, latent = _state()
        latent.requires_grad_()
        increment, _ = bound.messages(q, latent)
        gradient = torch.autograd.grad(increment.sum(), latent, allow_unused=True)[0]
        assert (gradient is not None and bool(gradient.any())) is expected


def test_detection_without_foreground_keeps_its_score() -> None:
    foregrounds = torch.zeros(1, 2, 2, dtype=torch.bool)
    config = DetectionPotentialConfig(neutral_score=0.5)
    bound = _potentials(config).bind(foregrounds, SCORES[:1], LABELS[:1])
    increment, latent = bound.messages(*_state()[:1], torch.zeros(1, dtype=torch.float64))
    assert not increment.any()
    torch.testing.assert_close(latent.sigmoid(), SCORES[:1])


def test_neutral_score_is_even_odds() -> None:
    config = DetectionPotentialConfig(neutral_score=0.35)
    start = _potentials(config).bind(FOREGROUNDS, SCORES, LABELS).start()
    assert float(start[1]) == pytest.approx(0, abs=1e-9)
    assert float(start[0]) > 0


@pytest.mark.parametrize("convention", ["equation", "per_pixel"])
def test_gradcheck_through_mean_field_and_potentials(convention: str) -> None:
    config = DetectionPotentialConfig(convention, 1.5, 1.2)  # type: ignore[arg-type]  # parametrised
    layer = _potentials(config)
    crf = MeanField([0.4], labels=CLASSES, iterations=3).double()
    generator = torch.Generator().manual_seed(2)
    kernel = GaussianKernel(torch.randn(3, PIXELS, dtype=torch.float64, generator=generator))
    logits = torch.randn(CLASSES, 2, 2, dtype=torch.float64, requires_grad=True)
    scores = SCORES.clone().requires_grad_()
    names = [name for name, _ in layer.named_parameters()]

    def run(logits: Tensor, scores: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        for name, value in zip(names, parameters, strict=True):
            delattr(layer, name)
            setattr(layer, name, value)
        result = crf(logits, [kernel], layer.bind(FOREGROUNDS, scores, LABELS))
        return result.logits, result.latent

    values = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    assert torch.autograd.gradcheck(run, (logits, scores, *values))


def test_agreement_raises_and_contradiction_lowers_a_detection() -> None:
    bound = _potentials(DetectionPotentialConfig()).bind(FOREGROUNDS, SCORES, LABELS)
    agree = torch.zeros(PIXELS, CLASSES, dtype=torch.float64)
    agree[:, 2] = 1
    _, latent = bound.messages(agree, bound.start())
    assert latent[0] > bound.start()[0]
    assert latent[1] < bound.start()[1]


def test_labels_without_weights_are_refused() -> None:
    layer = _potentials(DetectionPotentialConfig())
    with pytest.raises(InputError, match=r"labels in 1\.\.2"):
        layer.bind(FOREGROUNDS, SCORES, torch.tensor([1, 3]))
    with pytest.raises(InputError, match=r"labels in 1\.\.2"):
        layer.bind(FOREGROUNDS, SCORES, torch.tensor([0, 1]))
    with pytest.raises(InputError, match="foregrounds"):
        layer.bind(FOREGROUNDS[:1], SCORES, LABELS)
    with pytest.raises(InputError, match="neutral_score"):
        DetectionPotentialConfig(neutral_score=0)
    with pytest.raises(InputError, match="convention"):
        DetectionPotentialConfig("theirs")  # type: ignore[arg-type]  # the wrong value


def _instances() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Q (3, 1, 4); three boxes: two of class 1 overlap, one of class 2 overlaps both."""
    q = torch.tensor([[0.2, 0.1, 0.3, 1.0], [0.5, 0.6, 0.3, 0.0], [0.3, 0.3, 0.4, 0.0]])
    covered = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]], dtype=torch.bool)
    return q[:, None].double(), covered[:, None], torch.tensor([0.9, 0.6, 0.3]), LABELS_3


LABELS_3 = torch.tensor([1, 1, 2])


def test_equation_4_by_hand() -> None:
    q, covered, validity, labels = _instances()
    actual = identify_instances(q, covered, validity, labels, "class")[:, 0].T
    rows = [
        [0.9 * 0.2, 0.9 * 0.5, 0, 0],
        [0.9 * 0.1, 0.9 * 0.6, 0.6 * 0.6, 0.3 * 0.3],
        [0.6 * 0.3, 0, 0.6 * 0.3, 0.3 * 0.4],
        [1, 0, 0, 0],
    ]
    expected = torch.tensor(rows, dtype=torch.float64)
    expected = expected / expected.sum(1, keepdim=True)
    torch.testing.assert_close(actual, expected, atol=1e-7, rtol=0)


def test_unexplained_background_is_what_no_covering_box_has() -> None:
    q, covered, validity, labels = _instances()
    actual = identify_instances(q, covered, validity, labels, "unexplained")[:, 0].T
    first = torch.tensor([0.5, 0.5, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(actual[0], first, atol=1e-7, rtol=0)
    second = torch.tensor([0.9 * 0.1, 0.9 * 0.6, 0.6 * 0.6, 0.3 * 0.3], dtype=torch.float64)
    torch.testing.assert_close(actual[1], second / second.sum(), atol=1e-7, rtol=0)


@pytest.mark.parametrize("background", ["class", "unexplained"])
def test_rows_sum_to_one_in_any_order(background: str) -> None:
    generator = torch.Generator().manual_seed(3)
    q = torch.rand(5, 6, 7, generator=generator).softmax(0)
    covered = torch.rand(9, 6, 7, generator=generator) > 0.6
    validity = torch.rand(9, generator=generator)
    labels = torch.randint(1, 5, (9,), generator=generator)
    rule = (background,)
    unary = identify_instances(q, covered, validity, labels, *rule)  # type: ignore[arg-type]  # parametrised
    assert unary.shape == (10, 6, 7)
    assert unary.min() > 0
    torch.testing.assert_close(unary.sum(0), torch.ones(6, 7))
    order = torch.randperm(9, generator=generator)
    again = identify_instances(q, covered[order], validity[order], labels[order], *rule)  # type: ignore[arg-type]  # parametrised
    torch.testing.assert_close(again[1:], unary[1:][order])
    torch.testing.assert_close(again[0], unary[0])


def test_a_single_box_s_validity_cancels() -> None:
    q, covered, _, labels = _instances()
    weak, strong = (
        identify_instances(q, covered[:1], torch.tensor([v]), labels[:1]) for v in (0.1, 0.9)
    )
    torch.testing.assert_close(weak, strong, atol=1e-6, rtol=0)


def test_no_detection_is_all_background() -> None:
    q, covered, validity, labels = _instances()
    unary = identify_instances(q, covered[:0], validity[:0], labels[:0])
    assert torch.equal(unary, torch.ones_like(q[:1]))
