"""A trained model goes to a folder or a hub and comes back bit for bit, and whatever is none is one sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch

from bottomup import load
from bottomup.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from bottomup.cli import main
from bottomup.errors import CheckpointError
from bottomup.hub import Pretrained
from bottomup.zoo.hub import downloaded, is_hub_name
from bottomup.zoo.weights import checkpoint_file, present_file
from tests.coco_folders import drawn, untrained, write_folder

FILES = ("config.json", "model.safetensors")
Capture = pytest.CaptureFixture[str]
REVISION = "0" * 39 + "1"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def folder(weights: Path, tmp_path: Path) -> Path:
    Pretrained.of(weights).save_pretrained(tmp_path / "people")
    return tmp_path / "people"


def same(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether two checkpoints predict alike: weights to the bit, and all that is said of them."""
    alike = one.weights.keys() == other.weights.keys() and (one.config, one.task) == (other.config, other.task)
    return alike and all(torch.equal(tensor, other.weights[name]) for name, tensor in one.weights.items())


def test_a_folder_holds_the_model_to_the_bit(weights: Path, folder: Path) -> None:
    assert same(load_checkpoint(weights), load_checkpoint(folder))
    assert same(load_checkpoint(weights), Pretrained.from_pretrained(folder).checkpoint)
    image = drawn(0, 17)
    for key, maps in load(weights).maps(image)[1].items():
        assert torch.equal(maps, load(folder).maps(image)[1][key])


def test_what_predicts_is_kept_and_nothing_of_the_training(weights: Path, tmp_path: Path) -> None:
    whole = load_checkpoint(weights)
    halved = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in whole.model.items()}
    averaged = Checkpoint(whole.config, whole.task, whole.model, halved, {"step": 3}, whole.versions)
    Pretrained.of(save_checkpoint(tmp_path / "last.pt", averaged)).save_pretrained(tmp_path / "last")
    again = load_checkpoint(tmp_path / "last")
    assert again.training is None and again.average is None
    assert all(torch.equal(tensor, halved[name]) and tensor.dtype == halved[name].dtype for name, tensor in again.model.items())


def test_the_card_says_what_the_model_is(weights: Path, tmp_path: Path) -> None:
    said = {"title": "People of a street", "name": "somebody/people", "note": "Trained on drawn people; CC0."}
    Pretrained.of(weights).save_pretrained(tmp_path, model_card_kwargs=said)
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\n") and "library_name: bottomup" in card and "pipeline_tag: keypoint-detection" in card
    assert all(text in card for text in said.values()) and 'bottomup.load("somebody/people")' in card
    assert "| decoder | associative_embedding |" in card and "left_shoulder" in card
    assert "\n\n|" not in card.split("|---|---|")[1]  # one table, no gaps in it


def test_every_command_takes_a_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "data")
    images = tmp_path / "data" / "val"
    assert main(["predict", "weights=people", f"images={images}", "output=found", "workers=0"]) == 0
    assert json.loads((tmp_path / "found" / "metrics.json").read_text())["images"] > 0
    assert present_file("people") == Path("people/model.safetensors")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json: not readable .*take the whole folder"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors: not readable .*take the whole folder"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json: not JSON"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'), "not of a model of bottomup"),
        (lambda folder: (folder / "config.json").write_text("[" * 10**6), "config.json: not JSON"),
        (lambda folder: flip(folder / "model.safetensors"), "not the weights that config.json beside it tells of"),
        (lambda folder: said(folder, format="bottomup checkpoint 9"), "of a later version of bottomup"),
        (lambda folder: said(folder, config=[]), "without its config"),
        (lambda folder: said(folder, task={}), "what it says of its model cannot be"),
        (lambda folder: hashed(folder, b"none"), "not readable as safetensors"),
    ],
)
def test_a_folder_that_was_changed_is_one_sentence(change: Callable[[Path], None], sentence: str, folder: Path) -> None:
    change(folder)
    with pytest.raises(CheckpointError, match=sentence) as raised:
        load(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("part", "value", "sentence"),
    [
        ("backbone", {"name": "hourglas"}, "people: what it says .*no backbone named 'hourglas'"),
        ("heads", {"heatmap": {"sigma": "wide"}}, "people: what it says .*heads.heatmap.sigma should be a number"),
        ("heads", {"heatmap": {"weight": -1}}, "people: what it says .*heads.heatmap.weight should be"),
        ("heads", [], "people: what it says .*heads should be"),
        ("decoder", None, "people: what it says .*decoder: no `name`"),
        ("input_size", None, "people: what it says .*input_size should be"),
        ("side", None, "people: what it says .*side should be"),
        ("backbone", {"name": "hourglass", "stacks": 10**9}, "people: what it says .*parameters is asked for"),
    ],
)
def test_a_folder_whose_model_cannot_be_is_named(part: str, value: object, sentence: str, folder: Path, capsys: Capture) -> None:
    config = json.loads((folder / "config.json").read_text())["config"]
    said(folder, config=config | {part: value})
    with pytest.raises(CheckpointError, match=sentence) as raised:
        load(folder)
    assert str(folder) in str(raised.value)
    (folder.parent / "a.png").touch()
    assert main(["predict", f"weights={folder}", f"images={folder.parent}"]) == 1
    assert f"{folder}: what it says of its model cannot be" in capsys.readouterr().err


