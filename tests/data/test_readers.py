"""Records of every format become the conversations and pages that they are, and other records are told."""

import base64
import contextlib
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import webdataset
from PIL import Image
from store_doubles import png, save_processor, settings
from video_doubles import number_of, write_film

from qwen2vl_agent.data.build import build
from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.readers import formats
from qwen2vl_agent.data.readers.media import MediaRoot
from qwen2vl_agent.data.records import Record, pieces, read
from qwen2vl_agent.data.vision_store import StoredVideo, VisionStore
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.schema.errors import ConfigError, MediaError, RecordError
from qwen2vl_agent.schema.messages import ImagePart, TextPart, VideoPart


@pytest.fixture
def root(tmp_path: Path) -> MediaRoot:
    """A folder with the pictures 0.png to 3.png and a film."""
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(png(number))
    (tmp_path / "film.mp4").write_bytes(b"a film")
    return MediaRoot(VisionStore(tmp_path))


def spelled(example: Example) -> list[tuple[str, list[str]]]:
    """Turns as (role, parts): a picture by its number, a target between stars."""
    known = {hashlib.sha256(png(number)).hexdigest(): f"#{number}" for number in range(4)}

    def spell(part) -> str:
        if isinstance(part, ImagePart):
            return known[part.sha256]
        if isinstance(part, VideoPart):
            return f"@{part.video.name if isinstance(part.video, StoredVideo) else len(part.video)}"
        return f"*{part.text}*" if part.target else part.text

    return [(message.role, [spell(part) for part in message.parts]) for message in example.messages]


def of(name: str, record: dict, root: MediaRoot) -> list[tuple[str, list[str]]]:
    return spelled(formats.example(Record(record, "here"), formats.reader(name), root, "made-up"))


def test_llava(root):
    ask = {"from": "human", "value": "<image>\nWhat is it?"}
    told = {"from": "gpt", "value": "a <image> of a cat"}
    expected = [("user", ["#1", "What is it?"]), ("assistant", ["*a <image> of a cat*"])]
    assert of("llava", {"id": "7", "image": "1.png", "conversations": [ask, told]}, root) == expected
    assert of(
        "llava", {"image": "1.png", "conversations": [{"from": "human", "value": "What is it?"}, told]}, root
    ) == (expected)
    several = {"from": "human", "value": "First <image>\nthen <image>, and <video>?"}
    record = {"image": ["2.png", "0.png"], "video": "film.mp4", "conversations": [several, told]}
    assert of("llava", record, root)[0] == ("user", ["First ", "#2", "then ", "#0", ", and ", "@film.mp4", "?"])


def test_sharegpt_with_tools(root):
    turns = [
        {"from": "human", "value": "<image>Weather?"},
        {"from": "function_call", "value": '{"name": "look"}'},
        {"from": "observation", "value": "rain"},
        {"from": "gpt", "value": "Rain."},
    ]
    record = {"system": "Be short.", "images": ["3.png"], "conversations": turns}
    assert of("sharegpt", record, root) == [
        ("system", ["Be short."]),
        ("user", ["#3", "Weather?"]),
        ("assistant", ['*<tool_call>\n{"name": "look"}\n</tool_call>*']),
        ("user", ["<tool_response>\nrain\n</tool_response>"]),
        ("assistant", ["*Rain.*"]),
    ]


def test_messages_of_ms_swift_with_objects_and_losses(root):
    record = {
        "messages": [
            {"role": "user", "content": "<image>Find <ref-object>"},
            {"role": "assistant", "content": "wait", "loss": False},
            {"role": "user", "content": "go on"},
            {"role": "assistant", "content": "<ref-object><bbox> and <bbox>"},
        ],
        "images": ["0.png"],
        "objects": {"ref": ["the dot", "the dot"], "bbox": [[6, 4, 30, 20], [59, 39]]},
    }
    boxed = (
        "*<|object_ref_start|>the dot<|object_ref_end|><|box_start|>(100,100),(500,500)<|box_end|>"
        " and <|box_start|>(983,975)<|box_end|>*"
    )
    assert of("messages", record, root) == [
        ("user", ["#0", "Find <|object_ref_start|>the dot<|object_ref_end|>"]),
        ("assistant", ["wait"]),
        ("user", ["go on"]),
        ("assistant", [boxed]),
    ]


