"""Published files come once, whole and as they were published, or not at all; from a server on the loopback address."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from bottomup.checkpoint import load_checkpoint
from bottomup.errors import CheckpointError, ConfigError
from bottomup.loading import load
from bottomup.zoo.downloading import RECORD, fetched
from bottomup.zoo.entries import Entry, entry_named
from bottomup.zoo.home import checkpoint_path, download_folder, is_here
from bottomup.zoo.weights import imported
from tests.published import MODEL, Site, posenet_files, served

ROOT = Path(__file__).parents[3]
FILE = "network-12345678.pth"
CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BOTTOMUP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def site() -> Iterator[Site]:
    with served(Site({FILE: CONTENT} | posenet_files())) as open_site:
        yield open_site


def hashed(site: Site, sha256: str | None = None, name: str = FILE) -> Entry:
    """A network of one file, whose authors publish its hash."""
    own = hashlib.sha256(CONTENT).hexdigest()[:8] if sha256 is None else sha256
    return replace(entry_named("hrnet_w32"), name="hashed", file=name, url=f"{site.url}/{name}", sha256=own)


def sharded(site: Site) -> Entry:
    """A network of several files, without a published hash."""
    return replace(entry_named("posenet"), name="sharded", also=(), file=MODEL, url=f"{site.url}/{MODEL}")


def left(entry: Entry) -> list[str]:
    """The files of a network that are there, whatever they are called."""
    folder = download_folder(entry)
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_file_comes_once_and_is_what_was_published(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    entry = hashed(site)
    assert not is_here(entry)
    assert fetched(entry).read_bytes() == CONTENT and is_here(entry)
    assert "Apache-2.0" in capsys.readouterr().err
    assert fetched(entry) == download_folder(entry) / FILE
    assert site.asked[FILE] == 1 and left(entry) == [FILE] and capsys.readouterr().err == ""


def test_progress_is_shown_where_there_is_a_terminal(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fetched(hashed(site))
    assert "%|" not in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetched(replace(hashed(site), name="again"))
    assert "100%|" in capsys.readouterr().err


@pytest.mark.parametrize("name", [FILE, MODEL, "group1-shard1of2.bin", "group1-shard2of2.bin"])
def test_a_cut_download_leaves_nothing_and_a_second_try_works(name: str, site: Site) -> None:
    entry = hashed(site) if name == FILE else sharded(site)
    site.cut[name] = 1
    with pytest.raises(CheckpointError, match=r"cut short|is the file whole"):
        fetched(entry)
    assert left(entry) == []
    file = fetched(entry)
    assert file.read_bytes() == site.files[file.name] and site.asked[name] == 2


def test_what_a_killed_process_left_is_removed(site: Site) -> None:
    entry = hashed(site)
    download_folder(entry).mkdir(parents=True)
    (download_folder(entry) / f"{FILE}.0123abcd.partial").write_bytes(CONTENT[:100])
    fetched(entry)
    assert left(entry) == [FILE]


def test_a_wrong_hash_is_refused_and_removed(site: Site) -> None:
    entry = hashed(site, "00000000")
    with pytest.raises(CheckpointError, match="not what was published"):
        fetched(entry)
    assert left(entry) == []


def test_a_file_put_there_by_hand_is_checked_and_stays(site: Site) -> None:
    entry = hashed(site)
    download_folder(entry).mkdir(parents=True)
    (download_folder(entry) / FILE).write_bytes(CONTENT[:-1])
    with pytest.raises(CheckpointError, match=f"SHA-256 should begin with .*; replace it by {entry.url}"):
        fetched(entry)
    assert left(entry) == [FILE] and not site.asked
    (download_folder(entry) / FILE).write_bytes(CONTENT)
    assert fetched(entry).is_file() and not site.asked


def test_a_file_without_a_published_hash_stays_what_it_was_at_first(site: Site) -> None:
    entry = sharded(site)
    shard = fetched(entry).with_name("group1-shard1of2.bin")
    recorded = (download_folder(entry) / RECORD).read_text().splitlines()
    assert f"{hashlib.sha256(shard.read_bytes()).hexdigest()}  {shard.name}" in recorded and len(recorded) == 3
    shard.write_bytes(shard.read_bytes()[:-1] + b"\1")
    with pytest.raises(CheckpointError, match=r"shard1of2\.bin: no longer what it was"):
        fetched(entry)
    assert shard.is_file()


def test_weights_are_read_beside_their_json_alone(site: Site) -> None:
    site.files[MODEL] = site.files[MODEL].replace(b'"group1-shard1of2.bin"', b'"../../group1-shard1of2.bin"')
    with pytest.raises(CheckpointError, match="lie beside it"):
        fetched(sharded(site))
    assert left(sharded(site)) == [] and set(site.asked) == {MODEL}


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_without_a_network_one_sentence_says_url_and_folder(home: Path) -> None:
    site = Site({}, f"http://127.0.0.1:{closed_port()}")
    for entry in (hashed(site), sharded(site)):
        with pytest.raises(CheckpointError) as error:
            fetched(entry)
        told = str(error.value)
        assert (
            str(entry.url) in told
            and str(home / "downloads" / entry.name) in told
            and "refused" in told
            and f"as {entry.file}" in told
        )
        assert "\n" not in told and left(entry) == []
    assert ".bin" in told
    assert "bottomup import-weights tfjs FILE output=DIR output_stride=16" in told


def test_what_a_server_does_not_have_is_said(site: Site) -> None:
    with pytest.raises(CheckpointError, match="404"):
        fetched(hashed(site, name="elsewhere.pth"))


def test_what_has_no_direct_link_says_where_it_is_and_where_it_goes(home: Path) -> None:
    entry = entry_named("prn")
    with pytest.raises(CheckpointError) as error:
        fetched(entry)
    told = str(error.value)
    assert str(entry.by_hand) in told and str(home / "downloads" / "prn") in told and entry.file in told
    assert "bottomup import-weights prn FILE output=DIR" in told
    assert "NO COMMERCIAL USE" in told


def test_a_home_that_cannot_be_written_is_said(home: Path, site: Site) -> None:
    home.write_text("a file")
    with pytest.raises(ConfigError, match="BOTTOMUP_HOME="):
        imported(sharded(site))


def test_a_network_is_imported_once_as_its_entry_says(site: Site) -> None:
    entry = replace(sharded(site), decoder="personlab_best", input_size=257, side="short")
    path = imported(entry)
    config = load_checkpoint(path).config
    assert (config["method"], config["input_size"], config["side"]) == ("personlab", 257, "short")
    assert config["decoder"]["refine"] == 1 and config["decoder"]["masks"]["mode"] == "exclusive"
    written = path.stat().st_mtime_ns
    assert imported(entry) == path == checkpoint_path(entry) and path.stat().st_mtime_ns == written
    assert load(path).input_size == 257


@pytest.mark.parametrize("length", [0, 1000])
def test_a_checkpoint_that_was_cut_is_made_anew(length: int, site: Site) -> None:
    path = imported(sharded(site))
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    assert imported(sharded(site)) == path and path.stat().st_size == len(whole)
    assert load_checkpoint(path).config["method"] == "personlab"


def test_another_network_s_file_put_there_by_hand_can_be_replaced(site: Site) -> None:
    """No hash of it is published, and the wrong file's is not the one to keep."""
    entry = sharded(site)
    fetched(entry)
    right = (download_folder(entry) / MODEL).read_bytes()
    (download_folder(entry) / RECORD).unlink()
    (download_folder(entry) / MODEL).write_bytes(right.replace(b"displacement_fwd_2", b"displacement_fwd_3"))
    with pytest.raises(CheckpointError):
        imported(entry)
    (download_folder(entry) / MODEL).write_bytes(right)
    assert imported(entry).is_file()


