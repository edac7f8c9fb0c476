"""``vostrack train fcrn``: the paper's two dilated ResNets, for classes and for boxes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from vostrack.checks import check_at_least
from vostrack.cli.train_command import (
    Ahead,
    Batch,
    LearningRate,
    MixedPrecisionTrainCommand,
    Side,
    Steps,
    Subset,
    TrainCommand,
)
from vostrack.errors import InputError
from vostrack.wording import counted

if TYPE_CHECKING:
    import torch

    from vostrack.datasets.labelled_images import LabelledImages
    from vostrack.models.fcrn import Fcrn
    from vostrack.proposers.hough_voting.fcrn_recipe import FcrnRecipe

__all__ = ["TrainFcrnCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainFcrnCommand(MixedPrecisionTrainCommand):
    """Train a fully convolutional residual network (FCRN): class scores, or boxes for the voting.

    Example: vostrack train fcrn --layout voc --root VOC2012 --output runs/fcrn

    After Ctrl-C, the same command continues from the last checkpoint. Several GPUs: torchrun
    --nproc-per-node 4 --no-python vostrack train fcrn ... The result is OUTPUT/fcrn.safetensors;
    with --task localization it is for vostrack propose --method hough --hough-localizer, else for
    vostrack propose --semantic.
    """

    results: ClassVar[tuple[str, ...]] = ("fcrn.safetensors",)
    free: ClassVar[frozenset[str]] = TrainCommand.free | {"validate"}

    root: Path
    """Folder of the data set."""

    layout: Literal["voc", "sbd", "cityscapes", "context", "davis"] = "voc"
    """How the data set is laid out; context has no instances."""

    task: Literal["semantic", "localization"] = "semantic"
    """What the network learns."""

    subset: Subset = "train"

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

    steps: Steps = 20000

    batch: Batch = 16

    side: Side = 500

    learning_rate: LearningRate = 1.6e-3

    power: float = 1.0
    """Exponent of the poly schedule of the learning rate."""

    keep: int = 512
    """Bootstrapping: at least this many of the hardest pixels of a crop count in the loss."""

    threshold: float = 0.0
    """Bootstrapping: pixels under this probability (overlap of boxes) always count in the loss."""

    size_exponent: float = 0.5
    """Localization: a pixel weighs (mean area / area of its box) to this power; 0: no weights."""

    ahead: Ahead = 2

    def execute(self) -> None:
        """Train to the end, write the network, and print its scores where asked for."""
        from vostrack.datasets.fingerprint import files_fingerprint
        from vostrack.datasets.labelled_images import open_labelled_images
        from vostrack.models.fcrn import FcrnConfig, build_fcrn, save_fcrn
        from vostrack.proposers.hough_voting.fcrn_recipe import (
            LocalizationTraining,
            SemanticTraining,
        )
        from vostrack.training.processes import training_device

        if self.validate and self.task == "localization":
            raise InputError(
                "validate: scores classes, and the task localization learns boxes; leave "
                "`validate` out, and score proposals with vostrack score-proposals"
            )
        recipe = self._recipe()
        loop = self.loop(
            optimizer="sgd",
            weight_decay=5e-4,
            schedule="poly",
            power=self.power,
            clip_norm=None,
            ahead=self.ahead,
        )
        semantic = self.task == "semantic"
        config = FcrnConfig(
            self.depth, self.output_stride, self.kernel, self.dilation, self.hidden, self.dropout
        )
        images = open_labelled_images(self.layout, self.root, self.subset)
        judged = None
        if self.validate:
            judged = open_labelled_images(self.layout, self.root, self.validate)
        outputs = images.classes if semantic else 4 * images.instance_classes
        network = build_fcrn(config, outputs, self.weights, seed=self.seed)
        network = network.to(training_device(self.device))
        kind = SemanticTraining if semantic else LocalizationTraining
        settings = {
            "task": self.task,
            "layout": self.layout,
            "images": len(images),
            **asdict(recipe),
        }
        settings = self.agreed(loop, settings, {"root": files_fingerprint(images.files)})
        if self.train(network, kind(network, images, recipe), loop, settings):
            path = self.output / self.results[0]
            save_fcrn(network, path)
            self.report(f"trained on {counted(len(images), 'image')}: {path}")
            if judged is not None:
                print(_score(network, judged))

    def _recipe(self) -> FcrnRecipe:
        from vostrack.proposers.hough_voting.bootstrapping import Bootstrapping
        from vostrack.proposers.hough_voting.fcrn_recipe import FcrnRecipe

        check_at_least(self, {"side": self.output_stride})
        return FcrnRecipe(
            batch=self.batch,
            side=self.side,
            learning_rate=self.learning_rate,
            bootstrapping=Bootstrapping(self.keep, self.threshold),
            size_exponent=self.size_exponent,
        )


def _score(network: Fcrn, images: LabelledImages) -> str:
    """Return the semantic scores on the images as a line of text."""
    import torch

    from vostrack.eval import ConfusionMatrix

    device = network.mean.device
    matrix = ConfusionMatrix(images.classes)
    with torch.inference_mode():
        for name in images.names:
            judged = images.load(name)
            labels = _segment(network, judged.image.to(device))
            matrix.update(labels.cpu().numpy(), judged.classes.numpy(), name=name)
    scores = matrix.compute()
    return (
        f"pixel accuracy {scores.pixel_accuracy:.4f}, mean accuracy {scores.mean_accuracy:.4f}, "
        f"mean IoU {scores.mean_iou:.4f} on {counted(len(images), 'image')}"
    )


def _segment(network: Fcrn, image: torch.Tensor) -> torch.Tensor:
    return network.segment(image[None].float() / 255)[0].argmax(dim=0)
