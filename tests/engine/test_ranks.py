"""Several ranks are one process: they predict, judge and validate as that does, to the last bit, and end together."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.distributed as dist

from bottomup.cli import main
from bottomup.commands import predict
from bottomup.engine.distributed import Ranks, first_to_say, ranks
from bottomup.evaluation.run import Evaluation, evaluate_dataset
from bottomup.plan.training import train_plan
from bottomup.predictor import Predictor
from bottomup.samples.groups import drawn_alike
from bottomup.skeletons import COCO
from bottomup.types import Task
from bottomup.workflows.validation import make_validation
from tests.coco_folders import untrained
from tests.pages import ROOT
from tests.ranks import in_ranks

TINY = ["experiment=demo/associative_embedding", "input_size=64", "backbone.channels=8", "backbone.growth=4", "workers=0"]
EAGER = ["decoder.detection_threshold=0.0001", "decoder.fill_threshold=null"]  # even an untrained network finds somebody
PREDICT = [*EAGER, "score_threshold=0", "batch_size=3", "draw=false"]
JUDGED = ["data=synthetic", "data.size=64", "data.images=7", "batch_size=2", "pictures=0", "workers=0"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two shapes, so that batches are not those of chunks; one is no image."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(9):
        size = (48, 64, 3) if number % 3 else (64, 48, 3)
        cv2.imwrite(str(folder / f"{number}.png"), np.random.default_rng(number).integers(0, 256, size, np.uint8))
    (folder / "none.png").write_bytes(b"")
    return folder


def predicted(weights: Path, images: Path, output: Path) -> int:
    predict._CHUNK = 2
    return main(["predict", f"weights={weights}", f"images={images}", f"output={output}", *PREDICT])


def evaluated(weights: Path, output: Path) -> int:
    return main(["evaluate", f"weights={weights}", f"output={output}", *EAGER, *JUDGED])


def validated(output: Path) -> None:
    """What a validation says of weights that are each rank's own until it begins."""
    plan = train_plan([*TINY, *EAGER, "validation.limit=11"])
    with ranks("cpu") as place:
        torch.manual_seed(place.rank)
        model, decoder = plan.model.compose(Task(COCO))
        if place.rank:
            for tensor in (*model.parameters(), *model.buffers()):
                tensor.data.zero_()
        found = make_validation(plan, model, decoder, place, ())(model.eval())
        if place.first:
            output.mkdir()
            (output / "figures.pkl").write_bytes(
                pickle.dumps((found.metrics, [picture.tobytes() for picture in found.pictures.values()]))
            )


def test_two_ranks_predict_judge_and_validate_as_one_process_does(weights: Path, images: Path, tmp_path: Path) -> None:
    for name, world in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        first, *others = in_ranks(predicted, weights, images, tmp_path / name / "predict", world=world)
        assert first.code == 1 and "1 of 10 images could not be read, first none.png" in first.said, first.said
        ended = in_ranks(evaluated, weights, tmp_path / name / "evaluate", world=world)
        ended += in_ranks(validated, tmp_path / name / "validate", world=world)
        assert {one.code for one in ended + others} == {0}, [one.said for one in ended]
    for file in ("predict/predictions.json", "predict/metrics.json", "evaluate/predictions.json", "evaluate/metrics.json"):
        assert (tmp_path / "two" / file).read_bytes() == (tmp_path / "one" / file).read_bytes(), file
    assert len(json.loads((tmp_path / "one/predict/predictions.json").read_text())) > 9
    figures, others_figures = (pickle.loads((tmp_path / name / "validate/figures.pkl").read_bytes()) for name in ("one", "two"))
    np.testing.assert_equal(figures, others_figures)
    assert not np.isnan(figures[0]["loss"]) and "AP" in figures[0]


def faulty(output: Path) -> Evaluation:
    """Judge what chance draws, on maps of people's pixels besides; written by the first rank."""
    plan = train_plan(["experiment=multiposenet/prn", "data=synthetic", "data.size=64"])
    dataset = train_plan(["data=synthetic", "data.size=64"]).data.dataset("val", 5)
    torch.manual_seed(0)
    model, decoder = plan.model.compose(dataset.task)
    with ranks("cpu") as place:
        predictor = Predictor(model, decoder, input_size=64, batch_size=2)
        evaluation = evaluate_dataset(predictor, dataset, oracle=plan.model.given, seed=3, place=place)
        if place.first:
            output.write_text(repr(evaluation.metrics))
    return evaluation


def test_what_an_oracle_draws_is_the_same_on_all_ranks(tmp_path: Path) -> None:
    for name, world in (("one", 1), ("two", 2)):
        ended = in_ranks(faulty, tmp_path / name, world=world)
        assert {one.code for one in ended} == {0}, ended
    assert (tmp_path / "two").read_text() == (tmp_path / "one").read_text()


def test_chance_leaves_no_trace() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    with drawn_alike(0, [4]):
        first = torch.rand(3)
    with drawn_alike(1, [4]):
        other = torch.rand(3)
    assert torch.equal(torch.random.get_rng_state(), before) and not torch.equal(first, other)


def meeting(output: Path) -> None:
    with ranks("cpu") as place:
        items = list(range(5))
        seen = list(place.in_turn((10 * item for item in place.share(items)), len(items)))
        assert seen == ([0, 10, 20, 30, 40] if place.first else [])
        assert place.shared(place.rank + 7) == 7
        (output / str(place.rank)).touch()


def test_what_ranks_make_comes_in_order_to_the_first(tmp_path: Path) -> None:
    assert [one.code for one in in_ranks(meeting, tmp_path, world=3)] == [0, 0, 0] and len(list(tmp_path.iterdir())) == 3
    assert list(Ranks().in_turn(iter("abc"), 3)) == ["a", "b", "c"]


def failing(weights: Path, images: Path, output: Path, rank: str) -> int:
    def broken(*_: object) -> None:
        if os.environ["RANK"] == rank:
            raise predict.ConfigError("this one cannot")
        return lines(*_)

    lines, predict.Looking._lines = predict.Looking._lines, broken  # type: ignore[method-assign]
    return predicted(weights, images, output)


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_rank_that_fails_ends_all_with_one_sentence(weights: Path, images: Path, tmp_path: Path, rank: str) -> None:
    ended = in_ranks(failing, weights, images, tmp_path / "out", rank)
    assert [one.code for one in ended] == [1, 1] and not any("Traceback" in one.said for one in ended)
    assert ["this one cannot" in one.said for one in ended] == [rank == "0", rank == "1"]


def test_of_all_who_have_something_to_say_one_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by torchrun, which keeps what its processes tell each other."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    told = {"WORLD_SIZE": "2", "TORCHELASTIC_USE_AGENT_STORE": "True", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert [first_to_say() for _ in range(3)] == [True, False, False]
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "False")
    assert [first_to_say() for _ in range(2)] == [True, True]


def test_torchrun_starts_them(weights: Path, images: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "bottomup", "predict"]
    typed = [f"weights={weights}", f"images={images}", f"output={tmp_path / 'out'}", *PREDICT]
    done = subprocess.run([*command, *typed], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 1 and done.stderr.count("bottomup predict: ") == 1, done.stderr
    assert "1 of 10 images could not be read, first none.png" in done.stderr
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["images"] == 9
