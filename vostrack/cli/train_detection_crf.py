"""``vostrack train detection-crf``: a semantic network and the two CRFs on it, end to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from vostrack.cli.train_command import (
    Batch,
    LearningRate,
    MixedPrecisionTrainCommand,
    Steps,
    Subset,
    TrainCommand,
)
from vostrack.errors import InputError
from vostrack.wording import counted

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TrainDetectionCrfCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainDetectionCrfCommand(MixedPrecisionTrainCommand):
    """Train the proposer detection-crf on images with instance masks, VOC or SBD layout.

    Example: vostrack train detection-crf --root VOC2012 --output runs/crf
    --semantic deeplabv3_resnet50 --detections boxes.json

    After Ctrl-C, the same command continues from the last checkpoint. The results are for vostrack
    propose: OUTPUT/semantic.safetensors for --semantic-weights, OUTPUT/crf.safetensors for
    --detection-crf-weights. Start it with torchrun to use several GPUs.
    """

    results: ClassVar[tuple[str, ...]] = ("semantic.safetensors", "crf.safetensors")
    renamed: ClassVar[Mapping[str, str]] = {
        **TrainCommand.renamed,
        "--subset": "--set",
        "--potential-rate": "--potential-learning-rate",
    }

    root: Path
    """VOC folder (JPEGImages, SegmentationClass, SegmentationObject, ImageSets/Segmentation) or
    SBD's (img, cls, inst, train.txt)."""

    semantic: str = "fcn8s_vgg16"
    """Semantic network to start from: fcn8s_vgg16 (the paper's; from a VGG-16 trained on ImageNet),
    deeplab_mobilenetv2, or one of torchvision's; see vostrack propose --help."""

    semantic_weights: Path | None = None
    """State dict of the semantic network; torchvision's own by default."""

    subset: Subset = "train"

    detections: Path | None = None
    """JSON of a detector's boxes on the training images, as for vostrack propose; by default boxes
    are drawn around the true objects."""

    steps: Steps = 20000

    batch: Batch = 1

    max_side: int = 500
    """Longer images are scaled to this length of their longer side, pixels."""

    learning_rate: LearningRate = 1e-5

    potential_learning_rate: float = 1e-2
    """Peak learning rate of the detection potentials' weights; all other weights have that of
    --learning-rate."""

    instance_weight: float = 1.0
    """Factor of the instance loss; 0 trains only the classes."""

    freeze_semantic: bool = False
    """Train only the CRFs."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the semantic network's forward pass; the CRFs run in float32."""

    def execute(self) -> None:
        """Train to the end, and write the networks."""
        from vostrack.datasets.fingerprint import files_fingerprint
        from vostrack.datasets.voc import open_voc
        from vostrack.models.weights_file import write_weights
        from vostrack.proposers.detection_crf.network import DetectionCrf
        from vostrack.proposers.detection_crf.recipe import (
            DetectionCrfRecipe,
            DetectionCrfTraining,
            JointNetwork,
        )
        from vostrack.proposers.detections import read_detections
        from vostrack.proposers.semantic import weights_of
        from vostrack.training.processes import training_device

        loop = self.loop(
            schedule="poly", weight_decay=5e-4, checkpoint_every=min(500, self.steps), ahead=2
        )
        recipe = DetectionCrfRecipe(
            batch=self.batch,
            max_side=self.max_side,
            learning_rate=self.learning_rate,
            potential_learning_rate=self.potential_learning_rate,
            instance_weight=self.instance_weight,
        )
        images = open_voc(self.root, self.subset)
        table = None if self.detections is None else read_detections(self.detections)
        network = JointNetwork(self._semantic(), DetectionCrf(21))
        network.to(training_device(self.device))
        training = DetectionCrfTraining(network, images, table, recipe)
        read = files_fingerprint(file for image in images for file in image.named_files())
        settings = self.agreed(loop, {"semantic": self.semantic, **asdict(recipe)}, {"root": read})
        if self.train(network, training, loop, settings):
            for name, part in zip(self.results, (network.semantic, network.crf), strict=True):
                write_weights(weights_of(part), self.output / name)
            shown = counted(len(images), "image")
            self.report(f"trained on {shown}: {self.output / self.results[0]}")

    def _semantic(self) -> nn.Module:
        from vostrack.models.fcn8s import fcn8s_from_vgg16
        from vostrack.proposers.semantic import build_semantic

        if self.freeze_semantic and self.semantic_weights is None:
            raise InputError(
                "--freeze-semantic: this would keep an untrained network; give --semantic-weights"
            )
        network: nn.Module
        if self.semantic == "fcn8s_vgg16" and self.semantic_weights is None:
            network = fcn8s_from_vgg16()
        else:
            network = build_semantic(self.semantic, self.semantic_weights)
        return network.requires_grad_(not self.freeze_semantic)
