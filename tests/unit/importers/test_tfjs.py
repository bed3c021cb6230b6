"""Google's own weights through our reader and network give Google's own maps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bottomup.cli import main
from bottomup.errors import CheckpointError
from bottomup.importers.personlab import import_personlab
from bottomup.importers.tfjs import read_graph_model
from bottomup.plan.model import ModelPlan

POSENET = "posenet_mobilenetv1_075_stride16/posenet.json"
REFERENCES = {  # folder of the reference -> weights, output stride
    "posenet_coco197388_513": (POSENET, 16),
    "bodypix_coco197388_float-050_s16": ("bodypix_mobilenetv1_050_float/model-stride16.json", 16),
    "bodypix_coco40083_float-050_s16": ("bodypix_mobilenetv1_050_float/model-stride16.json", 16),
    "bodypix_coco785_quant2-075_s16": ("bodypix_mobilenetv1_075_quant2/model-stride16.json", 16),
    "bodypix_coco40083_quant2-075_s8_fixdil": ("bodypix_mobilenetv1_075_quant2/model-stride8.json", 8),
}
FILES = {  # our key -> names of the files that hold it
    "heatmap_logits": ("heatmap", "heatmapScores"),
    "short_offsets": ("offset", "offsets"),
    "forward": ("fwd", "displacementFwd"),
    "backward": ("bwd", "displacementBwd"),
    "segmentation_logits": ("segmentation",),
    "long_offsets": ("longOffsets",),
}


def googles(maps: Tensor) -> Tensor:
    """Offsets (C, 2, h, w) as Google lays them out, (h, w, 2 C), all y before all x; other maps (C, h, w) as (h, w, C)."""
    flat = torch.cat((maps[:, 1], maps[:, 0])) if maps.dim() == 4 else maps
    return flat.permute(1, 2, 0)


@pytest.mark.parametrize("name", REFERENCES)
def test_google_s_maps_come_out(name: str, shared: Path) -> None:
    weights, stride = REFERENCES[name]
    folder = shared / "reference" / name
    checkpoint, _ = import_personlab(shared / "weights" / weights, stride, refine=0)
    model, _ = ModelPlan.of(checkpoint.config).compose(checkpoint.task)
    model.load_state_dict(checkpoint.model)
    model.eval().double()  # the sums of float32 differ by 2e-3 of offsets of 50 px, whoever adds them
    image = torch.from_numpy(np.load(folder / "input.npy")).double().view(-1, *np.load(folder / "input.npy").shape[-3:])
    pixels = (image.permute(0, 3, 1, 2) + 1) / 2 * 255  # the network's own range back to that of images
    with torch.no_grad():
        outputs = {key: maps[0] for key, maps in model(pixels, stages="all")[-1].items()}
    outputs["forward"], outputs["backward"] = outputs.pop("mid_offsets").chunk(2)
    compared = 0
    for key, maps in outputs.items():
        files = [folder / f"{file}.npy" for file in FILES[key] if (folder / f"{file}.npy").is_file()]
        expected = torch.from_numpy(np.load(files[0])).squeeze(0)
        given = googles(maps.sigmoid() if files[0].stem == "heatmapScores" else maps)
        assert (given - expected).abs().max() < 1e-3, key
        compared += 1
    assert compared == (4 if name.startswith("posenet") else 6)


def test_every_tensor_is_used_or_named(shared: Path) -> None:
    assert import_personlab(shared / "weights" / POSENET)[1] == []
    _, unused = import_personlab(shared / "weights/bodypix_mobilenetv1_050_float/model-stride16.json")
    assert {name.split("/")[1] for name in unused} == {"part_heatmap_2", "part_offset_2"}


def test_the_command_writes_an_ordinary_checkpoint(shared: Path, tmp_path: Path) -> None:
    assert main(["import-weights", "tfjs", str(shared / "weights" / POSENET), f"output={tmp_path}"]) == 0
    image = shared / "reference/images/000000040083.jpg"
    assert main(["predict", f"weights={tmp_path}/best.pt", f"images={image}", f"output={tmp_path}/predict"]) == 0
    assert json.loads((tmp_path / "predict" / "predictions.json").read_text())


def test_quantised_tensors_are_read(tmp_path: Path) -> None:
    entries = [
        {"name": "a", "shape": [3], "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0}},
        {"name": "b", "shape": [2], "dtype": "float32", "quantization": {"dtype": "uint16", "scale": 0.25, "min": 0.0}},
    ]
    model = {"modelTopology": {"node": []}, "weightsManifest": [{"paths": ["w.bin"], "weights": entries}]}
    (tmp_path / "model.json").write_text(json.dumps(model))
    (tmp_path / "w.bin").write_bytes(np.array([0, 2, 255], np.uint8).tobytes() + np.array([4, 65535], np.uint16).tobytes())
    tensors = read_graph_model(tmp_path / "model.json").tensors
    assert tensors["a"].tolist() == [-1.0, 0.0, 126.5] and tensors["b"].tolist() == [1.0, 16383.75]
    (tmp_path / "w.bin").write_bytes(b"\0")
    with pytest.raises(CheckpointError, match="1 bytes, the JSON says 7"):
        read_graph_model(tmp_path / "model.json")
    (tmp_path / "w.bin").unlink()
    with pytest.raises(CheckpointError, match=r"w\.bin"):
        read_graph_model(tmp_path / "model.json")


def test_a_foreign_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.json").write_text("{}")
    assert main(["import-weights", "tfjs", str(tmp_path / "other.json"), f"output={tmp_path}"]) == 1
    assert "modelTopology" in capsys.readouterr().err
    assert main(["import-weights", "tfsj", str(tmp_path / "other.json"), f"output={tmp_path}"]) == 1
    assert "did you mean 'tfjs'" in capsys.readouterr().err
