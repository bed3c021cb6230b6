"""What was composed once is kept where nobody can change the files that it is of, and is never handed out twice."""

from __future__ import annotations

import copy
from pathlib import Path

from bottomup.plan.composing import load_config
from bottomup.plan.files import choices


def test_who_changes_a_configuration_changes_nobody_else_s() -> None:
    typed = ["experiment=demo/personlab", "backbone=hourglass_tiny", "decoder=prn"]
    first = load_config("train", typed)
    expected = copy.deepcopy(first)
    for part in ("backbone", "decoder", "heads"):
        first[part].clear()
    assert load_config("train", typed) == expected
    assert load_config("train", typed[:1])["decoder"]["name"] == "personlab"


def test_files_of_one_s_own_are_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "experiment" / "mine.yaml"
    file.parent.mkdir()
    place = f"hydra.searchpath=[{tmp_path}]"
    for steps in (3, 4):
        file.write_text(f"# @package _global_\nengine: {{steps: {steps}}}\n")
        assert load_config("train", [place, "experiment=mine"])["engine"]["steps"] == steps
    file.rename(file.with_name("other.yaml"))
    assert {"mine", "other"} & set(choices("experiment", [place])) == {"other"}
    assert not {"mine", "other"} & set(choices("experiment"))
