"""Objects come whole or not at all, and what cannot be had is told by name; over a real S3 server that misbehaves."""

import asyncio
import hashlib
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from store_doubles import dialogues, save_processor, settings, write_lines
from video_doubles import write_film

from qwen2vl_agent.data.build import build
from qwen2vl_agent.data.loader import Loader
from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.data.text_store import StoredSource
from qwen2vl_agent.data.video_cache import CachedVideos, VideoCache
from qwen2vl_agent.data.vision_store import FetchSettings, StoredVideo, VisionStore
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.video_processor import VideoProcessor
from qwen2vl_agent.schema.errors import ConfigError, MediaError

PATIENT = FetchSettings(timeout_s=1.5, backoff_s=0.02, max_backoff_s=0.1, attempts=8)


@contextmanager
def bucket(folder: Path, monkeypatch: pytest.MonkeyPatch, latency_s: float = 0.0, faults: float = 0.0) -> Iterator[str]:
    """The address of a bucket whose objects are the files of `folder`/bucket."""
    (folder / "bucket").mkdir(parents=True, exist_ok=True)
    script = Path(__file__).with_name("faulty_bucket.py")
    command = [sys.executable, str(script), str(folder), str(latency_s), str(faults)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{int(server.stdout.readline())}")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-word")
            monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            yield "s3://bucket"
        finally:
            server.kill()


def objects(folder: Path, count: int) -> list[tuple[str, str]]:
    """Files in a bucket's folder: their names and SHA-256."""
    made = []
    for number in range(count):
        name = f"some/{number:04d} é.bin"
        path = folder / "bucket" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hashlib.sha256(str(number).encode()).digest() * (20 + number % 200))
        made.append((name, hashlib.sha256(path.read_bytes()).hexdigest()))
    return made


def test_a_folder_keeps_bytes_by_their_content(tmp_path):
    store = VisionStore(tmp_path)
    name, digest = store.put(b"some bytes", "bin")
    assert store.put(b"some bytes", "bin") == (name, digest)
    assert store.get(name, digest) == store.get(name) == b"some bytes"
    assert store.local_path(name).read_bytes() == b"some bytes"
    again = pickle.loads(pickle.dumps(store))
    assert again.get(name, digest) == b"some bytes"
    with pytest.raises(MediaError, match=r"nowhere\.png cannot be had: no such object$"):
        store.get("nowhere.png")
    assert set(store.failed) == {"nowhere.png"}


@pytest.mark.parametrize("name", ["../secret", "a/../../b", "/etc/passwd", "", "s3://other/x", "a\\..\\b", "a\0b"])
def test_no_name_leads_out_of_the_store(tmp_path, name):
    with pytest.raises(MediaError, match="no name"):
        VisionStore(tmp_path / "inside").get(name)


def test_changed_bytes_are_told_after_some_attempts(tmp_path):
    store = VisionStore(tmp_path, FetchSettings(attempts=3, backoff_s=0.001))
    (tmp_path / "a.bin").write_bytes(b"changed")
    with pytest.raises(MediaError, match=r"a\.bin cannot be had: .*7 bytes.*expected abababababab.*after 3 attempts"):
        store.get("a.bin", "ab" * 32)
    assert store.retries == 2


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://KEY:SECRETWORD@bucket/x", "user or password"),
        ("nosuch://bucket", "nosuch"),
        ("oss://bucket/x", "pip install ossfs"),
    ],
)
def test_addresses_that_cannot_be_used_are_told(url, message):
    with pytest.raises(ConfigError, match=message) as raised:
        VisionStore(url)
    assert "SECRETWORD" not in str(raised.value)


def test_waits_grow_and_are_drawn():
    settings = FetchSettings(backoff_s=0.1, max_backoff_s=1.0)
    longest = [settings.wait_s(failed, lambda low, high: high) for failed in range(1, 7)]
    assert longest == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    assert settings.wait_s(3, lambda low, high: low) == 0
    with pytest.raises(ValueError, match="attempts"):
        FetchSettings(attempts=0)


def test_over_a_faulty_network_every_object_comes_once_in_order_and_whole(tmp_path, monkeypatch):
    items = objects(tmp_path, 150)
    with bucket(tmp_path, monkeypatch, faults=0.3) as url:
        store = VisionStore(url, PATIENT)
        got = list(store.fetch_many(items))
        assert [name for name, _ in got] == [name for name, _ in items]
        assert [hashlib.sha256(data).hexdigest() for _, data in got] == [digest for _, digest in items]
        assert store.retries > 20  # it did misbehave
        assert store.failed == {}
        store.close()


def test_every_object_that_cannot_be_had_is_reported_by_name(tmp_path, monkeypatch):
    items = objects(tmp_path, 20)
    lost = [("some/gone.bin", None), ("dead/one.bin", None), ("some/0003 é.bin", "cd" * 32)]
    with bucket(tmp_path, monkeypatch) as url:
        store = VisionStore(url, FetchSettings(attempts=3, backoff_s=0.01, timeout_s=20))
        got = dict(store.fetch_many([*items[:5], *lost[:2], *items[5:], ("some/0003 é.bin", "cd" * 32)]))
        failed = {name: data for name, data in got.items() if isinstance(data, MediaError)}
        assert set(failed) == set(store.failed) == {name for name, _ in lost}
        assert str(failed["some/gone.bin"]) == "s3://bucket/some/gone.bin cannot be had: no such object"
        assert "internal" in str(failed["dead/one.bin"]).lower()
        assert "after 3 attempts" in str(failed["dead/one.bin"])
        assert "SHA-256" in str(failed["some/0003 é.bin"])
        assert not any("a-secret-word" in str(error) for error in failed.values())
        store.close()


