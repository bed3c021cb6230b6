"""Components of some twenty lines each that have the shape of the three methods; the contract must carry all of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bottomup.contracts import Backbone, FeatureSpec, FeedBack, Head, Level, Neck, Source
from bottomup.geometry import Grid
from bottomup.types import Batch, Features, Outputs, Targets, Task


class StackBackbone(Backbone):
    """(a) Four stages, each fed with the last one's predictions."""

    feeds_back = True
    coarsest = Grid.centred(8)

    def __init__(self, stacks: int = 4, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 8, stride=4, padding=2)
        self.stacks = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(stacks))
        self.merges = nn.ModuleList()
        self.stages = [{"stack": Level(channels, Grid.centred(4))} for _ in range(stacks)]

    def connect(self, channels: int) -> None:
        width = self.stem.out_channels
        self.merges = nn.ModuleList(nn.Conv2d(channels, width, 1) for _ in self.stages[1:])

    def forward(self, images: Tensor, feed_back: FeedBack | None = None) -> list[Features]:
        x, stages = self.stem(images), []
        for index, stack in enumerate(self.stacks):
            stages.append({"stack": torch.relu(stack(x))})
            if feed_back is not None and index < len(self.merges):
                maps = feed_back(stages[-1], index)
                x = x + stages[-1]["stack"] + self.merges[index](maps.to(x.dtype))
        return stages


class StrideBackbone(Backbone):
    """(b) An output stride chosen when composed, on the same weights, and an auxiliary stage from the middle."""

    coarsest = Grid.cornered(8)

    def __init__(self, output_stride: int = 8, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, stride=4, padding=1)
        self.deep = nn.Conv2d(channels, channels, 3, stride=output_stride // 4, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        level = Level(channels, Grid.cornered(output_stride))
        self.stages = [{"C4": Level(channels, Grid.cornered(4))}, {"C5": level}]

    def forward(self, images: Tensor, feed_back: FeedBack | None = None) -> list[Features]:
        middle = torch.relu(self.stem(images))
        return [{"C4": middle}, {"C5": torch.relu(self.norm(self.deep(middle)))}]


class PyramidBackbone(Backbone):
    """(c) One stage of three levels."""

    coarsest = Grid.centred(16)

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 4, stride=4)
        self.down = nn.ModuleList(nn.Conv2d(channels, channels, 2, stride=2) for _ in range(2))
        self.stages = [{f"C{n}": Level(channels, Grid.centred(2**n)) for n in (2, 3, 4)}]

    def forward(self, images: Tensor, feed_back: FeedBack | None = None) -> list[Features]:
        features = {"C2": self.stem(images)}
        for index, down in enumerate(self.down):
            features[f"C{index + 3}"] = torch.relu(down(features[f"C{index + 2}"]))
        return [features]


class SupervisedNeck(Neck):
    """(c) Five supervised stages: each level by itself, one more of stride 8, and all of them joined at stride 4."""

    def __init__(self, source: list[FeatureSpec]) -> None:
        super().__init__()
        levels = source[-1]
        names = ["C4", "C3", "C2"]
        self.convs = nn.ModuleList(nn.Conv2d(levels[name].channels, 8, 3, padding=1) for name in names)
        self.join = nn.Conv2d(24, 8, 1)
        grids = {name: levels[name].grid for name in names}
        self.stages = [{f"K{name[1]}": Level(8, grids[name])} for name in names]
        self.stages += [{"J": Level(8, grids["C3"])}, {"D": Level(8, grids["C2"])}]

    def forward(self, stages: list[Features], feed_back: FeedBack | None = None) -> list[Features]:
        levels = stages[-1]
        made = [torch.relu(conv(levels[name])) for conv, name in zip(self.convs, ("C4", "C3", "C2"), strict=True)]
        upsampled = [F.interpolate(maps, levels["C2"].shape[-2:], mode="nearest") for maps in made]
        joined = self.join(torch.cat(upsampled, 1))
        return [{"K4": made[0]}, {"K3": made[1]}, {"K2": made[2]}, {"J": made[1] * 2}, {"D": joined}]