def test_what_is_typed_on_top_of_a_folder_is_no_fault_of_it(folder: Path, capsys: Capture) -> None:
    (folder.parent / "a.png").touch()
    assert main(["predict", f"weights={folder}", f"images={folder.parent}", "heads.heatmap.sigma=wide"]) == 1
    told = capsys.readouterr().err
    assert "heads.heatmap.sigma should be a number" in told and str(folder) not in told


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def said(folder: Path, **changed: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))


def hashed(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    said(folder, weights_sha256=hashlib.sha256(content).hexdigest())


def test_weights_that_are_not_finite_are_not_written(weights: Path, tmp_path: Path) -> None:
    model = Pretrained.of(weights)
    next(iter(model.checkpoint.model.values())).view(-1)[0] = torch.nan
    with pytest.raises(CheckpointError, match="not finite"):
        model.save_pretrained(tmp_path / "none")
    assert not any((tmp_path / "none").iterdir())


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("user/name", True),
        ("user/hrnet-w32.v1", True),
        ("user/name@v1.2", True),
        ("outputs/demo/best.pt", False),
        ("run/best.pt", False),
        ("posenet", False),
        ("../name", False),
        ("/user/name", False),
    ],
)
def test_names_of_a_hub_are_told_from_paths(given: str, named: bool) -> None:
    assert is_hub_name(given) is named


def test_what_stands_in_a_folder_that_is_here_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    assert checkpoint_file("outputs/misspelt") == Path("outputs/misspelt")


@contextmanager
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub on this machine with ``somebody/people``; yields what was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            asked.append(self.path)
            content = answers(folder).get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("ETag", f'"{hashlib.sha256(content or b"").hexdigest()}"')
            self.end_headers()
            if body and content:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    for module in ("constants", "file_download"):  # the latter has a copy of the template in older versions
        template = f"huggingface_hub.{module}.HUGGINGFACE_CO_URL_TEMPLATE"
        monkeypatch.setattr(template, address + "/{repo_id}/resolve/{revision}/{filename}", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder.parent / "cache"))
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()


def answers(folder: Path) -> dict[str, bytes]:
    """What the hub has, by the path of each file at a branch, a tag and the commit of both."""
    at = ("main", "v1", REVISION)
    return {f"/somebody/people/resolve/{revision}/{name}": (folder / name).read_bytes() for revision in at for name in FILES}


def test_a_name_on_a_hub_is_fetched_once(weights: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = str(folder.parent / "cache")
    with hub(folder, monkeypatch) as asked:
        found = downloaded("somebody/people@v1", cache_dir=cache)
        assert same(load_checkpoint(found), load_checkpoint(weights))
        assert sorted(path.name for path in found.iterdir()) == sorted(FILES)  # not the card
        assert same(Pretrained.from_pretrained("somebody/people", cache_dir=cache).checkpoint, load_checkpoint(weights))
        fetched = [path for path in asked if path.endswith("safetensors")]
        with pytest.raises(CheckpointError, match="somebody/nothing: no such checkpoint here, and the hub gives none"):
            checkpoint_file("somebody/nothing")
    again = downloaded("somebody/people@v1", cache_dir=cache, local_files_only=True)  # the hub is gone by now
    assert again == found and len(fetched) == len([path for path in asked if path.endswith("safetensors")])
