"""Render the measured tables into README.md: every number there comes from benchmarks/results."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bottomup.benchmark.results import Row, read_result  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"


def decode_table() -> str:
    """One row a scene of benchmarks/results/decode.json."""
    result = read_result(RESULTS / "decode.json")
    config = result["config"]
    heading = (
        f"Associative Embedding on one core ({result['device']}), {config['keypoints']} keypoints on {config['side']}x"
        f"{config['side']} cells, tag size {config['tag_size']}; median of {config['runs']} decodings of one image:"
    )
    return _table(heading, "of the time with `max_pool2d` peaks", result["rows"])


def decode_personlab_table() -> str:
    """One row a scene of benchmarks/results/decode_personlab.json."""
    result = read_result(RESULTS / "decode_personlab.json")
    heading = (
        f"PersonLab on one core ({result['device']}), {result['config']['keypoints']} keypoints at output stride "
        f"{result['config']['stride']}, masks drawn; median of {result['config']['runs']} decodings of one image:"
    )
    return _table(heading, "of the time of `decoder=posenet`, which makes no masks", result["rows"])


def weights_table(name: str, names: Sequence[str]) -> str:
    """One row a decoding of Google's weights, of benchmarks/results/``name``.json."""
    result = read_result(RESULTS / f"{name}.json")
    lines = [f"| decoding | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for row in result["rows"]:
        figures = [f"{row['measured'][name]:.3f}" for name in names]
        lines.append(f"| {' | '.join([row['name'], *figures])} |")
    return "\n".join(lines)


def cues_table() -> str:
    """One row a decoding of benchmarks/results/cues.json."""
    result = read_result(RESULTS / "cues.json")
    lines = ["| maps | AP | AR | loses |", "|---|---|---|---|"]
    lines += [f"| {row['name']} | {row['AP']:.3f} | {row['AR']:.3f} | {row['loss']:.3f} |" for row in result["rows"]]
    return "\n".join(lines)


def assignment_table() -> str:
    """One row a way of giving keypoints to people, of benchmarks/results/assignment.json."""
    result = read_result(RESULTS / "assignment.json")
    figures = ("AP", "AP_overlapping", "AP_true_areas")
    ways = {"one_to_one": "one to one", "independent": "each alone"}
    lines = ["| relation | people matched | boxes of | AP | AP, overlapping people | AP, true areas |", "|---|---|---|---|---|---|"]
    for row in result["rows"]:
        said = [row["name"], ways[row["assignment"]], {"annotated": "annotated people", "all": "everybody"}[row["boxes"]]]
        lines.append(f"| {' | '.join([*said, *(f'{row[name]:.3f}' for name in figures)])} |")
    return "\n".join(lines)


def ideal_table() -> str:
    """One row a kind of fields of benchmarks/results/ideal.json."""
    result = read_result(RESULTS / "ideal.json")
    figures = ("AP", "mask_AP", "mask_AP_posed")
    lines = ["| fields | AP | mask AP | mask AP, people with keypoints |", "|---|---|---|---|"]
    for row in result["rows"]:
        said = ["—" if row[name] is None else f"{row[name]:.3f}" for name in figures]
        lines.append(f"| {' | '.join([row['name'], *said])} |")
    return "\n".join(lines)


def _table(heading: str, ratio: str, rows: list[Row]) -> str:
    lines = [heading, "", f"| scene | options | ms | {ratio} |", "|---|---|---|---|"]
    for row in rows:
        options = ", ".join(f"{name} {'none' if value is None else value}" for name, value in row["options"].items()) or "—"
        measured = f"{row['median_ms']:.1f}" if row["valid"] else "void"
        lines.append(f"| {row['name']} | {options} | {measured} | {row['ratio']:.2f} |")
    return "\n".join(lines)


def render(text: str) -> str:
    """The README with every table replaced by what was measured last."""
    tables = {
        "assignment": assignment_table(),
        "cues": cues_table(),
        "decode": decode_table(),
        "decode_personlab": decode_personlab_table(),
        "ideal": ideal_table(),
        "personlab_weights": weights_table("personlab_weights", ("AP", "AP50", "AP75", "APM", "APL", "AR")),
        "bodypix_weights": weights_table(
            "bodypix_weights", ("mask_AP", "mask_AP50", "mask_APM", "mask_APL", "segmentation_IoU", "AP")
        ),
    }
    for name, table in tables.items():
        text = re.sub(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", rf"\g<1>{table}\n\g<2>", text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(render(readme.read_text()))
