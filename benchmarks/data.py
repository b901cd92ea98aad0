"""How fast the data side is, on this machine: `python benchmarks/data.py text | frames | video | vision`."""

import hashlib
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from qwen2vl_agent.data.sources import SourceInfo
from qwen2vl_agent.data.text_shard import Document, Media, Shard, ShardWriter
from qwen2vl_agent.data.text_store import LIST_FILE, TextStore

INFO = SourceInfo(name="made-up", origin="benchmark", licence="CC0-1.0", first_date="2023", last_date="2023")
READERS, SECONDS = 4, 5.0


def text_store(folder: Path, shards: int = 4, documents: int = 20_000) -> TextStore:
    """About 30 M tokens in documents of 20 to 2000, every second one with a picture."""
    rng, listed = np.random.default_rng(0), []
    for number in range(shards):
        writer = ShardWriter()
        for index in range(documents):
            ids = rng.integers(0, 151_000, int(20 * 100 ** rng.random()))
            media = (Media(f"{index}.png", "00" * 32, (1, 16, 24)),) if index % 2 else ()
            writer.add(Document(ids, np.array([[len(ids) // 2, len(ids)]]), media))
        path = folder / f"shard-{number:05d}.text"
        writer.write(path, {})
        tokens = Shard(path).tokens
        listed.append({"file": path.name, "documents": documents, "tokens": tokens, "sha256": ""})
    described = {"version": 1, "source": INFO.to_dict(), "processor": "", "vision": "", "shards": listed}
    (folder / LIST_FILE).write_text(json.dumps(described))
    return TextStore(folder)


def read_at_random(folder: Path, seed: int, start: Any, results: Any) -> None:
    """Documents in random order for some seconds: tokens and documents a second, each checked and copied; memory."""
    store, rng = TextStore(folder), random.Random(seed)
    store.document(0)
    start.wait()
    tokens = documents = 0
    began = time.perf_counter()
    while (spent := time.perf_counter() - began) < SECONDS:
        document = store.document(rng.randrange(len(store)))
        tokens += len(document.token_ids.astype(np.int64))
        documents += 1
    results.put((tokens / spent, documents / spent, *mapped_memory()))


def mapped_memory() -> tuple[int, int]:
    """Bytes of the store's files in this process's memory, and those of them that are its alone."""
    here, resident, private = False, 0, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            here = line.endswith(".text")
        elif here and line.startswith("Rss:"):
            resident += int(line.split()[1]) * 1024
        elif here and line.startswith("Anonymous:"):
            private += int(line.split()[1]) * 1024
    return resident, private


def bench_text() -> None:
    """Random access from several processes at once."""
    with tempfile.TemporaryDirectory() as name:
        began = time.perf_counter()
        store = text_store(Path(name))
        print(f"text store: {store.tokens / 1e6:.1f} M tokens in {len(store):,} documents, made in "
              f"{time.perf_counter() - began:.1f} s")  # fmt: skip
        context = multiprocessing.get_context("spawn")
        start, results = context.Barrier(READERS), context.Queue()
        readers = [
            context.Process(target=read_at_random, args=(Path(name), seed, start, results)) for seed in range(READERS)
        ]
        for reader in readers:
            reader.start()
        for rate, documents, resident, private in [results.get() for _ in readers]:
            print(f"  a process of {READERS}: {rate / 1e6:.1f} M tokens/s, {documents:,.0f} documents/s; "
                  f"{resident / 1e6:.0f} MB mapped, of which its alone {private / 1e6:.0f} MB")  # fmt: skip
        for reader in readers:
            reader.join()


def write_film(path: Path, minutes: int, width: int, height: int, rate: int = 30) -> None:
    """H.264 with a moving, noisy picture, a key frame every 250 frames."""
    import av

    rng = np.random.default_rng(0)
    still = rng.integers(40, 200, (height, width * 2, 3), dtype=np.uint8)
    still = still.reshape(height, width // 4, 8, 3).mean(2, keepdims=True).repeat(8, 2).reshape(height, width * 2, 3)
    still = still.astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"g": "250", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(minutes * 60 * rate):
            at = number * 2 % width
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(still[:, at : at + width]), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def read_film(folder: str, film: str, fps: float, results: Any) -> None:
    """Seconds until its frames are there, and until its patches are; the grid; and the most memory held."""
    import resource

    from qwen2vl_agent.data.video_cache import VideoCache
    from qwen2vl_agent.model.video_processor import VideoProcessor

    processor, cache = VideoProcessor(), VideoCache(folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    frames = cache.pack(Path(film), fps, processor).frames()
    got = time.perf_counter() - began
    _, grid = processor.patches(frames)
    spent = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    results.put((got, spent, grid, (after - before) / 1024, after / 1024, cache.decoded))


def bench_frames(minutes: int = 10) -> None:
    """Whether the frames sampled from a film in 720p are those that a full decode shows at the same timestamps."""
    import av

    from qwen2vl_agent.model.video_file import open_video

    with tempfile.TemporaryDirectory() as name:
        film = Path(name) / "film.mp4"
        write_film(film, minutes, 1280, 720)
        video = open_video(film, 2.0)
        sampled = (hashlib.sha256(picture.tobytes()).digest() for picture in video.pictures())
        same = count = 0
        with av.open(str(film)) as container:
            wanted = iter(video.wanted)
            at = next(wanted, None)
            for frame in container.decode(video=0):  # in the order of their timestamps
                while at is not None and at == frame.pts:
                    picture = frame.to_image()
                    same += next(sampled, b"") == hashlib.sha256(picture.tobytes()).digest()
                    count += 1
                    at = next(wanted, None)
        print(f"a film of {minutes} minutes in 720p: {same} of {len(video.wanted)} sampled frames are those of a full "
              f"decode at the same timestamps ({count} compared)")  # fmt: skip


def bench_video() -> None:
    """Two epochs of a 10-minute film in 720p, then a 30-minute one; every epoch in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        for minutes, width, height in ((10, 1280, 720), (30, 640, 360)):
            film = Path(name) / f"{minutes}.mp4"
            write_film(film, minutes, width, height)
            print(f"a film of {minutes} minutes, {width}x{height}, {film.stat().st_size / 1e6:.0f} MB")
            times = []
            for epoch in (1, 2):
                results = context.Queue()
                reader = context.Process(target=read_film, args=(f"{name}/cache", str(film), 2.0, results))
                reader.start()
                got, spent, (t, h, w), more, most, decoded = results.get()
                reader.join()
                times.append(got)
                print(f"  epoch {epoch}: frames after {got:.2f} s, patches after {spent:.2f} s; "
                      f"{t} x {h} x {w} patches, {t * h * w // 4} tokens; {more:.0f} MB more memory, "
                      f"{most:.0f} MB in all; {decoded} decoded")  # fmt: skip
            packs = sum(path.stat().st_size for path in (Path(name) / "cache" / "packs").iterdir())
            print(
                f"  the second epoch's frames come {times[0] / times[1]:.0f} times as fast; packs {packs / 1e6:.0f} MB"
            )


LATENCY_S, FAULTS, OBJECTS, OBJECT_BYTES = 0.05, 0.05, 1600, 40_000


@contextmanager
def bucket(folder: Path, faults: float) -> Iterator[str]:
    """A bucket of a local S3 server that is slow, and with some faults."""
    script = Path(__file__).parent.parent / "tests" / "data" / "faulty_bucket.py"
    command = [sys.executable, str(script), str(folder), str(LATENCY_S), str(faults)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        os.environ["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{int(server.stdout.readline())}"
        os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
        try:
            yield "s3://bucket"
        finally:
            server.kill()


def bench_vision() -> None:
    """Objects one by one from a bucket without faults, then many at a time from one with faults."""
    from qwen2vl_agent.data.vision_store import FetchSettings, VisionStore

    with tempfile.TemporaryDirectory() as name:
        items = []
        for number in range(OBJECTS):
            path = Path(name) / "bucket" / f"{number}.bin"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(random.Random(number).randbytes(OBJECT_BYTES))
            items.append((path.name, hashlib.sha256(path.read_bytes()).hexdigest()))
        settings = FetchSettings(concurrency=32, timeout_s=5.0, hedge_s=0.3, backoff_s=0.05)
        with bucket(Path(name), 0.0) as url:
            store = VisionStore(url, settings)
            store.get(*items[0])
            began = time.perf_counter()
            for item in items[:100]:
                store.get(*item)
            alone = 100 / (time.perf_counter() - began)
        print(f"objects of {OBJECT_BYTES // 1000} kB behind {LATENCY_S * 1000:.0f} ms: {alone:.1f}/s one by one")
        with bucket(Path(name), FAULTS) as url:
            store = VisionStore(url, settings)
            began = time.perf_counter()
            got = list(store.fetch_many(items))
            rate = OBJECTS / (time.perf_counter() - began)
            whole = sum(hashlib.sha256(data).hexdigest() == item[1] for (_, data), item in zip(got, items, strict=True))
            in_order = [found for found, _ in got] == [item[0] for item in items]
            print(f"  32 at a time with {FAULTS:.0%} faults: {rate:.0f}/s, {rate / alone:.1f} times; "
                  f"{whole} of {OBJECTS} whole, each once and in order: {in_order}; {store.retries} attempts again, "
                  f"{len(store.failed)} failed")  # fmt: skip
            store.close()


if __name__ == "__main__":
    benches = {"text": bench_text, "frames": bench_frames, "video": bench_video, "vision": bench_vision}
    benches[sys.argv[1] if len(sys.argv) > 1 else "text"]()
