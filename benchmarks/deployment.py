"""The tables of what runs elsewhere or goes on in time: exported networks, the page for browsers, people along videos."""

from __future__ import annotations

from pathlib import Path

from bottomup.benchmark.results import read_result
from bottomup.report.markdown import markdown_table, share

RESULTS = Path(__file__).parent / "results"


def export_table() -> str:
    """One row a network of benchmarks/results/export.json."""
    result = read_result(RESULTS / "export.json")
    ways = ("eager", "program", "onnx")
    cells = [
        [
            row["name"] + ("" if row["AP"] is None else f" (AP {share(row['AP'])})"),
            f"{row['size']} px",
            str(row["photos"]),
            f"{row['instances']}, {row['shown']}",
            *(f"{row[way]['differing']}, {row[way]['differing_shown']}" for way in ("program", "onnx", "float64")),
            *(f"{row[way]['keypoints_px']:.1g}" for way in ("onnx", "float64")),
            *(f"{row[way]['scores']:.1g}" for way in ("onnx", "float64")),
            f"{row['megabytes']:.1f}",
            *(f"{row['ms'][way]:.0f}" for way in ways),
        ]
        for row in result["rows"]
    ]
    heading = f"On one core ({result['device']}); ms are medians, of network and decoder. Instances differ whose keypoints are"
    limits = f"{result['config']['within']['keypoints']} px apart or more, or a score {result['config']['within']['scores']};"
    second = "the second of two numbers is of those worth showing:"
    names = ["network, decoder", "long side", "photos", "instances"]
    names += [f"differ, {way}" for way in ("program", "ONNX", "float64")]
    names += [f"{what}, {way}" for what in ("px", "scores") for way in ("ONNX", "float64")]
    table = markdown_table([*names, "MB", "PyTorch, ms", "program, ms", "ONNX Runtime, ms"], cells)
    return f"{heading} {limits} {second}\n\n{table}"


def page_table() -> str:
    """One row a network and a kind of pictures of benchmarks/results/page.json."""
    result = read_result(RESULTS / "page.json")
    told = result["config"]
    cells = [
        [
            f"{row['name']}, {row['input_size']} px",
            kind,
            *(str(figures[key]) for key in ("pictures", "people", "differ")),
            f"{figures['px']:.3f}",
            *(f"{figures[key]:.0f}" for key in ("ms", "python_ms")),
        ]
        for row in result["rows"]
        for kind, figures in row["figures"].items()
    ]
    heading = (
        f"The page has {told['megabytes']:.1f} MB, is ready after {told['ready_s']:.1f} s and made {told['requests']} requests, in "
        f"{told['browser']} ({result['device']}, other work beside it); ms are medians, from a picture's pixels to people. "
        f"People differ where a keypoint lies more than {told['within']} px away, or where one alone has them:"
    )
    names = ["network", "pictures", "number", "people", "differ", "keypoints of the others, px", "page, ms", "`bottomup.load`, ms"]
    return f"{heading}\n\n{markdown_table(names, cells)}"


def tracking_table() -> str:
    """One row a source of people and a set of cues of benchmarks/results/tracking.json."""
    cells = [
        [
            row["source"],
            row["cues"],
            share(row["idf1"]),
            share(row["mota"]),
            *(f"{row[key]:.0f}" for key in ("num_switches", "num_misses")),
        ]
        for row in read_result(RESULTS / "tracking.json")["rows"]
    ]
    return markdown_table(["people of", "cues", "IDF1", "MOTA", "identity switches", "missed"], cells)