def test_messages_of_trl_with_parts_prompts_and_tools(root):
    data = f"data:image/png;base64,{base64.b64encode(png(2)).decode()}"
    asked = [
        {"type": "image", "text": None},
        {"type": "text", "text": "and"},
        {"type": "image_url", "image_url": {"url": data}},
    ]
    record = {
        "images": [{"bytes": png(1), "path": "x"}],
        "prompt": [{"role": "user", "content": asked}],
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": "two"}]}],
    }
    assert of("messages", record, root) == [("user", ["#1", "and", "#2"]), ("assistant", ["*two*"])]
    call = {"type": "function", "function": {"name": "look", "arguments": {"at": "é"}}}
    called = [{"role": "user", "content": "go"}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    assert of("messages", {"messages": called}, root)[1] == (
        "assistant",
        ['*<tool_call>\n{"name": "look", "arguments": {"at": "é"}}\n</tool_call>*'],
    )
    assert of("messages", {"prompt": "2 + 2?", "completion": "4"}, root) == [
        ("user", ["2 + 2?"]),
        ("assistant", ["*4*"]),
    ]


def test_interleaved_pages_of_obelics_and_mmc4(root):
    url = "https://somewhere/else.png"
    (Path(root.store.url) / hashlib.sha256(url.encode()).hexdigest()).write_bytes(png(3))
    obelics = {"texts": ["A", "B", None, "C"], "images": [None, None, url, None], "metadata": "[]"}
    assert of("interleaved", obelics, root) == [("assistant", ["*A*", "*\n\nB*", "#3", "*C*"])]
    infos = [
        {"image_name": "1.png", "raw_url": url, "matched_text_index": 1, "matched_sim": 0.3},
        {"image_name": "0.png", "raw_url": url, "matched_text_index": 0, "matched_sim": 0.2},
    ]
    mmc4 = {"text_list": ["One.", "Two.", "Three."], "image_info": infos, "similarity_matrix": []}
    assert of("interleaved", mmc4, root) == [("assistant", ["#0", "*One.*", "#1", "*Two.*", "* Three.*"])]


def test_pairs_and_plain_text(root):
    assert of("pairs", {"image": "2.png", "caption": " a cat \n"}, root) == [("assistant", ["#2", "*a cat*"])]
    assert of("text", {"text": "Once."}, root) == [("assistant", ["*Once.*"])]


def test_a_page_is_encoded_as_it_stands_between_two_separators(root, tmp_path):
    processor = Processor.from_pretrained(save_processor(tmp_path / "model"))
    record = {"texts": ["the cat", None, "sat <|im_start|>"], "images": [None, "0.png", None]}
    encoded = formats.example(Record(record, "here"), formats.reader("interleaved"), root, "made-up").encode(processor)
    special, ids = processor.tokenizer.special, encoded.inputs.input_ids.tolist()
    assert ids[0] == ids[-1] == special.endoftext
    assert special.im_start not in ids
    told = [token for token, label in zip(ids, encoded.labels.tolist(), strict=True) if label != -100]
    assert told == [
        *processor.tokenizer.encode("the cat"),
        *processor.tokenizer.encode("sat <|im_start|>"),
        special.endoftext,
    ]
    assert encoded.labels[0] == -100


@pytest.mark.parametrize(
    ("name", "record", "message"),
    [
        (
            "llava",
            {"conversations": [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "x"}]},
            "more <image>",
        ),
        ("llava", {"conversations": [{"from": "human", "value": "x"}]}, "nothing to learn"),
        ("llava", {"conversations": [{"from": "alien", "value": "x"}]}, "role 'alien'"),
        ("llava", {"conversations": [{"value": "x"}]}, "no 'from'"),
        ("llava", {}, "nothing to learn"),
        ("sharegpt", {"conversations": [{"from": "human", "value": 7}]}, "is int"),
        ("messages", {"messages": "x"}, "no 'role'"),
        ("messages", {"messages": [{"role": "assistant", "content": "x", "loss": False}]}, "to be learnt"),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "sound"}]}]}, "type 'sound'"),
        (
            "messages",
            {"messages": [{"role": "assistant", "content": "<bbox>"}], "objects": {"bbox": [[1, 2]]}},
            "picture",
        ),
        ("interleaved", {"texts": ["a"], "images": []}, "1 texts, but 0 images"),
        ("interleaved", {"image_info": []}, "neither"),
        ("interleaved", {"text_list": ["a"], "image_info": [{"image_name": "0.png"}]}, "matched_text_index"),
        ("pairs", {"image": "0.png"}, "no words"),
        ("text", {"text": "  "}, "no text"),
        ("webdataset", {"jpg": b"x"}, "no words"),
        ("webdataset", {"jpg": b"x", "json": b"{"}, "json cannot be read"),
    ],
)
def test_other_records_are_told_with_their_place(root, name, record, message):
    with pytest.raises(RecordError, match=f"^here: .*{message}"):
        of(name, record, root)


