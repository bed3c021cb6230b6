"""Render docs/defaults.md: where a default or a preset differs from its paper's letter, with the figures of both.

``python benchmarks/defaults.py`` reads the figures from benchmarks/results; each row names the command that measured it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bottomup.benchmark.results import Row, read_result  # noqa: E402
from bottomup.report.markdown import markdown_table, share  # noqa: E402

PAGE = ROOT / "docs" / "defaults.md"
RESULTS = ROOT / "benchmarks" / "results"
_INTRODUCTION = """# Defaults that are not the paper's letter

A default is what trains and predicts well; what a paper's text or its authors' code says instead is there by name. Both were
measured alike but for what the row names."""


class Figure(NamedTuple):
    """A figure of rows of benchmarks/results/``result``.json, their mean: the keys that lead to it."""

    result: str
    rows: tuple[str, ...]
    keys: tuple[str, ...]

    def read(self) -> str:
        """The figure with three decimals."""
        rows = {row["name"]: row for row in read_result(RESULTS / f"{self.result}.json")["rows"]}
        return share(fmean(self._of(rows[name]) for name in self.rows))

    def _of(self, row: Row) -> float:
        found: Any = row
        for key in self.keys:
            found = found[key]
        return float(found)


class Change(NamedTuple):
    """What differs, under which names, and what that changes."""

    what: str
    letter: str
    better: str
    figure: str
    before: Figure
    after: Figure
    command: str
    less_is_better: bool = False


def _table(result: str, before: str, after: str, figure: str = "AP") -> tuple[Figure, Figure]:
    """Two rows of a table of ``benchmarks/tables.py``."""
    return Figure(result, (before,), ("measured", figure)), Figure(result, (after,), ("measured", figure))


def _cells(result: str, before: str, after: str, figure: str = "AP") -> tuple[Figure, Figure]:
    """Two combinations of ``bottomup benchmark``."""
    return Figure(result, (before,), ("figures", figure)), Figure(result, (after,), ("figures", figure))


def _colours(kind: str) -> Figure:
    """Those of two trainings."""
    return Figure("colours", (f"{kind}, first", f"{kind}, second"), ("figures", "AP"))


_TAG_LOSS = "bottomup benchmark matrix=tag_loss"
_IDEAL = "benchmarks/tables.py benchmarks/tables/associative_embedding_oracles.yaml"
_PRESETS = "benchmarks/tables.py benchmarks/tables/associative_embedding_presets.yaml"
_BEST, _BODYPIX = (
    "benchmarks/tables.py benchmarks/tables/personlab_best.yaml",
    "benchmarks/tables.py benchmarks/tables/bodypix_weights.yaml",
)
_PRN, _BALANCE = "benchmarks/tables.py benchmarks/tables/prn_faults.yaml", "bottomup benchmark matrix=balance"
_MEAN, _LETTER, _OURS = "mean over keypoints, all pairs", "published, the authors'", "balanced, ours"
_SPURIOUS = ("spurious_boxes", ("true keypoints, spurious boxes a person: 3",))

ASSOCIATIVE_EMBEDDING = (
    Change(
        "pull of a person's tags", "`heads.tags.pull=sum`", "`mean`, default", "AP, 96 drawings",
        *_cells("tag_loss", "sum over keypoints, all pairs", _MEAN), _TAG_LOSS,
    ),
    Change(
        "completing people from the whole map", "none, default", "`decoder.fill_threshold=0.0 decoder.fill_from=map`",
        "AP, 96 drawings", *_cells("tag_loss", _MEAN, "mean, all pairs, filled from the map"), _TAG_LOSS,
    ),
    Change(
        "place between cells", "`decoder.refine=quarter`", "`log_parabola`, default", "AP, ideal maps",
        *_table("tables/associative_embedding_oracles", "refine: quarter", "default"), _IDEAL,
    ),
    Change(
        "which of scales 2, 1, 0.5 give tags", "`heads.tags.scales=all`", "`nearest` to 1, default", "AP, ideal maps",
        *_table("tables/associative_embedding_oracles", "scales 2, 1, 0.5, tags of all", "scales 2, 1, 0.5"), _IDEAL,
    ),
    Change(
        "loss of an object's pixels' tags", "`heads.instance_tags.reduction=sum`, 1e-4", "`mean`, default", "mask AP, 8 drawings",
        *_cells("instance_tag_loss", "sum over pairs of pixels", "mean of pairs of pixels", "mask_AP"),
        "bottomup benchmark matrix=instance_tag_loss",
    ),
    Change(
        "pose-ae-train's grouping", "`decoder=pose_ae`", "default", "AP, ideal maps",
        *_table("associative_embedding_presets", "pose_ae", "default"), _PRESETS,
    ),
    Change(
        "HigherHRNet's grouping", "`decoder=higherhrnet`", "default", "AP, ideal maps",
        *_table("associative_embedding_presets", "higherhrnet", "default"), _PRESETS,
    ),
    Change(
        "colours, pose-ae-train's hue and saturation of HSV", "`augment=pose_ae`", "one affine map, default",
        "AP, 200 drawings, two trainings", _colours("of HSV"), _colours("one affine map"),
        "bottomup benchmark matrix=benchmarks/matrices/colours.yaml",
    ),
    Change(
        "the time that these take", "`augment=pose_ae`", "one affine map, default", "ms of a core to load an image, 512 px",
        Figure("floors", ("loader, Associative Embedding by HSV, 512 px",), ("ms",)),
        Figure("floors", ("loader, Associative Embedding, 512 px",), ("ms",)), "benchmarks/floors.py", less_is_better=True,
    ),
)  # fmt: skip
PERSONLAB = (
    Change(
        "several scales, Google's weights", "`views=maps`, default", "`views=instances`", "AP, 120 images",
        *_table("personlab_best", "three scales as maps", "three scales as people"), _BEST,
    ),
    Change(
        "several scales with their mirror images", "`views=maps`, default", "`views=instances`", "AP, 120 images",
        *_table(
            "personlab_best", "one more short offset, three scales as maps, flip",
            "one more short offset, three scales as people, flip",
        ), _BEST,
    ),
    Change(
        "one more short offset, 1201 px", "`decoder=personlab`", "`decoder=personlab_best`", "AP, 120 images",
        *_table("personlab_best", "1201", "one more short offset, 1201"), _BEST,
    ),
    Change(
        "whose a pixel is that several claim", "`decoder.masks.mode=nearest`, Google's", "`exclusive`, of `decoder=personlab_best`",
        "mask AP, 195 images", *_table("bodypix_weights", "nearest, 513", "exclusive, 513", "mask_AP"), _BODYPIX,
    ),
)  # fmt: skip
MULTIPOSENET = (
    Change(
        "three boxes of nobody beside each person", "plain rules", "`decoder=prn`, default", "AP, 150 images, true keypoints",
        Figure(*_SPURIOUS, ("plain",)), Figure(*_SPURIOUS, ("default",)), "benchmarks/spurious_boxes.py",
    ),
    Change(
        "the network's training, judged on faulty keypoints", "`experiment=multiposenet/prn`",
        "`experiment=multiposenet/prn_faults`", "AP, COCO's labels",
        *_table("prn_faults", "faulty keypoints, trained on true ones", "faulty keypoints, trained on faulty ones"), _PRN,
    ),
    Change(
        "weights of its tasks and rules of its decoder", "published, `decoder=prn_authors`", "balanced, `decoder=prn`",
        "AP, drawings", *_cells("balance", _LETTER, _OURS), _BALANCE,
    ),
    Change(
        "weights of its tasks", "published", "balanced", "box AP, drawings",
        *_cells("balance", _LETTER, "balanced, the authors'", "box_AP"), _BALANCE,
    ),
)  # fmt: skip
METHODS = {"Associative Embedding": ASSOCIATIVE_EMBEDDING, "PersonLab": PERSONLAB, "MultiPoseNet": MULTIPOSENET}


def render() -> str:
    """The page."""
    names = ["what", "before", "", "now", "", "figure", "measured by"]
    rows = [
        [
            f"{method}: {change.what}",
            change.letter,
            change.before.read(),
            change.better,
            change.after.read(),
            change.figure,
            f"`{change.command}`",
        ]
        for method, changes in METHODS.items()
        for change in changes
    ]
    return f"{_INTRODUCTION}\n\n{markdown_table(names, rows)}\n"


if __name__ == "__main__":
    PAGE.write_text(render())
