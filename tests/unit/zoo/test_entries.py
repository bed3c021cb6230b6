"""Every published network is described whole, and what does not fit is told with its file and field."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from bottomup.errors import ConfigError
from bottomup.plan.files import available, config_folder
from bottomup.skeletons import skeleton_named
from bottomup.zoo.entries import Entry, entries, entry_named, names, read_entry

LAYOUTS = {  # what an authors' own network holds, in reference/networks -> the networks that are such
    "mmpose_hrnet_w32": ["hrnet_w32"],
    "mmpose_hrnet_w48": ["hrnet_w48"],
    "mmpose_higherhrnet_w32": ["higherhrnet_w32", "higherhrnet_w32_640"],
    "mmpose_higherhrnet_w48": ["higherhrnet_w48"],
    "mmpose_higherhrnet_w32_crowdpose": ["higherhrnet_w32_crowdpose"],
    "mmpose_higherhrnet_w32_wholebody": ["higherhrnet_w32_wholebody"],
    "mmpose_hourglass_ae": ["hourglass_ae"],
    "mmpose_mobilenetv2": ["mobilenetv2_ae"],
    "mmpose_res50": ["resnet50_ae", "resnet50_ae_640"],
    "mmpose_res101": ["resnet101_ae"],
    "mmpose_res152": ["resnet152_ae"],
    "higher_hrnet_w32": ["higherhrnet_w32_authors"],
    "higher_hrnet_w48": ["higherhrnet_w48_authors"],
    "pose_ae_train": ["pose_ae"],
    "multiposenet_pytorch_r101": ["multiposenet_r101"],
    "prn_pytorch": ["prn"],
}
MEASURED = (".running_mean", ".running_var", ".num_batches_tracked")  # of batch norm, which nobody trains


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_what_is_said_of_a_network_goes_together(entry: Entry) -> None:
    assert entry.keypoints == len(skeleton_named(entry.skeleton))
    if entry.importer == "mmpose":  # whose names end in the hash and the day
        assert entry.sha256 == entry.file.rpartition("-")[2].partition("_")[0]
    assert entry.url is None or entry.url.endswith(f"/{entry.file}")
    assert not entry.published or entry.figures
    assert entry.commercial != ("non-commercial" in entry.licence)


def test_names_are_told_apart_from_each_other_and_from_methods() -> None:
    assert len(set(names())) == len(names())
    assert not set(names()) & set(available())
    assert {entry.importer for entry in entries()} == {"tfjs", "mmpose", "higherhrnet", "pose_ae", "multiposenet", "prn"}
    assert entry_named("posenet") is entry_named("posenet_075_16")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_holds_as_many_parameters_as_is_said(layout: str, shared: Path) -> None:
    held = json.loads(str(np.load(shared / "reference" / "networks" / f"{layout}.npz")["layout"]))
    count = sum(math.prod(shape) for key, shape in dict(held).items() if not key.endswith(MEASURED))
    for name in LAYOUTS[layout]:
        assert entry_named(name).parameters == pytest.approx(count / 1e6, abs=0.05)


FAULTS = {
    "a misspelt field": ({"licens": "MIT"}, "did you mean 'licence'"),
    "a field of another kind": ({"input_size": "large"}, "input_size should be a whole number"),
    "an unknown importer": ({"importer": "mmpos"}, "did you mean 'mmpose'"),
    "a missing field": ({"licence": None}, "needs licence"),
    "no hash": ({"sha256": None}, "sha256 is missing"),
    "a hash that is none": ({"sha256": "BCB8C247"}, "sha256 should be"),
    "a file in a folder": ({"file": "../a.pth"}, "file should be a name without folders"),
    "two places to have it from": ({"by_hand": "https://example.org"}, "give either url"),
    "no place to have it from": ({"url": None}, "give either url"),
    "a figure that is no share": ({"published": [{"AP": 65.4, "images": "val", "protocol": "flip"}]}, "published.AP should be"),
    "a figure without a protocol": ({"published": [{"AP": 0.6, "images": "val"}]}, "published needs protocol"),
    "a figure of YAML's truth": ({"published": [{"AP": 0.6, "images": "val", True: "val"}]}, "no option named 'True'"),
    "a figure alone": ({"published": [0.6]}, "published should be a list of mappings"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_with_file_and_field(fault: str, tmp_path: Path) -> None:
    changes, told = FAULTS[fault]
    given = yaml.safe_load((config_folder() / "zoo" / "hrnet_w32.yaml").read_text()) | changes
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({name: value for name, value in given.items() if value is not None}))
    with pytest.raises(ConfigError) as error:
        read_entry(file)
    assert str(error.value).startswith(f"{file}: ") and told in str(error.value)


@pytest.mark.parametrize("text", ["about: [", "- a", ""])
def test_a_file_that_is_no_description_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.yaml: "):
        read_entry(tmp_path / "mine.yaml")