def test_records_of_any_shape_raise_nothing_but_record_errors(root):
    values = [None, 7, "x", [], {}, [None], [7], ["x"], [{}], [{"role": "user"}], [[{"from": "gpt", "value": "x"}]]]
    keys = ("conversations", "messages", "images", "texts", "text_list", "image_info", "text", "json", "objects", "jpg")
    for name in formats.FORMATS:
        for key in keys:
            for value in values:
                for more in ({}, {"messages": [{"role": "assistant", "content": "x"}]}, {"text_list": ["x"]}):
                    record = more | {key: value}
                    with contextlib.suppress(RecordError, MediaError):
                        formats.example(Record(record, "here"), formats.reader(name), root, "made-up")


def test_an_unknown_format_is_told():
    with pytest.raises(ConfigError, match="llava, sharegpt"):
        formats.reader("nonsense")


def test_shards_written_by_webdataset_itself(tmp_path):
    path = tmp_path / "shard-000000.tar"
    with webdataset.TarWriter(str(path)) as writer:
        for number in range(3):
            picture = np.asarray(Image.open(io.BytesIO(png(number))))
            writer.write({"__key__": f"some/key{number}", "png": picture, "txt": f"picture {number}"})
        talk = {"conversations": [{"from": "human", "value": "<image>?"}, {"from": "gpt", "value": "a dot"}]}
        writer.write({"__key__": "some/key3", "img.png": Image.open(io.BytesIO(png(3))), "json": talk})
    records = [record for piece in pieces(path) for record in read(piece)]
    with path.open("rb") as file:
        members = [member | {"__url__": ""} for member in webdataset.tariterators.tar_file_iterator(file)]
        theirs = list(webdataset.tariterators.group_by_keys(members))
    assert [record.value["__key__"] for record in records] == [sample["__key__"] for sample in theirs]
    for record, sample in zip(records, theirs, strict=True):
        files = {name: data for name, data in sample.items() if not name.startswith("__")}
        assert {name: data for name, data in record.value.items() if name != "__key__"} == files
    examples = [formats.example(record, formats.reader("webdataset"), MediaRoot(), "made-up") for record in records]
    for number, example in enumerate(examples[:3]):
        assert example.plain
        picture, words = example.messages[0].parts
        assert np.array_equal(
            np.asarray(Image.open(io.BytesIO(picture.image))), np.asarray(Image.open(io.BytesIO(png(number))))
        )
        assert words == TextPart(f"picture {number}", target=True)
    assert [message.role for message in examples[3].messages] == ["user", "assistant"]


def test_a_shard_that_breaks_off_is_told(tmp_path):
    path = tmp_path / "shard.tar"
    with webdataset.TarWriter(str(path)) as writer:
        writer.write({"__key__": "a", "png": np.zeros((40, 40, 3), np.uint8), "txt": "x"})
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(RecordError, match="damaged or cut short"):
        [record for piece in pieces(path) for record in read(piece)]


FPS, LENGTH = 10, 25
ACTION = {"dtype": "float32", "shape": [2], "names": ["shoulder", "grip"]}


