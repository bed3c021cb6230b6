"""Render the measured tables into README.md: every number there comes from benchmarks/results."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.schema import read_result  # noqa: E402


def decode_table() -> str:
    """One row a scene of benchmarks/results/decode.json."""
    result = read_result(ROOT / "benchmarks" / "results" / "decode.json")
    side = result["config"]["side"]
    lines = [
        f"One core ({result['device']}), {result['config']['keypoints']} keypoints on {side}x{side} cells, tag size "
        f"{result['config']['tag_size']}; median of {result['config']['runs']} decodings of one image:",
        "",
        "| scene | options | ms | of the time with `max_pool2d` peaks |",
        "|---|---|---|---|",
    ]
    for row in result["rows"]:
        options = ", ".join(f"{name} {value}" for name, value in row["options"].items()) or "—"
        measured = f"{row['median_ms']:.1f}" if row["valid"] else "void"
        lines.append(f"| {row['name']} | {options} | {measured} | {row['ratio']:.2f} |")
    return "\n".join(lines)


def render(text: str) -> str:
    """The README with every table replaced by what was measured last."""
    for name, table in (("decode", decode_table()),):
        text = re.sub(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", rf"\g<1>{table}\n\g<2>", text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(render(readme.read_text()))
