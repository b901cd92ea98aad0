"""Documents come back as they were encoded, whoever reads them, and damage never passes for a document."""

import hashlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from store_doubles import INFO, dialogues, png, save_processor, settings, write_lines

from qwen2vl_agent.data.build import Progress, build
from qwen2vl_agent.data.loader import Loader
from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.data.order import shuffled
from qwen2vl_agent.data.readers import formats
from qwen2vl_agent.data.readers.media import MediaRoot
from qwen2vl_agent.data.records import pieces, read
from qwen2vl_agent.data.text_shard import Document, Media, Shard, ShardWriter
from qwen2vl_agent.data.text_store import StoredSource, TextStore, labels, runs
from qwen2vl_agent.data.vision_store import VisionStore
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.schema.errors import ConfigError, MediaError, RecordError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_processor(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, model: str) -> tuple[TextStore, list[Path], str]:
    """A store of 60 dialogues in several files, the files of records, and the folder of pictures."""
    folder = tmp_path_factory.mktemp("made")
    media = str(folder / "pictures")
    records = dialogues(60, Path(media))
    inputs = [write_lines(folder / "a.jsonl", records[:41]), write_lines(folder / "b.jsonl", records[41:])]
    store = build(settings(inputs, model, media=media, piece_bytes=900), folder / "store")
    return store, inputs, media


def test_a_stored_example_is_the_example_token_for_token(made, model):
    store, inputs, media = made
    processor = Processor.from_pretrained(model)
    source = StoredSource(store, VisionStore(media))
    root = MediaRoot(VisionStore(media))
    records = [record for path in inputs for piece in pieces(path) for record in read(piece)]
    numbers = sorted(source.example(index).number for index in range(60))
    assert numbers == list(range(60))
    for index in range(60):
        stored = source.example(index)
        plain = formats.example(records[stored.number], formats.reader("llava"), root, INFO.name)
        expected, got = plain.encode(processor), stored.encode(processor)
        assert torch.equal(expected.inputs.input_ids, got.inputs.input_ids)
        assert torch.equal(expected.inputs.position_ids, got.inputs.position_ids)
        assert torch.equal(expected.labels, got.labels)
        if stored.number % 3:
            assert torch.equal(expected.inputs.pixel_values, got.inputs.pixel_values)
            assert torch.equal(expected.inputs.image_grid_thw, got.inputs.image_grid_thw)
        else:
            assert got.inputs.pixel_values is None


def test_a_loader_draws_from_a_store_in_worker_processes(made, model):
    store, _, media = made
    mixture = Mixture(((StoredSource(store, VisionStore(media)), 1.0),))
    processor = Processor.from_pretrained(model)
    with Loader(mixture, processor, 200) as plain, Loader(mixture, processor, 200, workers=2, chunk=3) as worked:
        patches = 0
        for _ in range(6):
            one, other = next(plain), next(worked)
            assert torch.equal(one.inputs.input_ids, other.inputs.input_ids)
            assert torch.equal(one.labels, other.labels)
            assert one.num_patches == other.num_patches
            if one.num_patches:
                assert torch.equal(one.inputs.pixel_values, other.inputs.pixel_values)
            patches += one.num_patches
        assert patches > 0


def test_another_epoch_is_another_order_of_the_same_documents(made):
    store, _, media = made
    source = StoredSource(store, VisionStore(media), seed=5)
    first, second = ([source.example(place + epoch * 60).number for place in range(60)] for epoch in range(2))
    assert sorted(first) == sorted(second) == list(range(60))
    assert first != second


@hypothesis.settings(deadline=None)
@given(count=st.integers(1, 300), seed=st.integers(0, 2**40), epoch=st.integers(0, 9))
def test_an_order_without_a_list_holds_every_number_once(count: int, seed: int, epoch: int) -> None:
    assert sorted(shuffled(place, count, seed, epoch) for place in range(count)) == list(range(count))


