"""``bottomup track``, and ``predict`` of a video: a line a frame, a video that plays, and nothing lost that was found."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest

from bottomup import load
from bottomup.cli import main
from bottomup.data.synthetic_video import SyntheticVideo
from bottomup.drawing.videos import video_writer
from bottomup.plan.tracking import TrackPlan, track_plan
from bottomup.predictor import Predictor
from bottomup.videos import video_file
from bottomup.workflows import clips
from tests.coco_folders import untrained

pytest.importorskip("av", reason="needs the extra video")

OPTIONS = ["decoder.detection_threshold=0.0001", "decoder.fill_threshold=null", "decoder.max_people=2", "score_threshold=0"]
COUNT = 10


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    dataset = SyntheticVideo(split="val", clips=1, frames=COUNT, size=64)
    with video_writer(folder / "clip.mp4", 20) as append:
        for index in dataset.clip(0):
            picture = dataset.sample(index, frozenset()).pixels.transpose(1, 2, 0)
            append(picture)
            (folder / "frames").mkdir(exist_ok=True)
            cv2.imwrite(str(folder / "frames" / f"{index}.png"), picture[..., ::-1])
    return folder / "clip.mp4"


def run(command: str, weights: Path, images: object, output: Path, *more: str) -> int:
    return main([command, f"weights={weights}", f"images={images}", f"output={output}", *OPTIONS, *more])


def lines(output: Path, name: str = "tracks.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / name).read_text().splitlines()]


def test_a_clip_becomes_lines_a_video_and_posetrack_s_file(weights: Path, clip: Path, tmp_path: Path) -> None:
    assert run("track", weights, clip, tmp_path / "out", "tracker.confirm=1") == 0
    written = lines(tmp_path / "out")
    assert [line["frame"] for line in written] == list(range(COUNT)) and written[3]["time"] == pytest.approx(0.15)
    assert all(person["track_id"] >= 1 for line in written for person in line["instances"])
    drawn = video_file(tmp_path / "out" / "video.mp4")
    assert len(list(drawn)) == COUNT and drawn.frame_rate == 20
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())
    count = sum(len(line["instances"]) for line in written)
    assert told["frames"] == COUNT and told["instances"] == count > 0 and told["identities"] >= 1
    posetrack = json.loads((tmp_path / "out" / "posetrack.json").read_text())
    assert len(posetrack["images"]) == COUNT and len(posetrack["annotations"]) == count


def test_people_are_those_that_the_predictor_finds(weights: Path, clip: Path, tmp_path: Path) -> None:
    assert run("predict", weights, clip, tmp_path / "out", "batch_size=1") == 0
    written = lines(tmp_path / "out", "predictions.jsonl")
    predictor = load(weights, overrides=OPTIONS[:3], score_threshold=0.0, batch_size=1)
    for line, prediction in zip(written, predictor(clip), strict=True):
        assert [person["keypoints"] for person in line["instances"]] == [person["keypoints"] for person in prediction.to_coco()]
    assert "track_id" not in written[0]["instances"][0] and (tmp_path / "out" / "video.mp4").is_file()


def test_a_folder_of_frames_is_a_video(weights: Path, clip: Path, tmp_path: Path) -> None:
    options = ("draw=false", "frame_rate=10", "limit=4", "smooth=true")
    assert run("track", weights, clip.parent / "frames", tmp_path / "out", *options) == 0
    written = lines(tmp_path / "out")
    assert [line["time"] for line in written] == [0.0, 0.1, 0.2, 0.3]
    assert not (tmp_path / "out" / "video.mp4").exists()


def test_what_ends_it_early_costs_nothing_that_was_found(
    weights: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Predictor.stream

    def interrupted(self: Predictor, images: Any) -> Any:
        for number, prediction in enumerate(stream(self, images)):
            if number == 6:
                raise KeyboardInterrupt
            yield prediction

    monkeypatch.setattr(Predictor, "stream", interrupted)
    assert run("track", weights, clip, tmp_path / "out", "tracker.confirm=1", "batch_size=2") == 130
    assert len(lines(tmp_path / "out")) == 6 == len(list(video_file(tmp_path / "out" / "video.mp4")))
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["frames"] == 6
    assert len(json.loads((tmp_path / "out" / "posetrack.json").read_text())["images"]) == 6


def test_a_camera_ends_with_ctrl_c_as_it_should(weights: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = cv2.VideoCapture

    class Camera:
        """Five frames, then somebody presses Ctrl-C."""

        def __init__(self, number: int | str) -> None:
            self.capture, self.left = opened(str(clip)) if number == 0 else opened(str(number)), 5

        def read(self) -> Any:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return self.capture.read()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.capture, name)

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    given = [f"weights={weights}", "camera=0", f"output={tmp_path / 'out'}", "batch_size=1", "tracker.confirm=1", *OPTIONS]
    assert main(["track", *given]) == 0
    assert len(lines(tmp_path / "out")) == 5


def test_frames_that_wait_do_not_grow_with_the_video(weights: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = load(weights, overrides=OPTIONS[:3], score_threshold=0.0, batch_size=2)
    tracker = track_plan(["tracker.confirm=3"]).make_tracker(predictor.skeleton, 20.0)
    asked = 0

    def counted() -> Any:
        nonlocal asked
        for frame in video_file(clip):
            asked += 1
            yield frame

    source = clips.Clip("counted", counted)
    for given, _ in enumerate(clips.people_along(source, predictor, tracker), start=1):
        assert asked - given <= 2 + 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["weights=a.pt"], "images= is missing: give a video, or a folder of its frames"),
        (["weights=a.pt", "images=a.mp4", "camera=0"], "images= and camera= both say"),
        (["images=a.mp4"], "weights= is missing"),
        (["weights=a.pt", "images=a.mp4", "tracker.max_gaps=3"], "did you mean 'max_gap'"),
        (["weights=a.pt", "images=a.mp4", "tracker.cues.tag=3"], "did you mean 'tags'"),
        (["weights=a.pt", "images=a.mp4", "frame_rate=0"], "frame_rate should be a number above 0"),
        (["weights=a.pt", "images=a.mp4", "maps=true"], "no key named 'maps'"),
    ],
)
def test_what_does_not_fit_is_said(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["track", *options]) == 1
    assert words in capsys.readouterr().err


def test_without_the_extra_the_remedy_is_said_at_once(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert main(["track", "weights=posenet", f"images={clip}"]) == 1
    assert "pip install 'bottomup[video]'" in capsys.readouterr().err


def test_maps_of_a_video_are_refused(weights: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("predict", weights, clip, tmp_path / "out", "maps=true") == 1
    assert "maps= is of images" in capsys.readouterr().err


def test_a_plan_is_made_again_from_its_plain_data() -> None:
    plan = track_plan(
        ["weights=a.pt", "images=b.mp4", "tracker.max_gap=7", "tracker.cues.tags=0.5", "smooth=true", "frame_rate=30"]
    )
    again = TrackPlan.of(plan.plain())
    assert again == plan and again.make_tracker(None, 30.0).max_gap == 7
    smoothing = again.make_tracker(None, 30.0).smoothing
    assert smoothing is not None and smoothing.min_cutoff == 1.5
