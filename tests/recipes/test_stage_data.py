"""What a stage learns from: conversations, text stores and generators, mixed, none younger than the cutoff."""

import json

import pytest

from qwen2vl_agent.cli import main
from qwen2vl_agent.data.synthetic.charts import ChartSource
from qwen2vl_agent.data.text_store import StoredSource
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.recipes.stage_data import mixture, with_video_cache
from qwen2vl_agent.recipes.staged import EMBEDDED
from qwen2vl_agent.schema.errors import ConfigError


@pytest.fixture(scope="module")
def talks(tmp_path_factory):
    """A file of conversations, and a text store of it with content up to June 2023."""
    folder = tmp_path_factory.mktemp("talks")
    turns = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
    (folder / "talk.jsonl").write_text("\n".join([json.dumps({"messages": turns})] * 6), "utf-8")
    terms = ["--origin", "tests", "--licence", "CC0-1.0", "--first-date", "2020", "--last-date", "2023-06"]
    flags = ["--format", "messages", "--name", "stored", "--workers", "1", *terms]
    assert main(["data", "build", str(folder / "talk.jsonl"), "--out", str(folder / "store"), *flags]) == 0
    return folder


def test_files_stores_and_generators_are_mixed_by_their_shares(talks):
    mixed = mixture(f"{talks}/talk.jsonl=2,{talks}/store=5,synthetic:charts=1", "assistant", seed=4)
    assert mixed.describe()["weights"] == {"talk": 2, "stored": 5, "charts": 1}
    assert [type(source) for source, _ in mixed.sources[1:]] == [StoredSource, ChartSource]
    processor = Processor.from_pretrained(EMBEDDED)
    met = {}
    for position in range(40):
        example = mixed.example(position)
        met.setdefault(example.source, example.encode(processor))
    assert set(met) == {"talk", "stored", "charts"}
    assert met["talk"].inputs.input_ids.tolist() == met["stored"].inputs.input_ids.tolist()
    assert met["talk"].labels.tolist() == met["stored"].labels.tolist()


def test_a_cutoff_refuses_what_is_younger_and_what_declares_no_dates(talks):
    assert mixture(f"{talks}/store", "text", 0, cutoff="2023-06")
    with pytest.raises(ConfigError, match=r"cutoff is 2023-05.*stored \(to 2023-06\)"):
        mixture(f"{talks}/store", "text", 0, cutoff="2023-05")
    with pytest.raises(ConfigError, match=r"talk.jsonl declares no dates"):
        mixture(f"{talks}/talk.jsonl", "text", 0, cutoff="2030")
    assert mixture("synthetic:shapes", "text", 0, cutoff="2000")


def test_entries_that_cannot_be_used_are_told(tmp_path):
    with pytest.raises(ConfigError, match="give --data"):
        mixture("", "text", 0)
    with pytest.raises(ConfigError, match="NAME=SHARE"):
        mixture("a.jsonl=many", "text", 0)
    with pytest.raises(ConfigError, match="no generator 'clouds'"):
        mixture("synthetic:clouds", "text", 0)


def test_videos_of_a_stage_are_decoded_once(tmp_path):
    from qwen2vl_agent.data.synthetic.standins import write

    write("videomme", tmp_path / "films", 1)
    (film,) = (tmp_path / "films" / "data").iterdir()
    turns = [
        {"role": "user", "content": [{"type": "video", "video": str(film)}, {"type": "text", "text": "?"}]},
        {"role": "assistant", "content": "x"},
    ]
    (tmp_path / "talk.jsonl").write_text(json.dumps({"messages": turns}), "utf-8")
    plain = Processor.from_pretrained(EMBEDDED)
    cached = with_video_cache(plain, str(tmp_path / "cache"))
    example = mixture(f"{tmp_path}/talk.jsonl", "assistant", 0).example(0)
    first = example.encode(cached).inputs.pixel_values_videos
    assert len(list((tmp_path / "cache" / "packs").iterdir())) == 1
    assert (first == example.encode(plain).inputs.pixel_values_videos).all()
    assert with_video_cache(plain, "") is plain
