"""The pose of the one person that an image shows: of each keypoint the place where its heatmap is highest."""

from __future__ import annotations

import torch
from torch import Tensor

from bottomup.contracts import DECODERS, Decoder, probability, probability_grid
from bottomup.devices import beside
from bottomup.errors import ConfigError
from bottomup.geometry import sides
from bottomup.ops.hough import centre_of_mass, hough_votes
from bottomup.ops.peaks import Refinement, find_peaks, refine_peaks, touching
from bottomup.ops.sampling import gather_maps
from bottomup.shapes import check_shape
from bottomup.thresholds import Thresholds
from bottomup.types import Frame, Instances, Outputs, Prediction, Task

_WINDOW = 3  # cells


@DECODERS.register
class SinglePerson(Decoder):
    """One instance an image, of whom all keypoints are found that the heatmap knows of at all.

    Each is at the highest cell of its map that touches the image, moved between the cells as ``refine`` says
    (``ops.peaks.refine_peaks``): of a gaussian "log_parabola" finds it exactly, "quarter", the stacked hourglass's, within a
    quarter cell. Where there are short offsets it is instead where the disks' cells vote for, the highest cell of the votes and
    their centre of mass there: the estimator of Papandreou et al. (2017), which PersonLab imputes with. A keypoint's score is the
    heatmap's at its place, the instance's their mean over all keypoints.
    """

    recommended = Thresholds(score=0.1, keypoint=0.15)

    def __init__(self, task: Task, *, refine: Refinement = "log_parabola") -> None:
        if task.skeleton is None:
            raise ConfigError("decoder single_person needs a skeleton; the task has none")
        self.skeleton, self.refine = task.skeleton, refine
        self.requires = {"heatmap | heatmap_logits": "B K h w", "short_offsets?": "B K 2 h w"}

    def tensors(self, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """``points`` (B, K, 2) input px and ``scores`` (B, K) in [0, 1]; 0 is not found."""
        heatmap, grid = probability(outputs, "heatmap").float(), probability_grid(frame, "heatmap")
        check_shape("heatmap", heatmap, "B K h w", {"K": len(self.skeleton)})
        where = touching(beside(frame.content, heatmap), grid, (heatmap.shape[-2], heatmap.shape[-1]))
        if "short_offsets" in outputs:
            votes = hough_votes(heatmap, outputs["short_offsets"].float(), grid, grid.stride)
            peaks = find_peaks(votes, 1, _WINDOW, where)
            cells = centre_of_mass(votes, peaks.cells)
            scores = gather_maps(heatmap, _within(cells.round(), heatmap)) * (peaks.scores > 0)
        else:
            peaks = find_peaks(heatmap, 1, _WINDOW, where)
            cells, scores = refine_peaks(heatmap, peaks.cells, self.refine), peaks.scores
        return {"points": grid.to_input(cells)[:, :, 0], "scores": scores[:, :, 0].clamp(max=1.0)}

    def people(self, tensors: dict[str, Tensor], frame: Frame) -> list[Prediction]:
        """The instance of each image, none where no keypoint was found; points are kept inside the content."""
        images = zip(tensors["points"].float().cpu(), tensors["scores"].float().cpu(), frame.content.cpu(), strict=True)
        return [Prediction(_instance(*image), frame.size) for image in images]


def _within(cells: Tensor, maps: Tensor) -> Tensor:
    """Cells (..., 2) of a map (..., h, w), those beyond it moved to its border."""
    return torch.minimum(cells.clamp(min=0.0), sides(maps.shape[-2] - 1, maps.shape[-1] - 1, cells))


def _instance(points: Tensor, scores: Tensor, content: Tensor) -> Instances:
    inside = torch.where((scores > 0)[:, None], points.clamp(content[:2], content[2:]), torch.nan)
    found = slice(None) if (scores > 0).any() else slice(0)
    return Instances.of_keypoints(inside[None], scores[None], scores.mean()[None])[found]