def test_a_slow_object_is_asked_for_again(tmp_path, monkeypatch):
    items = objects(tmp_path, 1)
    with bucket(tmp_path, monkeypatch, latency_s=5.0) as url:
        store = VisionStore(url, FetchSettings(attempts=2, timeout_s=0.5, backoff_s=0.01))
        began = time.monotonic()
        with pytest.raises(MediaError, match=r"Timeout.*after 2 attempts"):
            store.get(*items[0])
        assert time.monotonic() - began < 60  # not the server's time but ours ended it
        store.close()


def test_a_second_request_overtakes_a_slow_first_one(monkeypatch, tmp_path):
    store = VisionStore(tmp_path, FetchSettings(timeout_s=300, hedge_s=0.05))
    asked: list[int] = []

    async def answer(path: str) -> bytes:
        asked.append(len(asked))
        mine = asked[-1]
        await asyncio.sleep(200 if mine == 0 else 0)
        return b"%d" % mine

    monkeypatch.setattr(store, "_files", SimpleNamespace(_cat_file=answer))
    began = time.monotonic()
    assert asyncio.run(store._earlier("a.bin")) == b"1"
    assert time.monotonic() - began < 100
    assert asked == [0, 1]
    assert asyncio.run(store._earlier("b.bin")) == b"2"  # a quick answer is not asked for twice
    assert asked == [0, 1, 2]


def test_no_more_objects_are_on_their_way_than_allowed(tmp_path, monkeypatch):
    items = objects(tmp_path, 40)
    store = VisionStore(tmp_path / "bucket", FetchSettings(concurrency=5))
    flying, most, lock = [], [], threading.Lock()
    read = store._read

    def counted(path: str) -> bytes:
        with lock:
            flying.append(path)
            most.append(len(flying))
        time.sleep(0.005)
        with lock:
            flying.remove(path)
        return read(path)

    monkeypatch.setattr(store, "_read", counted)
    assert len(list(store.fetch_many(items))) == 40
    assert 2 <= max(most) <= 5
    store.close()


def test_what_was_fetched_ahead_is_not_fetched_again_and_nothing_piles_up(tmp_path, monkeypatch):
    items = objects(tmp_path, 12)
    store = VisionStore(tmp_path / "bucket", FetchSettings(ahead=6, concurrency=2))
    read, asked = store._read, []
    monkeypatch.setattr(store, "_read", lambda path: (asked.append(path), read(path))[1])
    store.prefetch(items[:5])
    store.prefetch(items[:5])
    assert [hashlib.sha256(store.get(*item)).hexdigest() for item in items[:5]] == [digest for _, digest in items[:5]]
    assert len(asked) == 5
    store.prefetch(items)
    assert len(store._ahead) == 6
    store.close()


def test_bytes_are_kept_in_a_bucket(tmp_path, monkeypatch):
    with bucket(tmp_path, monkeypatch) as url:
        store = VisionStore(url + "/below", PATIENT)
        name, digest = store.put(b"picture" * 1000, "img")
        assert store.get(name, digest) == b"picture" * 1000
        assert (tmp_path / "bucket" / "below" / name).is_file()
        assert store.local_path(name) is None
        store.close()


def test_a_video_in_a_bucket_is_fetched_once_and_then_read_from_its_pack(tmp_path, monkeypatch):
    (tmp_path / "bucket").mkdir()
    film = write_film(tmp_path / "bucket" / "film.mp4", [n / 30 for n in range(60)])
    digest = hashlib.sha256(film.read_bytes()).hexdigest()
    processor = VideoProcessor(784, 12 * 784)
    expected = processor(film)[0]
    with bucket(tmp_path, monkeypatch) as url:
        store = VisionStore(url, PATIENT)
        videos = CachedVideos(processor, VideoCache(tmp_path / "cache"))
        assert torch.equal(videos(StoredVideo(store, "film.mp4", digest))[0], expected)
        store.close()
    assert torch.equal(videos(StoredVideo(store, "film.mp4", digest))[0], expected)  # the server is gone


@pytest.mark.multiprocess
def test_a_trainer_is_fed_from_a_faulty_bucket_with_the_batches_of_a_folder(tmp_path, monkeypatch):
    model = save_processor(tmp_path / "model")
    media = tmp_path / "bucket" / "pictures"
    lines = write_lines(tmp_path / "lines.jsonl", dialogues(60, media))
    store = build(settings([lines], model, media=str(media)), tmp_path / "store")
    processor = Processor.from_pretrained(model)
    local = Mixture(((StoredSource(store, VisionStore(media)), 1.0),))
    with bucket(tmp_path, monkeypatch, latency_s=0.01, faults=0.2) as url:
        remote = Mixture(((StoredSource(store, VisionStore(url + "/pictures", PATIENT)), 1.0),))
        with Loader(local, processor, 300) as near, Loader(remote, processor, 300, workers=2, chunk=4) as far:
            for _ in range(8):
                one, other = next(near), next(far)
                assert torch.equal(one.inputs.input_ids, other.inputs.input_ids)
                assert torch.equal(one.inputs.pixel_values, other.inputs.pixel_values)
