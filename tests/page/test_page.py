"""The page is one file that needs nothing else, and finds in a browser whom Python finds."""

from __future__ import annotations

import json
import re
import stat
import tarfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import bottomup
from benchmarks.browser import Browser, chromium
from benchmarks.page import apart, seen
from bottomup.cli import main
from bottomup.errors import ConfigError, DataError
from bottomup.export.graph import maps_of, program_of
from bottomup.page import onnxruntime_web as fetching
from bottomup.page.assembly import SCRIPTS, assemble, modules
from bottomup.page.networks import PageNetwork, numbered
from bottomup.page.onnxruntime_web import OnnxruntimeWeb, onnxruntime_web
from bottomup.plan.model import ModelPlan
from bottomup.runtime.contract import Contract
from bottomup.skeletons import COCO
from bottomup.types import Task
from tests.page.test_scripts import CASES, contract

HOURGLASS = {"name": "hourglass", "stacks": 1, "levels": 1, "channels": 8, "growth": 4}
NOISE = {
    "backbone": HOURGLASS,
    "heads": {"heatmap": {}, "tags": {}},
    "decoder": {"name": "associative_embedding", "max_people": 3, "detection_threshold": 0.0, "tag_threshold": 0.1},
}


_TWO = """(async () => {
  const read = window.createImageBitmap, late = new Promise((done) => setTimeout(done, 400));
  window.createImageBitmap = async (...given) => {
    window.createImageBitmap = read;
    await late;
    return read(...given);
  };
  for (const [width, height] of [[100, 300], [300, 100]]) {
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d").fillRect(0, 0, width, height);
    const file = await canvas.convertToBlob();
    document.ondrop({ preventDefault() {}, dataTransfer: { files: [new File([file], "a.png")] } });
  }
})()"""


def network(name: str = "noise") -> PageNetwork:
    """A network that does nothing, with what it says of itself."""
    grouping = CASES["tags"][0]
    assert grouping is not None
    return PageNetwork(name, b"graph", contract(grouping, {}), f"{name}.pt")


# ---- the file ----------------------------------------------------------------------------------------------------------------


def test_a_page_names_no_other_place(tmp_path: Path) -> None:
    photo = tmp_path / "a<b.jpg"
    cv2.imwrite(str(photo), np.zeros((4, 4, 3), np.uint8))
    page = assemble([network("</script>")], OnnxruntimeWeb(b"module", b"wasm"), "A & <b>", [photo])
    assert "http:" not in page and "https:" not in page and "<!--" not in page.replace("<!doctype", "")
    assert "default-src 'none'" in page and "A &amp; &lt;b&gt;" in page and "a&lt;b.jpg" in page
    assert page.count("</script>") == page.count("<script")
    assert page == assemble([network("</script>")], OnnxruntimeWeb(b"module", b"wasm"), "A & <b>", [photo])


def test_scripts_import_what_is_there_and_are_small() -> None:
    found = modules()
    assert len(found) == len(list(SCRIPTS.rglob("*.js"))) > 15
    for file in SCRIPTS.rglob("*.js"):
        text = file.read_text()
        assert len(text.splitlines()) <= 200, file
        for place in re.findall(r'^import .* from "(.*)";$', text, re.MULTILINE):
            assert (file.parent / place).is_file(), f"{file}: {place}"
        for room in re.findall(r"bottomup/\w+/\w+\.py|bottomup/\w+\.py", text):
            assert (SCRIPTS.parents[2] / room).is_file(), f"{file} mirrors {room}, which is not there"


def test_every_kind_of_example_is_one_that_browsers_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.tif is no picture that every browser reads"):
        assemble([network()], OnnxruntimeWeb(b"", b""), "", [tmp_path / "a.tif"])
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(DataError, match=r"a\.jpg: no image"):
        assemble([network()], OnnxruntimeWeb(b"", b""), "", [tmp_path / "a.jpg"])


@pytest.mark.skipif(chromium() is None, reason="needs Chromium")
def test_of_two_pictures_the_later_is_shown_however_long_the_earlier_takes(tmp_path: Path) -> None:
    runtime = b"export const env = { wasm: {} }, InferenceSession = { create: async () => ({}) }; export class Tensor {}"
    (tmp_path / "page.html").write_text(assemble([network()], OnnxruntimeWeb(runtime, b"wasm"), "two"))
    with Browser.opened(tmp_path / "page.html") as browser:
        browser.wait("document.body.dataset.ready")
        browser.value(_TWO)
        browser.wait("document.body.dataset.seen && document.querySelector('canvas').width")
        browser.value("new Promise((done) => setTimeout(done, 600))")
        width, height = browser.value("[document.querySelector('canvas').width, document.querySelector('canvas').height]")
    assert width == 3 * height


def test_networks_of_one_name_are_numbered() -> None:
    names = [one.name for one in numbered([network("a"), network("b"), network("a")])]
    assert names == ["a (1)", "b", "a (2)"]


# ---- ONNX Runtime Web ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder as npm's package is."""
    folder = tmp_path / "package" / "dist"
    folder.mkdir(parents=True)
    for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
        (folder / name).write_text(name)
    return folder.parent


def test_the_runtime_is_taken_of_a_folder_or_an_archive(package: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "web.tgz", "w:gz") as tar:
        tar.add(package, "package")
    ways = [onnxruntime_web(path) for path in (package, package / "dist", tmp_path / "web.tgz")]
    assert ways[0] == ways[1] == ways[2] and ways[0].wasm == b"ort-wasm-simd-threaded.wasm"