@hypothesis.settings(deadline=None)
@given(told=st.lists(st.booleans(), max_size=40))
def test_stretches_of_targets_give_the_labels_back(told: list[bool]) -> None:
    ids = np.arange(len(told)) + 7
    marked = np.where(told, ids, -100).astype(np.int64)
    assert np.array_equal(labels(Document(ids, runs(marked), ())), marked)


def test_four_processes_build_the_same_store_as_one(made, model, tmp_path):
    store, inputs, media = made
    seen: list[Progress] = []
    other = build(settings(inputs, model, media=media, piece_bytes=900), tmp_path / "store", 4, seen.append)
    assert len(other.listed["shards"]) == len(store.listed["shards"]) > 4
    assert seen[-1].done == seen[-1].pieces
    assert seen[-1].documents == 60
    assert [s["sha256"] for s in other.listed["shards"]] == [s["sha256"] for s in store.listed["shards"]]
    other.verify()


def test_a_finished_build_is_left_alone_and_another_one_is_refused(made, model):
    store, inputs, media = made
    before = {path: path.stat().st_mtime_ns for path in store.folder.glob("shard-*")}
    build(settings(inputs, model, media=media, piece_bytes=900), store.folder)
    assert {path: path.stat().st_mtime_ns for path in store.folder.glob("shard-*")} == before
    with pytest.raises(ConfigError, match="other files"):
        build(settings(inputs[:1], model, media=media, piece_bytes=900), store.folder)


def test_a_store_refuses_a_processor_that_encodes_otherwise(made, model):
    store, _, media = made
    smaller = Processor.from_pretrained(model).limited(4 * 784)
    with pytest.raises(ConfigError, match="another tokenizer"):
        StoredSource(store, VisionStore(media)).example(0).encode(smaller)


BUILD = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from store_doubles import settings
from qwen2vl_agent.data.build import build
if __name__ == "__main__":
    build(settings([Path({lines!r})], {model!r}, media={media!r}, piece_bytes=20000), Path({out!r}), 2, lambda p: print(p.done, flush=True))
