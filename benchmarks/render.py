"""Render the tables into README.md and docs: every number comes from benchmarks/results or configs/zoo."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.deployment import export_table, page_table, tracking_table  # noqa: E402
from benchmarks.networks import choice_table, measured_table, published_table  # noqa: E402
from benchmarks.steadfast import fuzz_table, kills_table  # noqa: E402
from bottomup.benchmark.results import Row, read_result  # noqa: E402
from bottomup.report.markdown import NOTHING, markdown_table, share  # noqa: E402
from bottomup.report.rows import read_results  # noqa: E402
from bottomup.report.tables import markdown  # noqa: E402

_RENDERED = ("results", "zoo", "steadfast", "export", "page", "video")
PAGES = (ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in _RENDERED))
RESULTS = ROOT / "benchmarks" / "results"
_BEST_POSES, _BEST_MASKS = "one more short offset, three scales as people, flip", "eq. 6, 801"
_KEYPOINTS = ("AP", "AP50", "AP75", "APM", "APL", "AR")
_ACCURACY = ("combination", "AP", "AP, ideal maps", "AP, ideal heatmap", "mask AP", "box AP")
_COST = ("backbone ms", "necks ms", "heads ms", "decoder ms", "ms, median / 90 %", "parameters")


def matrix_table(name: str, *more: str) -> str:
    """One row a combination of benchmarks/results/``name``.json, with columns ``more``, and why others have none."""
    results = read_results([RESULTS / f"{name}.json"])
    return "\n\n".join([*results.conditions, markdown(results.measured, [*_ACCURACY, *_COST, *more, "note"])])


def decode_table() -> str:
    """One row a scene of benchmarks/results/decode.json."""
    result = read_result(RESULTS / "decode.json")
    config = result["config"]
    heading = (
        f"Associative Embedding on one core ({result['device']}), {config['keypoints']} keypoints on {config['side']}x"
        f"{config['side']} cells, tag size {config['tag_size']}; median of {config['runs']} decodings of one image:"
    )
    return _scenes(heading, "of the time with `max_pool2d` peaks", result["rows"])


def decode_personlab_table() -> str:
    """One row a scene of benchmarks/results/decode_personlab.json."""
    result = read_result(RESULTS / "decode_personlab.json")
    heading = (
        f"PersonLab on one core ({result['device']}), {result['config']['keypoints']} keypoints at output stride "
        f"{result['config']['stride']}, masks drawn; median of {result['config']['runs']} decodings of one image:"
    )
    return _scenes(heading, "of the time of `decoder=posenet`, which makes no masks", result["rows"])


def prn_table() -> str:
    """One row a number of people of benchmarks/results/prn.json."""
    result = read_result(RESULTS / "prn.json")
    heading = f"On one core ({result['device']}), in float32, median of {result['config']['runs']} runs, ms:"
    judged = [f"{row['AP']:.4f} from weights of {row['name']}" for row in read_result(RESULTS / "prn_int8.json")["rows"]]
    steps = {"crops_ms": "crops", "perceptron_ms": "perceptron", "softmax_ms": "softmax", "assignment_ms": "assignment"}
    whole = {"all_ms": "all", "one_by_one_ms": "one by one"}
    table = markdown_table(
        ["proposals", *steps.values(), *whole.values(), "all / one by one"],
        [[row["name"], *(f"{row[key]:.1f}" for key in (*steps, *whole)), f"{row['ratio']:.3f}"] for row in result["rows"]],
    )
    return f"{heading}\n\n{table}\n\nAP, trained for 150 steps: {', '.join(judged)}."


def crowd_table() -> str:
    """One row a decoder of the most people of benchmarks/results/people.json."""
    result = read_result(RESULTS / "people.json")
    most = max(row["people"] for row in result["rows"])
    cells = [
        [row["decoder"], f"{row['median_ms'] / 1e3:.2f}", str(row["mebibytes"]), share(row["recall"])]
        for row in result["rows"]
        if row["people"] == most
    ]
    heading = f"{most} people, on one core ({result['device']}), beside other work; MiB are what the process holds more meanwhile:"
    return f"{heading}\n\n{markdown_table(['decoder', 's', 'MiB', 'keypoints that come back'], cells)}"


def floors_table() -> str:
    """One row a step of benchmarks/results/floors.json."""
    result = read_result(RESULTS / "floors.json")
    heading = (
        f"On one core ({result['device']}), beside other work, the least of some runs; before is commit "
        f"{result['config']['before'][:7]}:"
    )
    cells = [
        [
            row["name"],
            *(f"{row[key]:.2f}" for key in ("before_ms", "ms", "floor_ms")),
            *(f"{row[key]:.2f}" for key in ("before_ratio", "ratio")),
            NOTHING if row["goal"] is None else f"{row['goal']:g}",
        ]
        for row in result["rows"]
    ]
    names = ["step", "before, ms", "now, ms", "floor, ms", "before / floor", "now / floor", "at most"]
    return f"{heading}\n\n{markdown_table(names, cells)}"


def judging_table() -> str:
    """One row a group of figures of benchmarks/results/judging.json."""
    result = read_result(RESULTS / "judging.json")
    heading = (
        f"{result['config']['images']:,} images of {result['config']['people']} people on one core ({result['device']}), beside "
        "other work, each with the reading of predictions:"
    )
    cells = [[row["figures"], row["by"], f"{row['seconds']:.2f}", f"{1e3 * row['per_image']:.2f}"] for row in result["rows"]]
    return f"{heading}\n\n{markdown_table(['figures', 'with', 'seconds of the core', 'ms an image'], cells)}"


def peers_table() -> str:
    """One row a scene of benchmarks/results/peers_mmpose_grouping.json."""
    result = read_result(RESULTS / "peers_mmpose_grouping.json")
    packages = ", ".join(f"{name} {version}" for name, version in result["config"]["packages"].items())
    cells = [
        [
            row["name"],
            _options(row),
            f"{row['median_ms']:.1f}",
            f"{row['mmpose_median_ms']:.1f}",
            f"{row['ratio']:.2f}",
            *_shares(row, ("recall", "mmpose_recall", "agreement")),
        ]
        for row in result["rows"]
    ]
    names = ["scene", "options", "ours, ms", "mmpose, ms", "ratio", "recall", "mmpose's", "agreement"]
    return f"On one core ({result['device']}), {packages}:\n\n{markdown_table(names, cells)}"


def weights_table(name: str, names: Sequence[str]) -> str:
    """One row an evaluation of ``benchmarks/tables.py``, of benchmarks/results/``name``.json."""
    rows = read_result(RESULTS / f"{name}.json")["rows"]
    return markdown_table(["decoding", *names], [[row["name"], *_shares(row["measured"], names)] for row in rows])


def cues_table() -> str:
    """One row a decoding of benchmarks/results/cues.json."""
    rows = read_result(RESULTS / "cues.json")["rows"]
    return markdown_table(["maps", "AP", "AR", "loses"], [[row["name"], *_shares(row, ("AP", "AR", "loss"))] for row in rows])


def assignment_table() -> str:
    """One row a way of giving keypoints to people, of benchmarks/results/assignment.json."""
    ways = {"one_to_one": "one to one", "independent": "each alone"}
    boxes = {"annotated": "annotated people", "all": "everybody"}
    return markdown_table(
        ["relation", "people matched", "boxes of", "AP", "AP, overlapping people", "AP, true areas"],
        [
            [
                row["relation"],
                ways[row["assignment"]],
                boxes[row["boxes"]],
                *_shares(row, ("AP", "AP_overlapping", "AP_true_areas")),
            ]
            for row in read_result(RESULTS / "assignment.json")["rows"]
        ],
    )


def spurious_boxes_table() -> str:
    """One row a kind of keypoints and a number of boxes of benchmarks/results/spurious_boxes.json."""
    rows = read_result(RESULTS / "spurious_boxes.json")["rows"]
    cells = [[row["keypoints"], str(row["spurious"]), *_shares(row, ("plain", "default"))] for row in rows]
    return markdown_table(["keypoints", "spurious boxes a person", "AP, plain rules", "AP, decoder `prn`"], cells)


def refinement_table() -> str:
    """One row a kind of poses and a rule of benchmarks/results/refinement.json."""
    rows = read_result(RESULTS / "refinement.json")["rows"]
    names = ("AP", "AP50", "AP75", "APM", "APL", "AR")
    return markdown_table(["poses", "refine.rule", *names], [[row["poses"], row["rule"], *_shares(row, names)] for row in rows])


def shown_table() -> str:
    """Two rows a decoder of benchmarks/results/shown.json: everybody, and who is worth showing."""
    cells = [
        [f"{row['name']}, {which}", f"{row[key]['people']:.1f}", f"{row[key]['nobody']:.0%}", share(row[key]["AP"])]
        for row in read_result(RESULTS / "shown.json")["rows"]
        for key, which in (("all", "all"), ("shown", f"from {row['score_threshold']:g} on"))
    ]
    return markdown_table(["weights", "people a photo", "of them nobody, or somebody once more", "AP"], cells)


def ideal_table() -> str:
    """One row a kind of fields of benchmarks/results/ideal.json."""
    rows = read_result(RESULTS / "ideal.json")["rows"]
    return markdown_table(
        ["fields", "AP", "mask AP", "mask AP, people with keypoints"],
        [[row["name"], *_shares(row, ("AP", "mask_AP", "mask_AP_posed"))] for row in rows],
    )


def instance_tags_table() -> str:
    """One row a size and a kind of masks of benchmarks/results/instance_tags.json."""
    rows = read_result(RESULTS / "instance_tags.json")["rows"]
    names = ("mask_AP", "mask_AP50", "mask_AP75")
    return markdown_table(["masks", "mask AP", "mask AP50", "mask AP75"], [[row["name"], *_shares(row, names)] for row in rows])


def status_table() -> str:
    """What somebody who only begins should know, one row a result."""
    poses, masks = (_measured(*which) for which in (("personlab_best", _BEST_POSES), ("bodypix_weights", _BEST_MASKS)))
    assigned = read_result(RESULTS / "assignment.json")["rows"]
    (prn,) = (row for row in assigned if (row["relation"], row["assignment"], row["boxes"]) == ("prn", "one_to_one", "all"))
    rows = [
        [
            "Google's PoseNet, imported: poses on 120 images of COCO's val2017, three scales and their mirror images",
            share(poses["AP"]),
        ],
        ["Google's BodyPix, imported: masks on 195 images of val2017, 801 px", share(masks["mask_AP"])],
        [
            "the Pose Residual Network, trained here: whose is which keypoint of val2017, given true boxes and keypoints",
            share(prn["AP"]),
        ],
        ["the same as printed in the paper", "0.894"],
    ]
    return markdown_table(["measured here ([all of it](docs/results.md))", "AP"], rows)


def _measured(result: str, name: str) -> Row:
    """The figures of one row of ``benchmarks/tables.py``."""
    (found,) = (row["measured"] for row in read_result(RESULTS / f"{result}.json")["rows"] if row["name"] == name)
    return dict(found)


def _shares(figures: Row, names: Sequence[str]) -> list[str]:
    return [share(figures[name]) for name in names]


def _scenes(heading: str, ratio: str, rows: list[Row]) -> str:
    """The heading, and one row a scene that was decoded."""
    cells = []
    for row in rows:
        cells.append([row["name"], _options(row), f"{row['median_ms']:.1f}" if row["valid"] else "void", f"{row['ratio']:.2f}"])
    return f"{heading}\n\n{markdown_table(['scene', 'options', 'ms', ratio], cells)}"


def _options(row: Row) -> str:
    return ", ".join(f"{name} {'none' if value is None else value}" for name, value in _flat(row["options"])) or NOTHING


def _flat(options: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Options with their paths, those in groups in their place."""
    for name, value in options.items():
        inside = _flat(value) if isinstance(value, dict) else None
        yield from ((name, value),) if inside is None else ((f"{name}.{path}", entry) for path, entry in inside)


