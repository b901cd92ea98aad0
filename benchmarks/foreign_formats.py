"""Data sets written by the formats' own tools, read by our readers and compared with what was put in.

    python benchmarks/foreign_formats.py write FOLDER     in an environment with datasets, webdataset or lerobot
    python benchmarks/foreign_formats.py check FOLDER     in the project's own

The tools need not be installed together, nor beside the project: `write` leaves out what is missing or was written
before, and `check` tells what it met.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

EPISODES, STEPS, RATE = 3, 25, 10


def picture(number: int) -> Image.Image:
    """A small picture that is told from the others by its pixels."""
    return Image.fromarray(np.random.default_rng(number).integers(0, 255, (40, 60, 3), dtype=np.uint8))


def turns(number: int) -> list[dict]:
    """A question about a picture and its answer, as TRL's vision data sets have them."""
    asked = [{"type": "image", "text": None}, {"type": "text", "text": f"what is number {number}?"}]
    told = [{"type": "text", "text": f"it is {number}, 猫"}]
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]


def view(episode: int, step: int) -> np.ndarray:
    """A robot's picture: a bar that grows with the steps, under a shade that tells the episode."""
    pixels = np.full((64, 64, 3), 40, np.uint8)
    pixels[:, : 2 * (step + 1)] = 200
    pixels[:8] = 80 * episode
    return pixels


def write_datasets(folder: Path) -> None:
    import datasets

    talk = [{"images": [picture(number)], "messages": turns(number)} for number in range(4)]
    columns = datasets.Features(
        {
            "images": datasets.List(datasets.Image()),
            "messages": datasets.List(
                {"role": datasets.Value("string"),
                 "content": datasets.List({"type": datasets.Value("string"), "text": datasets.Value("string")})}
            ),
        }
    )  # fmt: skip
    made = datasets.Dataset.from_list(talk, features=columns)
    made.to_parquet(str(folder / "talk.parquet"))
    made.save_to_disk(str(folder / "talk-on-disk"))
    pages = [{"texts": ["one", None, "two"], "images": [None, picture(7), None], "metadata": "[]"}]
    page = {"texts": datasets.List(datasets.Value("string")), "images": datasets.List(datasets.Image()),
            "metadata": datasets.Value("string")}  # fmt: skip
    datasets.Dataset.from_list(pages, features=datasets.Features(page)).to_parquet(str(folder / "obelics.parquet"))
    plain = [{"messages": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]}] * 3
    datasets.Dataset.from_list(plain).to_json(str(folder / "plain.jsonl"))


def write_webdataset(folder: Path) -> None:
    import webdataset

    with webdataset.ShardWriter(str(folder / "shard-%06d.tar"), maxcount=2) as writer:
        for number in range(4):
            writer.write({"__key__": f"k{number}", "png": picture(number), "txt": f"number {number}"})


def write_lerobot(folder: Path) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    joints = {"dtype": "float32", "shape": (2,), "names": ["shoulder", "grip"]}
    camera = {"dtype": "video", "shape": (64, 64, 3), "names": ["height", "width", "channel"]}
    columns = {"observation.images.top": camera, "observation.state": joints, "action": joints}
    made = LeRobotDataset.create("someone/arm", fps=RATE, features=columns, root=folder / "arm", use_videos=True)
    newer = hasattr(made, "finalize")  # writes version 3 of the layout; lerobot 0.3.3 writes 2.1
    for episode in range(EPISODES):
        for step in range(STEPS):
            action = np.array([episode + step / 100, 1 / 3], np.float32)
            state = np.zeros(2, np.float32)
            shown = {"observation.images.top": view(episode, step), "observation.state": state, "action": action}
            if newer:
                made.add_frame(shown | {"task": f"pick {episode}"})
            else:
                made.add_frame(shown, f"pick {episode}")
        made.save_episode()
    if newer:
        made.finalize()


def write(folder: Path) -> None:
    """Writes with every tool that is installed here."""
    for name, act in (("datasets", write_datasets), ("webdataset", write_webdataset), ("lerobot", write_lerobot)):
        try:
            __import__(name)
        except ImportError:
            print(f"{name} is not installed here")
            continue
        if (folder / name).is_dir():
            continue
        (folder / name).mkdir(parents=True)
        act(folder / name)
        print(f"{name} {sys.modules[name].__version__} wrote {folder / name}")


def check(folder: Path) -> None:
    """Reads what was written and compares it, part by part."""
    from qwen2vl_agent.data.readers import formats
    from qwen2vl_agent.data.readers.media import MediaRoot
    from qwen2vl_agent.data.records import pieces, read

    def examples(path: Path, name: str) -> list:
        records = [record for piece in pieces(path) for record in read(piece)]
        return [formats.example(record, formats.reader(name), MediaRoot(), "made-up") for record in records]

    def same(part: object, number: int) -> None:
        found = np.asarray(Image.open(io.BytesIO(part.image)).convert("RGB"))  # type: ignore[attr-defined]
        assert np.array_equal(found, np.asarray(picture(number)))

    if (folder / "datasets").is_dir():
        for name in ("talk.parquet", "talk-on-disk"):
            talk = examples(folder / "datasets" / name, "messages")
            assert len(talk) == 4
            for number, example in enumerate(talk):
                asked, told = example.messages
                same(asked.parts[0], number)
                assert asked.parts[1].text == f"what is number {number}?"
                assert (told.parts[0].text, told.parts[0].target) == (f"it is {number}, 猫", True)
        (page,) = examples(folder / "datasets" / "obelics.parquet", "interleaved")
        one, shown, two = page.messages[0].parts
        same(shown, 7)
        assert [one.text, two.text] == ["one", "two"]
        assert len(examples(folder / "datasets" / "plain.jsonl", "messages")) == 3
        print("datasets: Parquet, Arrow on disk and JSON lines come back as they were put in")
    if (folder / "webdataset").is_dir():
        pairs = [
            example for path in sorted((folder / "webdataset").iterdir()) for example in examples(path, "webdataset")
        ]
        for number, example in enumerate(pairs):
            same(example.messages[0].parts[0], number)
            assert example.messages[0].parts[1].text == f"number {number}"
        assert len(pairs) == 4
        print("webdataset: two shards come back as they were put in")
    if (folder / "lerobot").is_dir():
        arm = examples(folder / "lerobot" / "arm", "lerobot")
        assert len(arm) == EPISODES
        for episode, example in enumerate(arm):
            shown = [part for message in example.messages for part in message.parts if hasattr(part, "image")]
            said = [json.loads(m.parts[0].text) for m in example.messages if m.role == "assistant"]
            kept = range(0, STEPS, RATE // 2)
            assert said == [{"shoulder": round(episode + step / 100, 3), "grip": 0.333} for step in kept]
            for part, step in zip(shown, kept, strict=True):
                seen = np.asarray(Image.open(io.BytesIO(part.image))).astype(int)
                assert np.abs(seen - view(episode, step)).mean() < 4  # the film's codec loses a little
        print("lerobot: episodes come back with their pictures, tasks and actions")


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](Path(sys.argv[2]))