"""  # noqa: E501


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_build_killed_at_any_moment_goes_on_to_the_same_store(tmp_path, model, seed):
    media = str(tmp_path / "pictures")
    lines = write_lines(tmp_path / "lines.jsonl", dialogues(1500, Path(media)))
    out = tmp_path / "store"
    script = tmp_path / "build_it.py"
    script.write_text(
        BUILD.format(tests=str(Path(__file__).parent), lines=str(lines), model=model, media=media, out=str(out))
    )
    kills = 0
    for delay in [random.Random(seed).uniform(0, 1.0) for _ in range(3)]:
        process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, process_group=0)
        process.stdout.readline()  # it has begun
        time.sleep(delay)
        if process.poll() is None:
            kills += 1
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        for path in out.glob("shard-*.text"):
            Shard(path).document(0)  # whatever is there is whole
    assert kills
    store = build(settings([lines], model, media=media, piece_bytes=20000), out, 2)
    store.verify()
    assert len(store) == 1500
    assert not list(out.glob(".*.part"))
    straight = build(settings([lines], model, media=media, piece_bytes=20000), tmp_path / "straight", 2)
    assert [s["sha256"] for s in straight.listed["shards"]] == [s["sha256"] for s in store.listed["shards"]]


def test_an_unfinished_store_says_how_to_go_on(tmp_path, model):
    media = tmp_path / "pictures"
    lines = write_lines(tmp_path / "lines.jsonl", [*dialogues(3, media), {"conversations": "nonsense"}])
    with pytest.raises(RecordError, match=r"lines\.jsonl, byte \d+.*--skip-bad"):
        build(settings([lines], model, media=str(media)), tmp_path / "store")
    with pytest.raises(ConfigError, match="goes on"):
        TextStore(tmp_path / "store")
    store = build(settings([lines], model, media=str(media), skip_bad=True), tmp_path / "store")
    assert (len(store), store.listed["skipped"]) == (3, 1)


def test_lines_that_are_no_json_are_bad_records_like_others(tmp_path, model):
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"text": "the cat"}\n{"text": \n[1, 2]\n\n{"text": "sat"}\n' + "[" * 100_000 + "\n")
    with pytest.raises(RecordError, match="byte 20: not JSON"):
        build(settings([lines], model, "text"), tmp_path / "store")
    store = build(settings([lines], model, "text", skip_bad=True), tmp_path / "store")
    assert (len(store), store.listed["skipped"]) == (2, 3)


def test_settings_can_be_mended_until_the_first_file_is_there(tmp_path, model):
    lines = write_lines(tmp_path / "lines.jsonl", dialogues(3, tmp_path / "pictures"))
    with pytest.raises(MediaError, match="no such object"):
        build(settings([lines], model, media=str(tmp_path / "elsewhere")), tmp_path / "store")
    assert len(build(settings([lines], model, media=str(tmp_path / "pictures")), tmp_path / "store")) == 3


def test_any_flipped_byte_is_found(tmp_path):
    writer = ShardWriter()
    rng = np.random.default_rng(0)
    for size in (5, 0, 900):
        ids = rng.integers(0, 150_000, size)
        media = (Media("a/é.png", "ab" * 32, (1, 4, 6)), Media("v.mp4", "cd" * 32, (3, 2, 2), 2.0))
        writer.add(Document(ids, np.array([[1, 3]]), media[: size % 3]))
    path = tmp_path / "one.text"
    writer.write(path, {"of": "nothing"})
    good = path.read_bytes()
    whole = [Shard(path).document(number) for number in range(3)]
    assert whole[0].media[0] == Media("a/é.png", "ab" * 32, (1, 4, 6))
    assert whole[0].media[1].fps == 2.0
    padding = 0
    for place in [*range(0, len(good), 7), len(good) - 1]:
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :])
        try:
            shard = Shard(path)
            read_again = [shard.document(number) for number in range(3)]
        except RecordError:
            continue
        padding += 1
        assert all(np.array_equal(a.token_ids, b.token_ids) for a, b in zip(whole, read_again, strict=True))
        assert [a.media for a in whole] == [b.media for b in read_again]
        assert Shard(path).sha256() != hashlib.sha256(good).hexdigest()
    assert padding < 60  # the few bytes between sections, which say nothing
    for size in range(0, len(good) - 64, 97):
        path.write_bytes(good[:size])
        with pytest.raises(RecordError):
            Shard(path).document(2)


def test_a_vocabulary_beyond_16_bits_is_kept(tmp_path):
    writer = ShardWriter()
    writer.add(Document(np.array([151_655, 1, 65_536]), np.empty((0, 2)), ()))
    writer.write(tmp_path / "wide.text", {})
    assert Shard(tmp_path / "wide.text").document(0).token_ids.tolist() == [151_655, 1, 65_536]


def _resident(folder: Path, queue) -> None:
    """Reads every document, then tells how many bytes of the mapped files are this process's alone."""
    store = TextStore(folder)
    for number in range(len(store)):
        store.document(number)
    private = rss = 0
    here = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            here = line.endswith(".text")
        elif here and line.startswith(("Private_Dirty", "Anonymous")):
            private += int(line.split()[1]) * 1024
        elif here and line.startswith("Rss"):
            rss += int(line.split()[1]) * 1024
    queue.put((rss, private))


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc")
def test_readers_share_the_pages_of_the_files(tmp_path):
    writer = ShardWriter()
    for number in range(200):
        writer.add(Document(np.arange(5000) + number, np.empty((0, 2)), ()))
    writer.write(tmp_path / "shard-00000.text", {})
    shard = {"file": "shard-00000.text", "documents": 200, "tokens": 1_000_000, "sha256": ""}
    listed = {"version": 1, "source": INFO.to_dict(), "processor": "", "vision": "", "shards": [shard]}
    (tmp_path / "store.json").write_text(json.dumps(listed))
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    readers = [context.Process(target=_resident, args=(tmp_path, queue)) for _ in range(2)]
    for reader in readers:
        reader.start()
    told = [queue.get(timeout=300) for _ in readers]
    for reader in readers:
        reader.join()
    for rss, private in told:
        assert rss > 1_500_000  # the file is in memory
        assert private == 0  # and not a byte of it belongs to one process


