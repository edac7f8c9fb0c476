"""Objects whose masks are carried along the optical flow, with the network or without it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from vostrack.compute.optical_flow import gray_bytes
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.carried_frames import Steadiness, carry_masks
from vostrack.online_finetune.target.edited_objects import EditedObjects
from vostrack.online_finetune.target.finetune import OnProgress
from vostrack.online_finetune.target.flow_fusion import fuse_along_flow
from vostrack.online_finetune.target.frame_scores import own_scores
from vostrack.online_finetune.target.frame_steps import Drawn, Finding
from vostrack.online_finetune.target.memory import TargetModelConfig

__all__ = ["AlongFlow"]


class AlongFlow(EditedObjects):
    """The objects of a video, and what the optical flow says of them.

    Args:
        generic: the network; see ``EditedObjects``.
        config: how it is used.
        on_progress: told of every fine-tuning step.
    """

    def __init__(
        self,
        generic: TargetNet,
        config: TargetModelConfig | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> None:
        super().__init__(generic, config, on_progress=on_progress)
        self._skipped: frozenset[str] = frozenset()
        # Of the frame scored last, until it is committed.
        self._pending_frame: Tensor | None = None
        self._pending_steady = Steadiness()
        self._pending_drawn: Drawn | None = None
        self._carried = False

    def skip_stages(self, names: Collection[str]) -> None:
        """Leave out what is among ``names`` in the next frame."""
        self._skipped = frozenset(names)

    def carried(self) -> bool:
        """Tell whether the masks of the frame scored last only followed the flow."""
        return self._carried

    @property
    def _follows(self) -> bool:
        return self.config.flow_share > 0 and "flow" not in self._skipped

    def _carry(self, image: Tensor, lost: Sequence[bool]) -> Drawn | None:
        """Return the masks of a frame (3, h, w) without the network; None: it has to see it.

        Args:
            image: in [0, 1].
            lost: whether each object is.
        """
        self._pending_frame = gray_bytes(image) if self.config.flow_share else None
        self._pending_steady, drawn = Steadiness(), None
        sure = not (any(lost) or self._unsure or self._everywhere)
        if self.config.carry and self._follows and sure and self._now is not None:
            assert self._pending_frame is not None
            if self._frame is not None:
                frames, size = (self._pending_frame, self._frame), image.shape[1:]
                drawn = carry_masks(self._now, frames, size, self._steady, self.config)
        self._pending_drawn, self._carried = drawn, drawn is not None
        return drawn

    def _with_flow(self, found: Finding, lost: Sequence[bool]) -> Finding:
        """Mix in the masks of the previous frame; see ``fuse_along_flow``."""
        if self._pending_frame is None or self._frame is None or not self._follows:
            return found
        known = [not one and slot not in self._unsure for slot, one in enumerate(lost)]
        frames = self._pending_frame, self._frame
        found, agreement = fuse_along_flow(found, frames, known, self.config)
        self._pending_steady = Steadiness(*agreement)
        return found

    @torch.inference_mode()
    def _commit_carried(self, scores: Tensor, labels: Tensor) -> None:
        """Keep the masks of a carried frame; nothing is learned from it."""
        assert self._now is not None
        self._now = self._now.carry(own_scores(scores, labels))
        steady = self._steady
        self._steady = Steadiness(steady.apart, steady.trust, steady.carried + 1)
        self._frame, self._pending_drawn = self._pending_frame, None