def test_another_version_imports_anew_from_the_same_files(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = sharded(site)
    first = imported(entry)
    monkeypatch.setattr("bottomup.zoo.home.__version__", "99.0")
    second = imported(entry)
    assert second != first and second.is_file() and not first.exists()
    assert imported(replace(entry, input_size=257)) != second
    assert all(count == 1 for count in site.asked.values())


def test_who_comes_second_says_that_it_waits(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    entry, found = sharded(site), list[Path]()
    lock = checkpoint_path(entry).with_name(f".{entry.name}.lock")
    lock.parent.mkdir(parents=True)
    second, told = threading.Thread(target=lambda: found.append(imported(entry))), ""
    with FileLock(lock):
        second.start()
        while "waiting for another process" not in told and second.is_alive():
            told += capsys.readouterr().err
            time.sleep(0.01)
        assert not found and not site.asked
    second.join()
    assert found == [checkpoint_path(entry)] and "waiting" in told


TWO = """
from pathlib import Path
from bottomup.zoo.entries import read_entry
from bottomup.zoo.weights import imported
print(imported(read_entry(Path("{file}"))))
"""


@pytest.mark.slow
def test_two_processes_at_once_fetch_and_import_once(site: Site, tmp_path: Path) -> None:
    site.pause = 1.0
    text = (ROOT / "configs" / "zoo" / "posenet.yaml").read_text()
    file = tmp_path / "both.yaml"
    file.write_text(text.replace(str(entry_named("posenet").url), f"{site.url}/{MODEL}").replace("also: [posenet_075_16]\n", ""))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    started: list[subprocess.Popen[Any]] = [
        subprocess.Popen([sys.executable, "-c", TWO.format(file=file)], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=600)[0].strip() for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert told[0] == told[1] and load_checkpoint(told[0]).model
    assert site.asked == {MODEL: 1, "group1-shard1of2.bin": 1, "group1-shard2of2.bin": 1}
