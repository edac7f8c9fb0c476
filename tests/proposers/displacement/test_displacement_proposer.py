from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.masks.palette import write_label_map
from vostrack.proposers.displacement import DisplacementOptions, build_displacement
from vostrack.proposers.displacement.centres import CentreConfig
from vostrack.proposers.displacement.grouping import GroupingConfig
from vostrack.proposers.displacement.networks import (
    DisplacementNet,
    FieldAndBoundary,
    save_displacement_net,
)
from vostrack.proposers.displacement.proposer import DisplacementConfig, DisplacementProposer
from vostrack.proposers.displacement.segmentation import from_labels
from vostrack.proposers.displacement.selection import SelectionConfig
from vostrack.proposers.sources import ImageProposer, ProposerSources

HEIGHT, WIDTH = 120, 200
CENTRES = ((60, 60), (60, 140))
FRAME = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


class PointsHome(DisplacementNet):
    """Points to the nearer of two centres, with a boundary between, as a trained network would."""

    drawn = 1.0

    def field_and_boundary(self, labels: Tensor) -> FieldAndBoundary:
        height, width = labels.shape[1] // 4, labels.shape[2] // 4
        rows, columns = torch.meshgrid(
            torch.arange(float(height)), torch.arange(float(width)), indexing="ij"
        )
        fields = torch.stack(
            [
                torch.stack([y / HEIGHT * height - rows, x / WIDTH * width - columns])
                for y, x in CENTRES
            ]
        )
        nearer = fields.norm(dim=1).argmin(0)
        field = torch.where(nearer == 0, fields[0], fields[1])
        boundary = torch.zeros(1, 1, height, width)
        between = (nearer[:, 1:] != nearer[:, :-1]).float() * self.drawn
        boundary[..., 1:] = between
        boundary[..., :-1] = torch.maximum(boundary[..., :-1], between)
        return FieldAndBoundary(field[None], boundary)


class PaintsClass(nn.Module):
    """Gives the touching discs one class, surely."""

    def __init__(self, class_id: int) -> None:
        super().__init__()
        self.class_id = class_id

    def forward(self, image: Tensor) -> Tensor:
        logits = torch.zeros(1, 21, *image.shape[-2:])
        inside = torch.from_numpy(touching())
        logits[0, 0] = 20 * (~inside).float()
        logits[0, self.class_id] = 20 * inside.float()
        return logits


def touching() -> BoolArray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    inside = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    for y, x in CENTRES:
        inside |= (rows - y) ** 2 + (columns - x) ** 2 <= 41**2
    return inside


@pytest.mark.parametrize("boundaries", [False, True])
def test_touching_objects_of_a_foreground_come_apart(boundaries: bool) -> None:
    proposer = DisplacementProposer(
        PointsHome(), config=DisplacementConfig(longest=200, boundaries=boundaries)
    )
    result = proposer.propose(FRAME, touching().astype(np.float32))
    assert len(result) == 2
    assert result.labels.tolist() == [0, 0]
    np.testing.assert_array_equal(result.masks.any(0), touching())
    for mask in result.masks:
        columns = np.nonzero(mask)[1]
        assert columns.max() <= 104 or columns.min() >= 96


def test_a_semantic_network_gives_the_classes() -> None:
    proposer = DisplacementProposer(PointsHome(), PaintsClass(7))
    result = proposer.propose(FRAME, None)
    assert result.labels.tolist() == [7, 7]
    named = proposer.propose_image("any", FRAME)
    np.testing.assert_array_equal(named.masks, result.masks)


def test_given_masks_are_looked_up_by_name_and_void_belongs_to_nobody(tmp_path: Path) -> None:
    labels = np.where(touching(), 12, 0).astype(np.uint8)
    labels[:40] = 255
    write_label_map(tmp_path / "dog.png", labels)
    proposer = DisplacementProposer(PointsHome(), masks=tmp_path)
    assert isinstance(proposer, ImageProposer)
    result = proposer.propose_image("dog", FRAME)
    assert result.labels.tolist() == [12, 12]
    np.testing.assert_array_equal(result.masks.any(0), labels == 12)
    with pytest.raises(InputError, match="cat"):
        proposer.propose_image("cat", FRAME)


