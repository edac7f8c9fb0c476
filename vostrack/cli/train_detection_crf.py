"""``vostrack train detection-crf``: a semantic network and the two CRFs on it, end to end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vostrack.cli.train_command import MixedPrecisionTrainCommand
from vostrack.errors import InputError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TrainDetectionCrfCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainDetectionCrfCommand(MixedPrecisionTrainCommand):
    """Train the proposer detection-crf on images with instance masks, VOC or SBD layout.

    Example: vostrack train detection-crf --root VOC2012 --output runs/crf
    --semantic deeplabv3_resnet50 --detections boxes.json

    Ctrl-C is safe: the same command goes on from the last checkpoint. The results go to vostrack
    propose: semantic.safetensors to --semantic-weights, crf.safetensors to
    --detection-crf-weights. Start it with torchrun to use several GPUs.
    """

    root: Path
    """VOC folder (JPEGImages, SegmentationClass, SegmentationObject, ImageSets/Segmentation) or
    SBD's (img, cls, inst, train.txt)."""

    output: Path
    """Folder for the checkpoint, the log and the networks."""

    semantic: str = "fcn8s_vgg16"
    """Semantic network to start from: fcn8s_vgg16 (the paper's; from a VGG-16 trained on ImageNet),
    deeplab_mobilenetv2, or one of torchvision's; see vostrack propose --help."""

    semantic_weights: Path | None = None
    """Its state dict; torchvision's own by default."""

    subset: str = "train"
    """Which list of images."""

    detections: Path | None = None
    """JSON of a detector's boxes on the training images, as for vostrack propose; by default boxes
    are drawn around the true objects."""

    steps: int = 20000
    """Optimisation steps."""

    batch: int = 1
    """Images per step and process."""

    max_side: int = 500
    """Longer images are scaled to this length of their longer side, pixels."""

    rate: float = 1e-5
    """Learning rate of the semantic network and of the kernels' weights."""

    potential_rate: float = 1e-2
    """Learning rate of the detection potentials' weights."""

    instance_weight: float = 1.0
    """Factor of the instance loss; 0 trains the classes alone."""

    freeze_semantic: bool = False
    """Train the CRFs alone."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the semantic network's forward pass; the CRFs run in float32."""

    def run(self) -> int:
        """Train to the end, and return 0."""
        from vostrack.datasets.voc import open_voc
        from vostrack.proposers.detection_crf.network import DetectionCrf
        from vostrack.proposers.detection_crf.recipe import (
            DetectionCrfRecipe,
            DetectionCrfTraining,
            JointNetwork,
        )
        from vostrack.proposers.detections import read_detections
        from vostrack.training.loop import train
        from vostrack.training.processes import is_first_process, training_device

        loop = replace(
            self.loop(),
            schedule="poly",
            weight_decay=5e-4,
            checkpoint_every=min(500, self.steps),
            ahead=2,
        )
        config = DetectionCrfRecipe(
            batch=self.batch,
            max_side=self.max_side,
            rate=self.rate,
            potential_rate=self.potential_rate,
            instance_weight=self.instance_weight,
        )
        images = open_voc(self.root, self.subset)
        table = None if self.detections is None else read_detections(self.detections)
        network = JointNetwork(self._semantic(), DetectionCrf(21))
        network.to(training_device(self.device))
        recipe = DetectionCrfTraining(network, images, table, config)
        with self.progress() as show:
            settings = {"semantic": self.semantic, "recipe": repr(config)}
            train(network, recipe, loop, self.output, settings=settings, on_step=show)
        if is_first_process():
            self._write("semantic", network.semantic)
            self._write("crf", network.crf)
            if not self.quiet:
                print(f"trained on {len(images)} images: {self.output / 'semantic.safetensors'}")
        return 0

    def _semantic(self) -> nn.Module:
        from vostrack.models.fcn8s import fcn8s_from_vgg16
        from vostrack.proposers.semantic import build_semantic

        if self.freeze_semantic and self.semantic_weights is None:
            raise InputError(
                "--freeze-semantic: an untrained network would stay untrained; give "
                "--semantic-weights"
            )
        network: nn.Module
        if self.semantic == "fcn8s_vgg16" and self.semantic_weights is None:
            network = fcn8s_from_vgg16()
        else:
            network = build_semantic(self.semantic, self.semantic_weights)
        return network.requires_grad_(not self.freeze_semantic)

    def _write(self, name: str, network: nn.Module) -> None:
        from vostrack.models.weights_file import write_weights
        from vostrack.proposers.semantic import weights_of

        write_weights(weights_of(network), self.output / f"{name}.safetensors")
