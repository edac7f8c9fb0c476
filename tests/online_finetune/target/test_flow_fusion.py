"""Masks that are carried along the optical flow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.online_finetune.target.small_adapter import CONFIG, follow, same, start
from vostrack.compute.optical_flow import find_flow, gray_bytes, warped
from vostrack.errors import InputError
from vostrack.models.target_decoder import NOWHERE
from vostrack.models.target_features import Segmentation
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.flow_fusion import fuse_along_flow
from vostrack.online_finetune.target.frame_steps import Finding
from vostrack.online_finetune.target.window import Window

HEIGHT, WIDTH = 96, 128
WINDOW = Window((0, 0, WIDTH, HEIGHT), (HEIGHT, WIDTH))


def frame(seed: int = 0, shift: tuple[int, int] = (0, 0)) -> Tensor:
    """Return smooth noise in gray bytes (h, w), moved down and right by ``shift``."""
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3, borderType=cv2.BORDER_REFLECT)
    gray = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]
    return torch.from_numpy(np.roll(gray, shift, (0, 1)))


def box(top: int, bottom: int, left: int, right: int) -> Tensor:
    mask = torch.zeros(1, 1, HEIGHT, WIDTH)
    mask[..., top:bottom, left:right] = 1
    return mask


def fused(logits: Tensor, before: Tensor, frames: tuple[Tensor, Tensor], **changes: Any) -> Tensor:
    found = Segmentation(logits, torch.zeros(len(logits)), torch.zeros(len(logits), 1, 6, 8))
    features: Any = None
    finding = Finding(features, WINDOW, before, found)
    known = changes.pop("known", [True] * len(logits))
    result, _ = fuse_along_flow(finding, frames, known, replace(CONFIG, **changes))
    assert result.before is before
    return result.segmentation.logits


def unsure() -> Tensor:
    """Return logits (1, 1, h2, w2) of a network that sees a little of an object everywhere."""
    return torch.full((1, 1, HEIGHT // 2, WIDTH // 2), -1.0)


def fused_everywhere(logits: Tensor, before: Tensor, frames: tuple[Tensor, Tensor]) -> Tensor:
    """The obvious version: all of the window, whether anything is there or not."""
    flow = find_flow(frames[0].numpy(), frames[1].numpy())
    moved = torch.from_numpy(warped(before[:, 0].numpy(), flow))[:, None]
    kept = F.avg_pool2d(moved.clamp(0.003, 0.997).logit(), 2)
    share = CONFIG.flow_share * F.avg_pool2d(torch.from_numpy(flow.trust)[None, None], 2)
    mixed = torch.lerp(logits.clamp(-8, 8), kept, share)
    nothing = (logits == NOWHERE) & (kept < -5.806)
    return torch.where((share < 1e-3) | nothing, logits, mixed)


@pytest.mark.parametrize("seen", [(0, 0, 0, 0), (6, 20, 40, 60), (30, 48, 0, 12)])
def test_only_a_box_is_mixed_and_nothing_is_missed(seen: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = seen
    logits = torch.full((2, 1, HEIGHT // 2, WIDTH // 2), NOWHERE)
    noise = torch.randn(bottom - top, right - left, generator=torch.Generator().manual_seed(1))
    logits[0, 0, top:bottom, left:right] = 6 * noise
    before = torch.cat([box(31, 60, 41, 80), 0.7 * box(0, 9, 100, 128)])
    frames = frame(shift=(3, 5)), frame()
    found, wanted = fused(logits, before, frames), fused_everywhere(logits, before, frames)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert torch.equal(found == NOWHERE, wanted == NOWHERE)
    assert (found[1] != NOWHERE).any()


def test_a_mask_moves_with_the_image() -> None:
    now, before = frame(shift=(4, 6)), frame()
    mask = fused(unsure(), box(30, 60, 40, 80), (now, before)) > 0
    wanted = box(34, 64, 46, 86)[..., ::2, ::2] > 0.5
    both, either = (mask & wanted).sum(), (mask | wanted).sum()
    assert both / either > 0.95


def test_the_network_decides_where_the_flow_cannot_be_trusted() -> None:
    mask = box(30, 60, 40, 80)
    elsewhere = fused(unsure(), mask, (frame(1), frame(2)))
    assert (elsewhere > 0).float().mean() < 0.02
    # A cut to something else leaves what the network says nearly as it is.
    assert (elsewhere - unsure()).abs().median() < 0.3


def test_the_network_has_the_rest_of_the_weight() -> None:
    same = frame(), frame()
    logits = unsure()
    logits[..., :8, :8] = 12.0
    share = fused(logits, box(30, 60, 40, 80), same, flow_share=0.5)
    lowest = float(torch.tensor(0.003).logit())
    torch.testing.assert_close(share[0, 0, 40, 60], torch.tensor(0.5 * lowest - 0.5))
    # Logits of the network are limited, so no single frame outweighs all before.
    torch.testing.assert_close(share[0, 0, 2, 2], torch.tensor(0.5 * lowest + 0.5 * 8))


def test_objects_that_were_not_in_sight_are_left_to_the_network() -> None:
    logits = unsure().expand(2, -1, -1, -1).clone()
    logits[:, :, :4, :4] = 12.0
    before = torch.cat([box(30, 60, 40, 80), box(10, 20, 90, 110)])
    result = fused(logits, before, (frame(), frame()), known=[True, False])
    assert (result[0] > 0).any()
    assert torch.equal(result[1], logits[1])
    assert fused(logits, before, (frame(), frame()), known=[False, False]) is logits


def test_frames_of_another_size_are_left_to_the_network() -> None:
    logits = unsure()
    assert fused(logits, box(30, 60, 40, 80), (frame(), frame()[:90])) is logits


def test_where_nobody_sees_anything_is_still_nowhere() -> None:
    logits = torch.full_like(unsure(), NOWHERE)
    logits[..., 20:30, 20:30] = 2.0
    result = fused(logits, box(40, 60, 40, 60), (frame(), frame()))
    assert (result[..., :15, :] == NOWHERE).all()
    assert (result[..., 21:29, 21:29] > 0).all()


def test_a_share_is_a_share() -> None:
    with pytest.raises(InputError, match="flow_share"):
        replace(CONFIG, flow_share=1.5)


def test_a_tracker_goes_on_from_a_saved_state_to_the_bit(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    adapter = start(target_network, images[0], labels)
    follow(adapter, images[1:3], labels)
    saved = adapter.state_dict(), adapter.running_state()
    expected = follow(adapter, images[3:5], labels)
    other = start(target_network, images[4], labels)
    other.load_state_dict(saved[0])
    other.load_running_state(saved[1])
    found = follow(other, images[3:5], labels)
    for one, two in zip(expected, found, strict=True):
        assert torch.equal(one, two)
    # The frame before counts: without it the masks are others.
    other.load_state_dict(saved[0])
    other.load_running_state({**saved[1], "frame": torch.zeros_like(saved[1]["frame"])})
    changed = follow(other, images[3:4], labels)
    assert not torch.equal(changed[0], expected[0])


def test_after_a_correction_the_given_masks_are_carried(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    wrong = labels.roll(20, 1)
    adapter = start(target_network, images[0], labels)
    follow(adapter, images[1:2], wrong)
    adapter.correct_objects(images[1], labels, [1, 2])
    (corrected,) = follow(adapter, images[1:2], labels)
    without = start(target_network, images[0], labels, flow_share=0.0)
    follow(without, images[1:2], wrong)
    without.correct_objects(images[1], labels, [1, 2])
    (plain,) = follow(without, images[1:2], labels)
    truth = torch.stack([(labels == k).float() for k in (1, 2)])
    assert (corrected - truth).abs().mean() < (plain - truth).abs().mean()


def test_masks_belong_to_the_frame_in_which_they_were_given(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    adapter = start(target_network, images[0], labels)
    adapter.correct_objects(images[4], labels, [1, 2])
    assert torch.equal(adapter.running_state()["frame"], gray_bytes(images[4]))
    adapter.seek_start()
    assert "frame" not in adapter.running_state()


def test_the_flow_can_be_left_out_of_single_frames(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    adapter = start(target_network, images[0], labels)
    without = start(target_network, images[0], labels, flow_share=0.0)
    assert (list(adapter.optional_stages()), without.optional_stages()) == (["flow"], {})
    adapter.skip_stages(["flow", "refiner"])
    assert same(follow(adapter, images[1:2], labels), follow(without, images[1:2], labels))
    # The next frame is compared with the one in between, and not with the one before it.
    assert torch.equal(adapter.running_state()["frame"], gray_bytes(images[1]))
    adapter.skip_stages([])
    assert not same(follow(adapter, images[2:3], labels), follow(without, images[2:3], labels))