@pytest.mark.parametrize("size", [(1, 1), (37, 500), (480, 20)])
def test_empty_and_odd_frames_give_no_proposals(size: tuple[int, int]) -> None:
    proposer = DisplacementProposer(DisplacementNet())
    frame = np.zeros((*size, 3), np.uint8)
    result = proposer.propose(frame, np.zeros(size, np.float32))
    assert result.masks.shape == (0, *size)
    assert result.boxes.shape == (0, 4)


def test_a_mirrored_mask_gives_mirrored_instances() -> None:
    """With a field that mirrors along, every later step must."""
    proposer = DisplacementProposer(PointsHome(), config=DisplacementConfig(longest=400))
    foreground = touching().astype(np.float32)
    foreground[:, :60] = 0
    result = proposer.propose(FRAME, foreground)
    mirrored = proposer.propose(FRAME, foreground[:, ::-1].copy())
    areas = sorted(int(mask.sum()) for mask in result.masks)
    assert areas == pytest.approx(sorted(int(mask.sum()) for mask in mirrored.masks), rel=0.05)


def test_pictures_are_written_for_every_image(tmp_path: Path) -> None:
    proposer = DisplacementProposer(PointsHome(), save_fields=tmp_path / "pictures")
    for _ in range(2):
        proposer.propose(FRAME, touching().astype(np.float32))
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["00000.png", "00001.png"]
    with Image.open(tmp_path / "pictures" / "00000.png") as picture:
        assert picture.size == (3 * WIDTH, 2 * HEIGHT)
        pixels = np.asarray(picture)
    instances = pixels[HEIGHT:, 2 * WIDTH :]
    assert len(np.unique(instances.reshape(-1, 3), axis=0)) == 3
    centres = pixels[HEIGHT:, :WIDTH]
    assert (centres[60, 60] == 255).all()
    assert not (centres[30, 60] == 255).all()


def test_options_are_wired(tmp_path: Path) -> None:
    network = DisplacementNet()
    network.mean_shift.copy_(torch.tensor([3.0, -2.0]))
    save_displacement_net(network, tmp_path / "net.safetensors")
    options = DisplacementOptions(
        weights=tmp_path / "net.safetensors",
        longest=160,
        boundaries=False,
        edges="walk",
        split=True,
        min_pixels=7,
        max_proposals=3,
        save_fields=tmp_path / "fields",
    )
    proposer = build_displacement(options, ProposerSources(semantic_masks=tmp_path))
    assert proposer.network.mean_shift.tolist() == [3, -2]
    assert proposer.config.longest == 160
    assert not proposer.config.boundaries
    selection = proposer.config.selection
    assert (selection.edges, selection.split) == ("walk", True)
    assert (selection.min_pixels, selection.max_proposals) == (7, 3)
    assert proposer.masks == tmp_path
    assert proposer.save_fields == tmp_path / "fields"
    elsewhere = build_displacement(
        DisplacementOptions(), ProposerSources(device=torch.device("meta"))
    )
    assert elsewhere.network.mean_shift.device.type == "meta"


def test_the_command_runs_as_it_was_measured() -> None:
    """The figures of the documentation are those of these settings."""
    assert build_displacement(
        DisplacementOptions(), ProposerSources()
    ).config == DisplacementConfig(
        longest=320,
        boundaries=True,
        pieces=True,
        centres=CentreConfig(moves=100, centre=2.5, reach=6.0, min_cells=6),
        grouping=GroupingConfig(),
        cut_score=0.75,
        selection=SelectionConfig(
            radius=5.0,
            margin=2,
            edges="mask",
            background=0.25,
            split=False,
            min_pixels=100,
            half_score=0.005,
            max_proposals=100,
        ),
        threshold=0.5,
    )


def test_bad_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`semantic` or `semantic_masks`"):
        DisplacementProposer(DisplacementNet()).propose(FRAME, None)
    with pytest.raises(InputError, match="one of `semantic` and"):
        DisplacementProposer(DisplacementNet(), PaintsClass(1), tmp_path)
    with pytest.raises(InputError, match="leave `detections` out"):
        build_displacement(DisplacementOptions(), ProposerSources(detections={}))
    with pytest.raises(InputError, match="longest"):
        DisplacementConfig(longest=4)
    with pytest.raises(InputError, match="threshold"):
        DisplacementConfig(threshold=0)


