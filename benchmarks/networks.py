"""Tables of published networks for the pages: what is known of each, what was measured, which to take for what."""

from __future__ import annotations

from pathlib import Path

from bottomup.benchmark.results import Row, read_result
from bottomup.report.markdown import NOTHING, markdown_table, number, share
from bottomup.zoo.entries import Entry, entries, entry_named

RESULT = Path(__file__).parent / "results" / "zoo.json"
_TAKEN = {  # for what -> the network to take
    "the most accurate poses, on a GPU": "higherhrnet_w48",
    "half the weights, nearly as accurate": "hrnet_w32",
    "people in crowds, 14 keypoints": "higherhrnet_w32_crowdpose",
    "feet, face and hands as well, 133 keypoints": "higherhrnet_w32_wholebody",
    "boxes as well": "multiposenet_r101",
    "CPUs and small devices": "posenet",
    "masks as well": "bodypix",
}


def choice_table() -> str:
    """Which network to take for what."""
    rows = [[what, f"`{name}`", *_size_and_licence(entry_named(name))] for what, name in _TAKEN.items()]
    return markdown_table(["for what", "take", "AP, as printed", "parameters", "licence"], rows)


def published_table() -> str:
    """One row a network of the zoo, with what its authors say."""
    names = ["name", "what", "keypoints", "published AP", "parameters", "licence", "comes"]
    return markdown_table(names, [_published(entry) for entry in entries()])


def measured_table() -> str:
    """One row a network of benchmarks/results/zoo.json."""
    if not RESULT.is_file():
        return "Not measured yet: `python benchmarks/zoo.py data=coco data.root=FOLDER`."
    result = read_result(RESULT)
    heading = (
        f"On one core ({result['device']}), {result['config']['side']} x {result['config']['side']} px; medians of "
        f"{result['config']['runs']} images:"
    )
    blocks = ("backbone", "necks", "heads", "decoder", "total")
    names = ["name", "parameters", "GMACs", *(f"{block} ms" for block in blocks), "AP, ideal maps", "published AP", "of"]
    rows = [_measured(row, blocks) for row in result["rows"] if row["parameters"] is not None]
    reasons = [f"- {row['name']}: {row['reason']}" for row in result["rows"] if row["reason"]]
    return "\n".join([heading, "", markdown_table(names, rows), "", *reasons]).strip()


def _size_and_licence(entry: Entry) -> list[str]:
    figure = next(iter(entry.published), None)
    return [share(figure.AP) if figure else NOTHING, f"{entry.parameters:.1f} M", entry.licence]


def _published(entry: Entry) -> list[str]:
    figures = "; ".join(f"{figure.AP:.3f} ({figure.images}, {figure.protocol})" for figure in entry.published)
    printed = f"[{figures}]({entry.figures})" if figures else NOTHING
    comes = "by itself" if entry.url else f"[by hand]({entry.by_hand})"
    named = ", ".join(f"`{name}`" for name in entry.names)
    return [named, entry.about, str(entry.keypoints), printed, f"{entry.parameters:.1f} M", entry.licence, comes]


def _measured(row: Row, blocks: tuple[str, ...]) -> list[str]:
    times = [number(row["ms"].get(block), ".0f") for block in blocks]
    published = [share(row["published_AP"]), row["published"] or NOTHING]
    return [
        f"`{row['name']}`",
        f"{row['parameters'] / 1e6:.1f} M",
        number(row["gigamacs"], ".1f"),
        *times,
        share(row["ideal_AP"]),
        *published,
    ]