def render(text: str) -> str:
    """A page with every table that it has replaced by what was measured last."""
    tables = {
        "assignment": assignment_table(),
        "crowd": crowd_table(),
        "cues": cues_table(),
        "decode": decode_table(),
        "decode_personlab": decode_personlab_table(),
        "export": export_table(),
        "floors": floors_table(),
        "fuzz": fuzz_table(),
        "ideal": ideal_table(),
        "instance_tags": instance_tags_table(),
        "judging": judging_table(),
        "kills": kills_table(),
        "page": page_table(),
        "peers": peers_table(),
        "prn": prn_table(),
        "refinement": refinement_table(),
        "shown": shown_table(),
        "spurious_boxes": spurious_boxes_table(),
        "status": status_table(),
        "tracking": tracking_table(),
        "zoo_choice": choice_table(),
        "zoo_measured": measured_table(),
        "zoo_published": published_table(),
        "matrix": matrix_table("matrix", "learning rate"),
        "bench": matrix_table("bench"),
        "multiposenet_small": weights_table("multiposenet_small", ("AP", "AP50", "APM", "APL", "AR", "box_AP", "segmentation_IoU")),
        "associative_embedding_prn": weights_table("associative_embedding_prn", _KEYPOINTS),
        "associative_embedding_presets": weights_table("associative_embedding_presets", _KEYPOINTS),
        "prn_faults": weights_table("prn_faults", _KEYPOINTS),
        "personlab_prn": weights_table("personlab_prn", _KEYPOINTS),
        "personlab_weights": weights_table("personlab_weights", _KEYPOINTS),
        "personlab_best": weights_table("personlab_best", _KEYPOINTS),
        "ensemble": weights_table("ensemble", _KEYPOINTS),
        "bodypix_weights": weights_table(
            "bodypix_weights", ("mask_AP", "mask_AP50", "mask_APM", "mask_APL", "segmentation_IoU", "AP")
        ),
    }
    for name, table in tables.items():
        text = re.sub(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", rf"\g<1>{table}\n\g<2>", text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(render(page.read_text()))