def test_a_piece_too_thin_for_a_cell_is_one_instance() -> None:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[touching()] = 3
    labels[8, 20:180] = 3
    proposer = DisplacementProposer(PointsHome(), config=DisplacementConfig(longest=100))
    found, _ = proposer.find(from_labels(labels, torch.device("cpu")))
    thin = [mask for mask in found.masks if mask[8, 100]]
    assert len(thin) == 1
    assert int(thin[0].sum()) == 160
    assert len(found) == 3


def test_thin_pieces_keep_their_class_and_their_certainty() -> None:
    """A thin piece of a second class, the last of all, beside a piece that is cut in two."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[touching()] = 3
    labels[8, 20:180] = 5
    labels[116, 20:180] = 9
    proposer = DisplacementProposer(PointsHome(), config=DisplacementConfig(longest=100))
    found, _ = proposer.find(from_labels(labels, torch.device("cpu")))
    assert sorted(found.labels.tolist()) == [3, 3, 5, 9]
    for class_id, row in ((5, 8), (9, 116)):
        (index,) = np.flatnonzero(found.labels == class_id)
        np.testing.assert_array_equal(found.masks[index], labels == class_id)
        assert found.masks[index, row].sum() == 160
        share = 160 / (HEIGHT * WIDTH)
        assert found.scores[index] == pytest.approx(share / (share + 0.005), rel=1e-5)


def test_a_class_taken_as_a_whole_is_never_cut() -> None:
    whole = PointsHome()
    foreground = touching().astype(np.float32)
    scores = [
        DisplacementProposer(whole, config=DisplacementConfig(pieces=False, cut_score=cut_score))
        .propose(FRAME, foreground)
        .scores
        for cut_score in (0.5, 1.0)
    ]
    assert len(scores[0]) == 2
    np.testing.assert_array_equal(scores[0], scores[1])


def test_the_papers_search_takes_a_class_as_a_whole() -> None:
    """Two parts that point to one centre are one instance where pieces are not searched apart."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[30:90, 20:55] = labels[30:90, 70:90] = 3
    apart = DisplacementProposer(PointsHome())
    paper = DisplacementProposer(
        PointsHome(), config=DisplacementConfig(pieces=False, grouping=None, boundaries=False)
    )
    assert len(apart.find(from_labels(labels, torch.device("cpu")))[0]) == 2
    assert len(paper.find(from_labels(labels, torch.device("cpu")))[0]) == 1


def test_without_a_drawn_line_neighbours_are_one() -> None:
    network = PointsHome()
    network.drawn = 0.2
    assert len(DisplacementProposer(network).propose(FRAME, touching().astype(np.float32))) == 1
    apart = DisplacementConfig(grouping=None)
    several = DisplacementProposer(network, config=apart)
    assert len(several.propose(FRAME, touching().astype(np.float32))) == 2


def test_instances_cut_out_of_a_piece_score_less() -> None:
    whole = PointsHome()
    whole.drawn = 0.0
    foreground = touching().astype(np.float32)
    one = DisplacementProposer(whole).propose(FRAME, foreground)
    two = DisplacementProposer(PointsHome()).propose(FRAME, foreground)
    sure = DisplacementProposer(PointsHome(), config=DisplacementConfig(cut_score=1))
    assert float(one.scores[0]) > 0.95
    np.testing.assert_allclose(two.scores, 0.75 * sure.propose(FRAME, foreground).scores)
    with pytest.raises(InputError, match="cut_score"):
        DisplacementConfig(cut_score=2)


def test_the_shipped_network_cuts_touching_objects_and_leaves_single_ones_alone() -> None:
    """Two overlapping discs in one class, and one disc: shapes that it never saw as such."""
    proposer = build_displacement(DisplacementOptions(), ProposerSources())
    two = proposer.propose(FRAME, touching().astype(np.float32))
    assert len(two) == 2
    for mask, (_, x) in zip(
        sorted(two.masks, key=lambda m: m.nonzero()[1].mean()), CENTRES, strict=True
    ):
        assert mask.nonzero()[1].mean() == pytest.approx(x, abs=6)
    single = touching()
    single[:, WIDTH // 2 :] = False
    assert len(proposer.propose(FRAME, single.astype(np.float32))) == 1
