"""Recorded episodes: header, steps, frames, and whole folders."""

import json
import random
from pathlib import Path
from typing import Any

from PIL import Image

from fuzz.mutate import some_bytes, some_json
from fuzz.target import Check, Make, Target
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Reply, Step, StoredFrame
from qwen2vl_agent.trajectory.lines import HEADER_FILE, STEPS_FILE, parse_header, parse_step
from qwen2vl_agent.trajectory.record import Recorder
from qwen2vl_agent.trajectory.store import load_frame, read_episode

STEPS = 3


def recorded(folder: Path) -> Path:
    """A small valid episode."""
    header = EpisodeHeader("text", "Do it.", "virtual-phone", "oracle", 1, tools=("tap", "done"), config={"a": 1})
    with Recorder(folder, header, sync=False) as recorder:
        for index in range(STEPS):
            frame = recorder.frame(Image.new("RGB", (20, 30), (index, 2, 3)))
            reply = Reply("Tap.", (1, 2, 3), (-0.1, -0.2, -0.3), tuple(range(9 + index)), {"vit": 0.1}, confidence=0.5)
            call = ToolCall("tap", {"point": [1, 2]})
            recorder.append(Step(index, frame, "text", reply, call, "", {"tap": [1, 2]}, 0.0, events=("unchanged",)))
        recorder.finish("success", 1.0)
    return folder


def _damaged_json(rng: random.Random, seed: bytes) -> bytes:
    if rng.random() < 0.5:
        return some_bytes(rng, seed)
    return json.dumps(some_json(rng, json.loads(seed))).encode()


def _header(folder: Path) -> tuple[Make, Check]:
    seed = (recorded(folder / "episode") / HEADER_FILE).read_bytes()

    def check(data: bytes) -> None:
        header, frames = parse_header(data, Path("episode.json"))
        assert isinstance(header.goal, str)
        assert isinstance(frames, str)

    return lambda rng: _damaged_json(rng, seed), check


def _step(folder: Path) -> tuple[Make, Check]:
    lines = (recorded(folder / "episode") / STEPS_FILE).read_bytes().splitlines()
    before = tuple(range(12))

    def check(line: bytes) -> None:
        step = parse_step(line, before, Path("steps.jsonl"))
        assert isinstance(step.frame, StoredFrame)
        assert all(type(token) is int for token in step.reply.prompt_ids)

    return lambda rng: _damaged_json(rng, rng.choice(lines)), check


def _episode(folder: Path) -> tuple[Make, Check]:
    place = recorded(folder / "episode")
    files = [place / HEADER_FILE, place / STEPS_FILE, *sorted((place / "frames").iterdir())]
    whole = {path: path.read_bytes() for path in files}

    def make(rng: random.Random) -> tuple[Path, bytes]:
        path = rng.choice(files)
        return path, some_bytes(rng, whole[path], most=3)

    def check(case: tuple[Path, bytes]) -> None:
        path, data = case
        path.write_bytes(data)
        try:
            episode = read_episode(place)
            for step in episode.steps:
                load_frame(place, step.frame)
        finally:
            path.write_bytes(whole[path])

    return make, check


def _hostile_frame(folder: Path) -> tuple[Make, Check]:
    """Frames whose hash is right: whoever wrote the record chose the bytes."""
    import hashlib

    from fuzz.targets.media import bombs, pictures
    from qwen2vl_agent.trajectory.frames import FrameStore

    seeds = [*pictures().values(), *bombs()]
    store = FrameStore(folder, sync=False)

    def make(rng: random.Random) -> bytes:
        return some_bytes(rng, rng.choice(seeds), most=2)

    def check(data: bytes) -> None:
        stored = StoredFrame(hashlib.sha256(data).hexdigest(), 20, 30)
        path = store.path(stored)
        path.write_bytes(data)
        try:
            image: Any = store.get(stored)
            assert image.size == (20, 30)
        finally:
            path.unlink()

    return make, check


TARGETS = (
    Target("trajectory.header", (RecordError,), _header),
    Target("trajectory.step", (RecordError,), _step),
    Target("trajectory.folder", (RecordError,), _episode),
    Target("trajectory.frame", (RecordError,), _hostile_frame),
)