class FinerNeck(Neck):
    """(d) What it reads, and a stage of half the stride that reads what is predicted of it, too."""

    feeds_back = True

    def __init__(self, source: list[FeatureSpec]) -> None:
        super().__init__()
        ((self.read, level),) = source[-1].items()
        self.width = level.channels
        self.stages = [{self.read: level}, {"up": Level(8, Grid.centred(level.grid.stride // 2))}]
        self.connect(0)

    def connect(self, channels: int) -> None:
        self.up = nn.ConvTranspose2d(self.width + channels, 8, 2, stride=2)

    def used_from(self, stage: int) -> list[str]:
        return ["up"] if stage <= 1 else []

    def forward(self, stages: list[Features], feed_back: FeedBack | None = None) -> list[Features]:
        maps = stages[-1][self.read]
        fed_back = [] if feed_back is None else [feed_back(stages[-1], 0).to(maps.dtype)]
        return [stages[-1], {"up": torch.relu(self.up(torch.cat([maps, *fed_back], 1)))}]


class PeopleNeck(Neck):
    """(c) A second neck beside it: one stage of two levels."""

    def __init__(self, source: list[FeatureSpec]) -> None:
        super().__init__()
        levels = source[-1]
        self.convs = nn.ModuleDict({name: nn.Conv2d(levels[name].channels, 8, 1) for name in ("C3", "C4")})
        self.stages = [{f"P{name[1]}": Level(8, levels[name].grid) for name in self.convs}]

    def forward(self, stages: list[Features], feed_back: FeedBack | None = None) -> list[Features]:
        return [{f"P{name[1]}": conv(stages[-1][name]) for name, conv in self.convs.items()}]


class CountingHead(Head):
    """Counts how often its forward runs."""

    runs = 0

    def __init__(self, source: Source, task: Task) -> None:
        super().__init__(source, task)
        self.runs = 0

    def __call__(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        if not torch.compiler.is_compiling():
            self.runs += 1
        return super().__call__(*args, **kwargs)


class MapHead(CountingHead):
    """One map a keypoint, trained towards 1 in the cell of each keypoint."""

    def __init__(self, source: Source, task: Task) -> None:
        super().__init__(source, task)
        self.conv = nn.Conv2d(source.level.channels, task.keypoints, 1)
        self.provides, self.grids = {"heatmap": "B K h w"}, {"heatmap": source.level.grid}
        self.feedback = task.keypoints

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        (maps,) = features.values()
        return {"heatmap": self.conv(maps).float()}

    def encode(self, batch: Batch, outputs: Outputs) -> Targets:
        grid, (h, w) = self.grids["heatmap"], self.grids["heatmap"].shape(batch.size)
        cells = grid.nearest(batch.keypoints).clamp(min=0)
        x, y = cells[..., 0].clamp(max=w - 1), cells[..., 1].clamp(max=h - 1)
        target = torch.zeros(len(batch), self.task.keypoints, h * w, device=x.device)
        target = target.scatter(2, (y * w + x).transpose(1, 2), batch.labelled.transpose(1, 2).float())
        return {"heatmap": target.unflatten(2, (h, w))}

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        return {"mse": (outputs["heatmap"] - targets["heatmap"]).square().mean((1, 2, 3))}

    def ideal(self, batch: Batch) -> Outputs:
        return self.encode(batch, {})


class OffsetHead(CountingHead):
    """(b) An offset field that requires another head's field and samples it."""

    def __init__(self, source: Source, task: Task, *, key: str = "short_offsets", base: str | None = None) -> None:
        super().__init__(source, task)
        self.key, self.base = key, base
        self.conv = nn.Conv2d(source.level.channels, 2 * task.keypoints, 1)
        self.provides, self.grids = {key: "B K 2 h w"}, {key: source.level.grid}
        self.requires = {base: "B K 2 h w"} if base else {}

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        (maps,) = features.values()
        field = self.conv(maps).float().unflatten(1, (-1, 2))
        return {self.key: field + outputs[self.base] if self.base else field}

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        return {"l1": outputs[self.key].abs().mean((1, 2, 3, 4))}

    def ideal(self, batch: Batch) -> Outputs:
        h, w = self.grids[self.key].shape(batch.size)
        return {self.key: torch.zeros(len(batch), self.task.keypoints, 2, h, w)}


class BoxHead(CountingHead):
    """(c) Box logits over all levels of a pyramid, joined to one list of anchors."""

    def __init__(self, source: Source, task: Task) -> None:
        super().__init__(source, task)
        self.conv = nn.Conv2d(source.level.channels, 5, 1)
        self.provides = {"class_logits": "B A C", "box_deltas": "B A 4"}

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        flat = torch.cat([self.conv(maps).float().flatten(2).transpose(1, 2) for maps in features.values()], 1)
        return {"class_logits": flat[..., :1], "box_deltas": flat[..., 1:]}

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        return {"class": outputs["class_logits"].square().mean((1, 2)), "box": outputs["box_deltas"].abs().mean((1, 2))}

    def ideal(self, batch: Batch) -> Outputs:
        raise NotImplementedError

    def unflip(self, outputs, frame):  # type: ignore[no-untyped-def]
        return {key: outputs[key] for key in self.provides}

    def merge(self, views, frames, onto):  # type: ignore[no-untyped-def]
        return {key: views[0][key] for key in self.provides}


class ProposalHead(CountingHead):
    """(c) No weights: the best R boxes."""

    reads_features = False

    def __init__(self, source: Source, task: Task, *, count: int = 4) -> None:
        super().__init__(source, task)
        self.count = count
        self.requires = {"class_logits": "B A C", "box_deltas": "B A 4"}
        self.provides = {"proposals": "B R 4", "proposal_scores": "B R"}

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        scores, index = outputs["class_logits"].sigmoid()[..., 0].topk(self.count, dim=1)
        boxes = outputs["box_deltas"].gather(1, index[..., None].expand(-1, -1, 4))
        return {"proposals": boxes, "proposal_scores": scores}

    def ideal(self, batch: Batch) -> Outputs:
        return {"proposals": batch.boxes[:, : self.count], "proposal_scores": batch.present[:, : self.count].float()}


class CandidateHead(CountingHead):
    """(c) No weights: the best M cells of each heatmap."""

    reads_features = False

    def __init__(self, source: Source, task: Task, *, count: int = 4) -> None:
        super().__init__(source, task)
        self.count, self.grid = count, source.grids["heatmap"]
        self.requires, self.provides = {"heatmap": "B K h w"}, {"candidates": "B K M 3"}

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        width = outputs["heatmap"].shape[-1]
        scores, index = outputs["heatmap"].flatten(2).topk(self.count, dim=2)
        cells = torch.stack((index % width, index // width), -1)
        return {"candidates": torch.cat((self.grid.to_input(cells), scores[..., None]), -1)}

    def ideal(self, batch: Batch) -> Outputs:
        keypoints = batch.keypoints.transpose(1, 2)[:, :, : self.count]
        labelled = batch.labelled.transpose(1, 2)[:, :, : self.count, None].float()
        return {"candidates": torch.cat((keypoints, labelled), -1)}


class AssignmentHead(CountingHead):
    """(c) Reads proposals and candidates only; its targets depend on what was proposed."""

    reads_features = False
    matches = True

    def __init__(self, source: Source, task: Task) -> None:
        super().__init__(source, task)
        self.layer = nn.Linear(3, 4)
        self.requires = {"proposals": "B R 4", "candidates": "B K M 3"}
        self.provides = {"assignment_logits": "B R K 56 36"}

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        keypoints = self.layer(outputs["candidates"]).mean(2)  # (B, K, 4)
        scores = torch.einsum("brc,bkc->brk", outputs["proposals"], keypoints)
        return {"assignment_logits": scores[..., None, None].expand(-1, -1, -1, 56, 36)}

    def encode(self, batch: Batch, outputs: Outputs) -> Targets:
        return {"wanted": outputs["proposals"].sum(-1)}

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        return {"l2": (outputs["assignment_logits"].mean((2, 3, 4)) * 1e-3 - targets["wanted"] * 1e-3).square().mean(1)}

    def ideal(self, batch: Batch) -> Outputs:
        raise NotImplementedError
