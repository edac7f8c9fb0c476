"""``vostrack track``: one video and its first mask in, the masks of every frame out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vostrack.build import TrackerOptions

__all__ = ["TrackCommand"]


@dataclass(frozen=True)
class TrackCommand:
    """Track the objects of a video from the masks of one frame.

    Example: vostrack track --video clip.mp4 --first-mask mask.png --output out

    The output folder receives masks/00000.png ... (palette PNG, object ids, as DAVIS has them),
    overlay.mp4, masks.json (COCO run-length encoding) and run.json (settings, versions, seconds per
    stage, presence of each object). Ctrl-C keeps the finished frames; the same command with
    --resume goes on.
    """

    video: str
    """Video file, folder of images, pattern such as "frames/*.png", camera index, or address."""

    first_mask: tuple[str, ...]
    """The objects to track: a palette PNG, a gray PNG of ids, a black and white or colour-coded
    image, COCO RLE JSON, a folder, or several files with one object each."""

    output: Path = Path("out")
    """Folder for the results."""

    preset: str = "balanced"
    """fast: target models, no fine-tuning. balanced: with some seconds of fine-tuning. best: with
    more steps, each frame seen mirrored too. finetune: a small network fitted to each object, a
    minute or two on a CPU. paper: ResNet-101 and the whole schedule of Cheng et al. 2017, hours on
    a GPU. The last two come with the rows of the paper's ablation: NAME-no-craf,
    NAME-no-craf-no-ft (foreground model not fine-tuned), NAME-per-video."""

    device: str = "auto"
    """auto (CUDA where there is one), cpu, cuda or cuda:N."""

    weights: str = "auto"
    """Initial weights: auto (the preset's), shipped (the trained network of the package), imagenet
    (torchvision's, downloaded once), none (random), or a .safetensors, .pt or .pth file. With
    weights that hold no target network fast, balanced and best become finetune."""

    reader: Literal["auto", "pyav", "decord", "opencv"] = "auto"
    """What decodes a video file; auto is PyAV, and OpenCV for cameras."""

    start: int = 0
    """Number of the first frame."""

    end: int | None = None
    """Number after the last frame."""

    stride: int = 1
    """Take every so many frames."""

    first_mask_frame: int | None = None
    """Number of the frame that the mask belongs to, the first by default. The video is then tracked
    both ways from it."""

    max_objects: int = 32
    """Refuse a mask with more objects: it is probably smoothed."""

    min_pixels: int = 64
    """Warn of an object with fewer pixels."""

    max_size: int | None = None
    """Longest side to work on, pixels (0: no limit). The masks have the video's own size."""

    foreground_steps: int | None = None
    """Fine-tuning steps of the foreground model (finetune, paper)."""

    object_steps: int | None = None
    """Fine-tuning steps of the object models: more is slower, and better up to a point."""

    per_video: Literal["preset", "on", "off"] = "preset"
    """on: one model for all objects of the video. off: one model per object (finetune, paper)."""

    craf: Literal["preset", "on", "off"] = "preset"
    """The filter that keeps one connected region per object, consistent with the frame before."""

    adapt: Literal["preset", "on", "off"] = "preset"
    """Whether target models go on learning from confident parts of later frames (fast, balanced,
    best)."""

    gate: Literal["preset", "before", "after", "none"] = "preset"
    """Where scores outside the foreground are made zero (finetune, paper)."""

    sharpen: Literal["preset", "on", "off"] = "preset"
    """Whether unsure pixels are decided by the colours around them: on in fast, balanced, best."""

    spn: str | None = None
    """Weights of a spatial propagation network to sharpen with instead: shipped, or a file of train
    spn. On in finetune, where none leaves it out."""

    dense_crf: bool = False
    """Sharpen with a dense CRF over all pixels instead: much slower."""

    proposer: str | None = None
    """Instance proposer that helps the filter to find lost objects: components, detection-crf,
    displacement or hough."""

    hough_localizer: str | None = None
    """With --proposer hough: what predicts the boxes: shipped (the default) goes by the shapes of
    the masks, none takes connected components; or a file that train mask-localizer or train
    localizer wrote. A head on the tracker's own backbone costs no pass of its own."""

    seed: int = 0
    """Seed of the augmentations. The same seed gives the same masks."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bfloat16 where the hardware has it."""

    threads: int | None = None
    """CPU threads; torch's choice by default."""

    overlay: bool = True
    """Write overlay.mp4."""

    save_scores: bool = False
    """Write the soft score of every object and frame: scores/ID/00000.png, 8-bit gray."""

    save_mattes: bool = False
    """Write alpha mattes for compositing: mattes/ID/00000.png, white on black, soft edges."""

    overwrite: bool = False
    """Replace the results in the output folder."""

    resume: bool = False
    """Continue an interrupted run in the output folder."""

    verbose: bool = False
    """Log more."""

    quiet: bool = False
    """No progress bars, no summary; errors only."""

    def run(self) -> int:
        """Track, and return the exit status: 0, or 1 where the video broke off early."""
        import torch

        from vostrack.cli.progress import ClipProgress
        from vostrack.errors import InputError
        from vostrack.runs.clip import ClipRequest, track_clip
        from vostrack.runs.folder import Extras

        if self.threads is not None:
            if self.threads < 1:
                raise InputError(f"threads: expected at least 1, got {self.threads}")
            torch.set_num_threads(self.threads)
        request = ClipRequest(
            video=self.video,
            first_mask=self.first_mask,
            output=self.output,
            preset=self.preset,
            device=self.device,
            weights=self.weights,
            options=self._options(),
            reader=self.reader,
            start=self.start,
            end=self.end,
            stride=self.stride,
            first_mask_frame=self.first_mask_frame,
            max_objects=self.max_objects,
            min_pixels=self.min_pixels,
            overlay=self.overlay,
            extras=Extras(self.save_scores, self.save_mattes),
            overwrite=self.overwrite,
            resume=self.resume,
        )
        with ClipProgress(enabled=not self.quiet) as progress:
            summary = track_clip(request, progress)
        if not self.quiet:
            many = "objects" if len(summary.ids) > 1 else "object"
            print(
                f"{summary.frames} frames, {len(summary.ids)} {many}: fine-tuning "
                f"{summary.finetune_seconds:.1f} s, {summary.frame_seconds:.2f} s per frame"
            )
            print(f"results in {summary.output}: {_listing(self)}")
        return 1 if summary.truncated else 0

    def _options(self) -> TrackerOptions:
        from vostrack.build import TrackerOptions

        switch = {"preset": None, "on": True, "off": False}
        return TrackerOptions(
            max_size=self.max_size,
            foreground_steps=self.foreground_steps,
            object_steps=self.object_steps,
            per_video=switch[self.per_video],
            craf=switch[self.craf],
            adapt=switch[self.adapt],
            gate=None if self.gate == "preset" else self.gate,
            sharpen=switch[self.sharpen],
            spn=self.spn,
            dense_crf=self.dense_crf,
            proposer=self.proposer,
            hough_localizer=self.hough_localizer,
            seed=self.seed,
            precision=self.precision,
        )


def _listing(command: TrackCommand) -> str:
    names = ["masks/"]
    names += ["scores/"] if command.save_scores else []
    names += ["mattes/"] if command.save_mattes else []
    names += ["overlay.mp4"] if command.overlay else []
    return ", ".join([*names, "masks.json", "run.json"])
