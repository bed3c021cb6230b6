"""Google's widest MobileNetV1, which keeps the last stride and the last doubling of channels, is imported as it computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bottomup.errors import BottomupError
from bottomup.importers.personlab import import_personlab
from bottomup.plan.model import ModelPlan
from tests.unit.importers import google

SIDE = 65
TOLERANCE = 1e-4  # of a map's largest absolute value
OURS = {
    "heatmap_2": "heatmap_logits",
    "offset_2": "short_offsets",
    "segment_2": "segmentation_logits",
    "embedding_2": "long_offsets",
}


def by_google_s_names(outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Maps (h, w, C) as Google has them: all y of an offset field, then all x."""
    maps = {theirs: outputs[ours] for theirs, ours in OURS.items() if ours in outputs}
    maps["displacement_fwd_2"], maps["displacement_bwd_2"] = outputs["mid_offsets"].chunk(2)
    flat = {name: torch.cat((field[:, 1], field[:, 0])) if field.dim() == 4 else field for name, field in maps.items()}
    return {name: field.permute(1, 2, 0) for name, field in flat.items()}


@pytest.mark.parametrize(("layout", "output_stride"), [("posenet", 16), ("posenet", 32), ("bodypix", 8), ("bodypix", 16)])
def test_it_computes_what_numpy_does(layout: google.Layout, output_stride: int, tmp_path: Path) -> None:
    file, layers = google.write(tmp_path, layout, google.drawn(layout))
    assert len(list(tmp_path.glob("*.bin"))) > 1
    checkpoint, unused = import_personlab(file, output_stride, refine=0)
    assert {name.split("/")[1] for name in unused} == {name for name in google.HEADS[layout] if name.startswith("part_")}
    model, _ = ModelPlan.of(checkpoint.config).compose(checkpoint.task)
    model.load_state_dict(checkpoint.model)
    image = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    with torch.no_grad():
        outputs = model.eval()(torch.from_numpy(image).permute(2, 0, 1)[None], stages="all")[-1]
    given = by_google_s_names({key: maps[0] for key, maps in outputs.items()})
    expected = google.forward(image / 127.5 - 1, layers, output_stride)
    assert given.keys() == {name for name in google.HEADS[layout] if not name.startswith("part_")}
    for name, maps in given.items():
        assert maps.shape == expected[name].shape == ((SIDE - 1) // output_stride + 1,) * 2 + (google.HEADS[layout][name],)
        assert np.abs(maps.numpy() - expected[name]).max() <= TOLERANCE * np.abs(expected[name]).max(), name


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        ("Conv2d_0", (3, 3, 4, 32), r"\(3, 3, 3, 32\)"),
        ("Conv2d_5_pointwise", (1, 1, 256, 255), r"\(1, 1, 256, 256\), as MobileNetV1 of width 1.00"),
        ("Conv2d_1_pointwise", (1, 1, 32, 100_000), "as MobileNetV1 of width 1562.50"),
        ("Conv2d_13_pointwise", (1, 1, 1024, 768), r"Conv2d_12_pointwise.* \(1, 1, 512, 512\)"),
        ("heatmap_2", (1, 1, 1024, 14), r"\(1, 1, 1024, 17\), as PersonLab's head heatmap_2"),
    ],
)
def test_another_network_is_refused_at_its_first_difference(
    layer: str, shape: tuple[int, ...], expected: str, tmp_path: Path
) -> None:
    """Before a network of those widths is built, which might take all of the memory."""
    other = google.Layer(layer, np.zeros(shape, np.float32), np.zeros(shape[3], np.float32))
    layers = [other if one.name == layer else one for one in google.drawn("posenet")]
    file, _ = google.write(tmp_path, "posenet", layers)
    with pytest.raises(BottomupError, match=expected):
        import_personlab(file)


def test_a_head_that_is_missing_is_named(tmp_path: Path) -> None:
    file, _ = google.write(tmp_path, "posenet", [layer for layer in google.drawn("posenet") if layer.name != "offset_2"])
    with pytest.raises(BottomupError, match="0 convolutions called offset_2"):
        import_personlab(file)


def test_narrower_networks_have_no_stride_of_32(shared: Path) -> None:
    with pytest.raises(BottomupError, match="at most native_stride, 16, got 32"):
        import_personlab(shared / "weights/posenet_mobilenetv1_075_stride16/posenet.json", output_stride=32)