def test_parquet_and_json_give_the_store_that_lines_give(tmp_path, model):
    import pyarrow
    import pyarrow.parquet

    records = [{"image": {"bytes": png(n), "path": None}, "text": f"the mat {n}"} for n in range(30)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), tmp_path / "rows.parquet", row_group_size=7)
    saved = tmp_path / "saved"  # as `datasets` saves to disk: Arrow streams, described by JSON beside them
    saved.mkdir()
    (saved / "state.json").write_text("{}")
    for part in range(2):
        table = pyarrow.Table.from_pylist(records[part * 15 : part * 15 + 15])
        with pyarrow.ipc.new_stream(saved / f"data-{part:05d}-of-00002.arrow", table.schema) as stream:
            stream.write_table(table, max_chunksize=4)
    media = tmp_path / "pictures"
    media.mkdir()
    for number in range(30):
        (media / f"{number}.png").write_bytes(png(number))
    named = [{"image": f"{n}.png", "text": f"the mat {n}"} for n in range(30)]
    lines = write_lines(tmp_path / "lines.jsonl", named)
    (tmp_path / "array.json").write_text(json.dumps(named, indent=2))
    stores = [
        build(settings([tmp_path / "rows.parquet"], model, "pairs"), tmp_path / "one"),
        build(settings([lines], model, "pairs", media=str(media)), tmp_path / "two"),
        build(settings([tmp_path / "array.json"], model, "pairs", media=str(media)), tmp_path / "three"),
        build(settings([tmp_path / "saved"], model, "pairs"), tmp_path / "four"),
    ]
    for number in range(30):
        first, *others = (store.document(number) for store in stores)
        assert all(np.array_equal(first.token_ids, other.token_ids) for other in others)
        assert {first.media[0].sha256} == {other.media[0].sha256 for other in others}
    embedded = VisionStore(stores[0].vision_url)
    assert embedded.get(*next((item.name, item.sha256) for item in stores[0].media(4))) == png(4)


def test_the_pieces_of_a_file_hold_every_record_once(tmp_path):
    records = [{"text": "x" * (number * 37 % 200), "number": number} for number in range(120)]
    lines = write_lines(tmp_path / "a.jsonl", records)
    (tmp_path / "a.json").write_text("[" + ",\n".join(map(json.dumps, records)) + "]")
    for size in (1, 50, 333, 10**6):
        parts = [record.value["number"] for piece in pieces(lines, size) for record in read(piece)]
        assert parts == list(range(120))
        spread = [record.value["number"] for piece in pieces(tmp_path / "a.json", size * 40) for record in read(piece)]
        assert sorted(spread) == list(range(120))


def test_a_file_of_one_object_is_one_record_and_what_follows_it_is_told(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert [record.value for piece in pieces(tmp_path / "a.json") for record in read(piece)] == [{"a": 1}]
    (tmp_path / "a.json").write_text('{"a": 1} {}')
    (record,) = [record for piece in pieces(tmp_path / "a.json") for record in read(piece)]
    assert "Extra data" in record.problem


@pytest.mark.parametrize("content", ["[{}, {]", "[1]", '[{"a": 1}', ""])
def test_damaged_arrays_are_told(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(RecordError, match=r"a\.json"):
        [record for piece in pieces(tmp_path / "a.json") for record in read(piece)]
