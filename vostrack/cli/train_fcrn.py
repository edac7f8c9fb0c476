"""``vostrack train fcrn``: the paper's two dilated ResNets, for classes and for boxes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vostrack.checks import demand_at_least, demand_finite, demand_positive
from vostrack.cli.train_command import MixedPrecisionTrainCommand

if TYPE_CHECKING:
    import torch

    from vostrack.datasets.labelled_images import LabelledImages
    from vostrack.models.fcrn import Fcrn
    from vostrack.proposers.hough_voting.recipe import FcrnRecipe
    from vostrack.training.loop import LoopConfig

__all__ = ["TrainFcrnCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainFcrnCommand(MixedPrecisionTrainCommand):
    """Train a fully convolutional residual network: class scores, or boxes for the voting.

    Example: vostrack train fcrn --layout voc --root VOC2012 --output runs/fcrn

    Ctrl-C is safe: the same command goes on from the last checkpoint. Several GPUs: torchrun
    --nproc-per-node 4 --no-python vostrack train fcrn ... The result is OUTPUT/fcrn.safetensors;
    that of --task localization goes to vostrack propose --method hough --hough-localizer.
    """

    root: Path
    """Folder of the data set."""

    layout: Literal["voc", "sbd", "cityscapes", "context", "davis"] = "voc"
    """How the data set is laid out; context has no instances."""

    task: Literal["semantic", "localization"] = "semantic"
    """What the network learns."""

    subset: Annotated[str, tyro.conf.arg(name="set")] = "train"
    """Which subset."""

    validate: str | None = None
    """Subset to score the classes on afterwards, such as val: pixel and mean accuracy, mean IoU."""

    depth: Literal[50, 101, 152] = 101
    """Layers of the ResNet."""

    output_stride: Literal[8, 16] = 8
    """Pixels per cell of the prediction."""

    kernel: int = 5
    """Side of the classifier's kernel (the paper: 3, 5, 7)."""

    dilation: int = 12
    """Of the classifier (the paper: 6, 12, 18)."""

    hidden: int = 0
    """Channels of a second classifier layer; 0 for a linear classifier."""

    dropout: tuple[float, float] = (0.0, 0.0)
    """In the residual branches of the last two stages."""

    weights: str = "imagenet"
    """Initial weights of the backbone: imagenet, none, or a file."""

    steps: int = 20000
    """Optimisation steps."""

    batch: int = 16
    """Crops per step and process."""

    crop: int = 500
    """Side of the square crops, pixels."""

    learning_rate: float = 1.6e-3
    """Of SGD at the start; it falls to 0 by the poly schedule."""

    power: float = 1.0
    """Of the poly schedule."""

    keep: int = 512
    """Bootstrapping: hardest pixels of a crop that are learnt from at least."""

    threshold: float = 0.0
    """Bootstrapping: pixels under this probability (overlap of boxes) are always learnt from."""

    size_exponent: float = 0.5
    """Localization: a pixel weighs (mean area / area of its box) to this power; 0: all the same."""

    workers: int = 2
    """Batches that are drawn ahead, each in its own thread."""

    def run(self) -> int:
        """Train to the end, and return 0."""
        from vostrack.datasets.labelled_images import open_labelled_images
        from vostrack.models.fcrn import FcrnConfig, build_fcrn, save_fcrn
        from vostrack.proposers.hough_voting.bootstrapping import Bootstrapping
        from vostrack.proposers.hough_voting.recipe import FcrnRecipe
        from vostrack.training.processes import is_first_process, training_device

        demand_at_least(self, {"batch": 1, "crop": self.output_stride, "workers": 0})
        demand_positive(self, "learning_rate")
        demand_finite(self, "learning_rate", "size_exponent")
        loop = self._loop()
        bootstrapping = Bootstrapping(self.keep, self.threshold)
        semantic = self.task == "semantic"
        config = FcrnConfig(
            self.depth, self.output_stride, self.kernel, self.dilation, self.hidden, self.dropout
        )
        pictures = open_labelled_images(self.layout, self.root, self.subset)
        judged = (
            open_labelled_images(self.layout, self.root, self.validate) if self.validate else None
        )
        outputs = pictures.classes if semantic else 4 * pictures.instance_classes
        options = FcrnRecipe(
            self.batch,
            self.crop,
            self.learning_rate,
            bootstrapping,
            self.size_exponent,
        )
        network = build_fcrn(config, outputs, self.weights, seed=self.seed)
        network = network.to(training_device(self.device))
        self._train(network, pictures, options, loop)
        if is_first_process():
            path = self.output / "fcrn.safetensors"
            save_fcrn(network, path)
            if not self.quiet:
                print(f"trained on {len(pictures)} pictures: {path}")
            if judged is not None and semantic:
                print(_score(network, judged))
        return 0

    def _loop(self) -> LoopConfig:
        return replace(
            self.loop(),
            optimizer="sgd",
            weight_decay=5e-4,
            schedule="poly",
            power=self.power,
            clip_norm=None,
            ahead=self.workers,
        )

    def _train(
        self, network: Fcrn, pictures: LabelledImages, options: FcrnRecipe, loop: LoopConfig
    ) -> None:
        from vostrack.proposers.hough_voting.recipe import LocalizationTraining, SemanticTraining
        from vostrack.training.loop import train

        recipe = SemanticTraining if self.task == "semantic" else LocalizationTraining
        settings = {
            "task": self.task,
            "layout": self.layout,
            "pictures": len(pictures),
            "batch": options.batch,
            "crop": options.crop,
            "learning_rate": options.learning_rate,
            "keep": self.keep,
            "threshold": self.threshold,
            "size_exponent": options.size_exponent,
        }
        with self.progress() as show:
            train(
                network,
                recipe(network, pictures, options),
                loop,
                self.output,
                settings=settings,
                on_step=show,
            )


def _score(network: Fcrn, pictures: LabelledImages) -> str:
    """Return the semantic scores on the pictures as a line of text."""
    import torch

    from vostrack.eval import ConfusionMatrix

    device = network.mean.device
    matrix = ConfusionMatrix(pictures.classes)
    with torch.inference_mode():
        for name in pictures.names:
            picture = pictures.load(name)
            labels = _segment(network, picture.image.to(device))
            matrix.update(labels.cpu().numpy(), picture.classes.numpy(), name=name)
    scores = matrix.compute()
    return (
        f"pixel accuracy {scores.pixel_accuracy:.4f}, mean accuracy {scores.mean_accuracy:.4f}, "
        f"mean IoU {scores.mean_iou:.4f} on {len(pictures)} pictures"
    )


def _segment(network: Fcrn, image: torch.Tensor) -> torch.Tensor:
    return network.segment(image[None].float() / 255)[0].argmax(dim=0)