def test_what_is_no_runtime_is_told(tmp_path: Path) -> None:
    (tmp_path / "web.tgz").write_bytes(b"no archive")
    for path, said in ((tmp_path, "a folder without them"), (tmp_path / "x", "not there"), (tmp_path / "web.tgz", "npm pack")):
        with pytest.raises(ConfigError, match=said):
            onnxruntime_web(path)


def test_without_npm_or_a_connection_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTTOMUP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"npm is not installed; install Node.js, or .* onnxruntime_web=FILE"):
        onnxruntime_web()
    npm = tmp_path / "npm"
    for script, said in (("echo npm error code ENOTFOUND >&2; exit 1", "code ENOTFOUND"), ("exit 0", "it says nothing")):
        npm.write_text(f"#!/bin/sh\n{script}\n")
        npm.chmod(npm.stat().st_mode | stat.S_IEXEC)
        with pytest.raises(ConfigError, match=rf"npm could not fetch .* \({said}\); try again, or"):
            onnxruntime_web()
    assert not list((tmp_path / "home").rglob("*.tgz"))


def test_an_archive_that_is_not_the_published_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTTOMUP_HOME", str(tmp_path))
    archive = tmp_path / "downloads" / "onnxruntime-web" / f"onnxruntime-web-{fetching.VERSION}.tgz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"another")
    with pytest.raises(ConfigError, match=r"not the onnxruntime-web .* remove it"):
        onnxruntime_web()


# ---- maps ----------------------------------------------------------------------------------------------------------------------


def test_a_graph_gives_maps_beside_what_the_decoder_gives() -> None:
    model, decoder = ModelPlan.of({"input_size": 64} | NOISE).compose(Task(COCO))
    program = program_of(model, decoder, (64, 64), ["heatmap", "tags"]).module()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        given, outputs = program(images, torch.tensor([[0.0, 0.0, 64.0, 64.0]] * 2)), model(images)[0]
    for name in ("heatmap", "tags"):
        torch.testing.assert_close(given[f"maps.{name}"], outputs[name])
    assert "scores" in given
    with pytest.raises(ConfigError, match="no map of this model named 'heatmaps'; did you mean 'heatmap'"):
        program_of(model, decoder, maps=["heatmaps"])


def test_a_file_says_which_maps_it_gives() -> None:
    said = replace(network().contract, maps={"heatmap": "B K h w"})
    assert Contract.of_json(said.to_json(), "file") == said
    before = {name: value for name, value in json.loads(said.to_json()).items() if name != "maps"}
    assert Contract.of_json(json.dumps(before), "file").maps == {}


# ---- the command ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    plan = ModelPlan.of({"input_size": 64} | NOISE)
    model, _ = plan.compose(Task(COCO))
    assert maps_of(model) == {"heatmap": "B K h w", "tags": "B K D h w"}
    return bottomup.save(tmp_path_factory.mktemp("noise") / "best.pt", plan, model.eval())


def test_mistakes_are_told(checkpoint: Path, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.html").write_text("")
    from_map = ["decoder.fill_from=map", "decoder.fill_threshold=0.1", "decoder.detection_threshold=0.5"]
    common = [f"weights={checkpoint}", f"onnxruntime_web={package}"]
    for command, said in (
        ([], "weights= is missing"),
        ([*common, f"output={tmp_path}"], "exists already; give another output=, or replace it by overwrite=true"),
        ([*common, f"output={tmp_path}/new", *from_map], "give decoder.fill_from=peaks"),
        ([*common, f"output={tmp_path}/new", "stored_as=int8"], "int20"),
    ):
        assert main(["page", *command]) == 1
        assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_browser_finds_whom_python_finds(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if chromium() is None:
        pytest.skip("needs Chromium")
    pytest.importorskip("onnxscript", reason="needs pip install 'bottomup[export]'")
    try:
        onnxruntime_web()
    except ConfigError as error:
        pytest.skip(str(error))
    random = np.random.default_rng(0)
    files = []
    for index, (h, w) in enumerate(((60, 100), (100, 70), (64, 64))):
        pixels = random.integers(0, 256, (h // 4, w // 4, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        files.append(tmp_path / f"{index}.png")
        cv2.imwrite(str(files[-1]), pixels)
    page = tmp_path / "page.html"
    assert main(["page", f"weights={checkpoint}", f"output={page}", "stored_as=float32", f"images={files[0]}"]) == 0
    predictor = bottomup.load(checkpoint)
    with Browser.opened(page) as browser:
        browser.wait("document.body.dataset.ready")
        for file in files:
            (found,) = seen(browser, file)
            instances = predictor(file).instances
            assert len(found["people"]) == len(instances)
            assert max(apart(instances.found(), found["people"]), default=0.0) < 0.1
        browser.value("document.getElementById('score').value = 0; document.getElementById('score').oninput()")
        everybody = json.loads(browser.value("document.querySelector('.json').textContent"))
        monkeypatch.chdir(tmp_path)
        prediction = eval(browser.value("document.querySelector('.python').textContent"))  # the line that the page tells
        assert len(prediction.instances) == len(everybody)
        browser.value("document.querySelector('#examples button').click()")
        browser.wait("document.querySelector('.python').textContent.includes('0.png')")
        assert browser.requests == [] and browser.complaints == []