def episode_rows(index: int) -> list[dict]:
    return [
        {
            "observation.state": [0.0, 0.0],
            "action": [index + frame / 100, 1 / 3],
            "timestamp": frame / FPS,
            "frame_index": frame,
            "episode_index": index,
            "index": index * LENGTH + frame,
            "task_index": 0,
        }
        for frame in range(LENGTH)
    ]


def lerobot_2(folder: Path) -> Path:
    """A data set of version 2.1: two episodes, one camera, files of their own."""
    info = {
        "codebase_version": "v2.1",
        "fps": FPS,
        "chunks_size": 1000,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        "features": {"observation.images.top": {"dtype": "video"}, "action": ACTION},
    }
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    lines = [json.dumps({"episode_index": n, "tasks": [f"pick {n}"], "length": LENGTH}) for n in range(2)]
    (folder / "meta" / "episodes.jsonl").write_text("\n".join(lines) + "\n")
    for number in range(2):
        place = {"episode_chunk": 0, "episode_index": number, "video_key": "observation.images.top"}
        rows, film = folder / info["data_path"].format(**place), folder / info["video_path"].format(**place)
        rows.parent.mkdir(parents=True, exist_ok=True)
        film.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(episode_rows(number)), rows)
        write_film(film, [n / FPS for n in range(LENGTH)])
    return folder


def lerobot_3(folder: Path) -> Path:
    """The same in version 3: one table and one film hold both episodes."""
    camera = "observation.images.top"
    info = {
        "codebase_version": "v3.0",
        "fps": FPS,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": {camera: {"dtype": "video"}, "action": ACTION},
    }
    for name in ("meta/episodes/chunk-000", "data/chunk-000", f"videos/{camera}/chunk-000"):
        (folder / name).mkdir(parents=True)
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    described = [
        {
            "episode_index": n,
            "tasks": [f"pick {n}"],
            "length": LENGTH,
            "data/chunk_index": 0,
            "data/file_index": 0,
            f"videos/{camera}/chunk_index": 0,
            f"videos/{camera}/file_index": 0,
            f"videos/{camera}/from_timestamp": n * LENGTH / FPS,
        }
        for n in range(2)
    ]
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist(described), folder / "meta/episodes/chunk-000/file-000.parquet"
    )
    rows = episode_rows(0) + episode_rows(1)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "data/chunk-000/file-000.parquet")
    write_film(folder / f"videos/{camera}/chunk-000/file-000.mp4", [n / FPS for n in range(2 * LENGTH)])
    return folder


@pytest.mark.parametrize("write", [lerobot_2, lerobot_3])
def test_robot_episodes_of_both_layouts(tmp_path, write):
    folder = write(tmp_path / "set")
    records = [record for piece in pieces(folder) for record in read(piece)]
    assert len(records) == 2
    for number, record in enumerate(records):
        example = formats.example(record, formats.reader("lerobot"), MediaRoot(), "arm")
        seen, said = [], []
        for message in example.messages:
            for part in message.parts:
                if isinstance(part, ImagePart):
                    seen.append(number_of(np.asarray(Image.open(io.BytesIO(part.image)))))
                elif message.role == "assistant":
                    said.append(json.loads(part.text))
        first = number * LENGTH if write is lerobot_3 else 0
        assert seen == [first + frame for frame in (0, 5, 10, 15, 20)]
        assert said == [{"shoulder": round(number + f / 100, 3), "grip": 0.333} for f in (0, 5, 10, 15, 20)]
        assert example.messages[0].parts[1] == TextPart(f"pick {number}")


def test_robot_episodes_become_a_store(tmp_path):
    model = save_processor(tmp_path / "model")
    store = build(settings([lerobot_2(tmp_path / "set")], model, "lerobot"), tmp_path / "store")
    assert len(store) == 2
    assert len(store.media(0)) == 5


def test_an_unknown_version_of_a_robot_set_is_told(tmp_path):
    folder = lerobot_2(tmp_path / "set")
    info = json.loads((folder / "meta" / "info.json").read_text()) | {"codebase_version": "v1.6"}
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    with pytest.raises(RecordError, match="expected v2 or v3"):
        pieces(folder)
