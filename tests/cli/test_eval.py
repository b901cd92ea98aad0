"""Benchmarks are read as published and as on the hub; answers are scored, kept and taken up again."""

import io
import itertools
import json
from pathlib import Path

import av
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from qwen2vl_agent.cli import main
from qwen2vl_agent.commands import eval as command
from qwen2vl_agent.data.questions import questions
from qwen2vl_agent.schema.errors import ConfigError, MediaError, RecordError
from qwen2vl_agent.schema.messages import ImagePart, VideoPart


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (56, 56), (9, 90, 9)).save(file, "PNG")
    return file.getvalue()


def docvqa_published(folder: Path) -> Path:
    (folder / "documents").mkdir(parents=True)
    data = []
    for number in range(3):
        (folder / "documents" / f"{number}.png").write_bytes(png())
        name = f"documents/{number}.png"
        data.append({"questionId": number, "question": "Who?", "image": name, "answers": ["Ann", "ann b."]})
    (folder / "val_v1.0.json").write_text(json.dumps({"dataset_name": "docvqa", "data": data}))
    return folder


def docvqa_hub(folder: Path) -> Path:
    folder.mkdir()
    image = {"bytes": png(), "path": "0.png"}
    rows = [{"questionId": str(n), "question": "Who?", "image": image, "answers": ["Ann", "ann b."]} for n in range(3)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "validation-00000-of-00001.parquet")
    return folder


def mathvista(folder: Path) -> Path:
    folder.mkdir()
    same = {"image": "images/1.jpg", "decoded_image": {"bytes": png(), "path": None}, "question": "?"}
    rows = [
        same | {"pid": "1", "query": "How many?", "choices": None, "answer": "4", "answer_type": "integer",
                "precision": 1.0, "metadata": {"task": "counting"}},
        same | {"pid": "2", "query": "Which?", "choices": ["red", "blue"], "answer": "blue", "answer_type": "text",
                "precision": None, "metadata": {"task": "colours"}},
    ]  # fmt: skip
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "testmini-00000-of-00001.parquet")
    return folder


def videomme(folder: Path) -> Path:
    (folder / "data").mkdir(parents=True)
    with av.open(str(folder / "data" / "xyz.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 56, 56, "yuv420p"
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (56, 56)))))
        container.mux(stream.encode())
    options = ["A. Red.", "B. Blue.", "C. Green.", "D. None."]
    row = {"video_id": "001", "videoID": "xyz", "question_id": "001-1", "question": "Which?", "options": options}
    rows = [row | {"duration": "short", "answer": "B"}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "test-00000-of-00001.parquet")
    return folder


@pytest.fixture
def answering(monkeypatch):
    """Answers in place of a model's, in turn; what was asked."""
    asked = []

    def use(*answers: str) -> list:
        left = list(answers)

        def ask(messages):
            asked.append(messages)
            return left.pop(0)

        monkeypatch.setattr(command.Command, "asker", lambda self: ask)
        return asked

    return use


def last(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("write", [docvqa_published, docvqa_hub])
def test_documents(tmp_path, capsys, answering, write):
    asked = answering("Ann", "anna", "Bob")
    assert main(["eval", "docvqa", "--data", str(write(tmp_path / "copy")), "--json"]) == 0
    told = last(capsys)
    assert told["metric"] == "ANLS"
    assert told["questions"] == 3
    assert told["score"] == pytest.approx((1 + 0.75 + 0) / 3)
    image, text = asked[0][0].parts
    assert isinstance(image, ImagePart)
    assert text.text == "Who?\nAnswer the question using a single word or phrase."


def test_mathematics_by_task(tmp_path, capsys, answering):
    answering("There are 4", "A")
    assert main(["eval", "mathvista", "--data", str(mathvista(tmp_path / "copy")), "--json"]) == 0
    told = last(capsys)
    assert told["score"] == 0.5
    assert told["kinds"] == {"colours": {"score": 0.0, "questions": 1}, "counting": {"score": 1.0, "questions": 1}}


def test_videos_and_their_options(tmp_path, capsys, answering):
    asked = answering("B")
    assert main(["eval", "videomme", "--data", str(videomme(tmp_path / "copy")), "--json"]) == 0
    assert last(capsys)["score"] == 1.0
    film, text = asked[0][0].parts
    assert isinstance(film, VideoPart)
    assert film.video.name == "xyz.mp4"
    assert "B. Blue." in text.text


def test_a_stopped_run_goes_on_with_the_questions_that_are_left(tmp_path, capsys, answering):
    data, out = docvqa_published(tmp_path / "copy"), tmp_path / "answers.jsonl"
    answering("Ann")
    assert main(["eval", "docvqa", "--data", str(data), "--out", str(out), "--limit", "1"]) == 0
    with out.open("a") as file:
        file.write('{"id": "1", "ans')
        file.write("\n")
    asked = answering("Bob", "Ann")
    before = len(asked)
    assert main(["eval", "docvqa", "--data", str(data), "--out", str(out), "--json"]) == 0
    assert len(asked) - before == 2
    assert last(capsys)["score"] == pytest.approx(2 / 3)


@pytest.mark.slow
def test_a_real_model_answers(tmp_path, capsys):
    flags = ["--max-new-tokens", "4", "--json"]
    assert main(["eval", "docvqa", "--data", str(docvqa_hub(tmp_path / "a")), *flags, "--limit", "1"]) == 0
    assert last(capsys)["questions"] == 1
    more = ["--video-cache", str(tmp_path / "cache")]
    assert main(["eval", "videomme", "--data", str(videomme(tmp_path / "b")), *flags, *more]) == 0
    assert last(capsys)["questions"] == 1
    assert len(list((tmp_path / "cache" / "packs").iterdir())) == 1


def test_copies_that_lack_something_are_told(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no Parquet or JSON"):
        list(questions("docvqa", tmp_path / "empty"))
    (tmp_path / "empty" / "x.json").write_text('{"data": [{"questionId": 1, "question": "?", "image": "a.png"}]}')
    with pytest.raises(ConfigError, match="with answers"):
        list(questions("docvqa", tmp_path / "empty"))
    entry = {"questionId": 1, "answers": ["a"], "question": "?", "image": "../a.png"}
    (tmp_path / "a.png").write_bytes(png())  # it is there, but not in the copy
    (tmp_path / "empty" / "x.json").write_text(json.dumps({"data": [entry]}))
    with pytest.raises(MediaError, match="lacks the picture"):
        list(questions("docvqa", tmp_path / "empty"))
    with pytest.raises(RecordError, match="no question of videomme"):
        list(questions("videomme", tmp_path / "empty"))


def test_reading_is_told_for_each_script(capsys, answering, monkeypatch):
    from qwen2vl_agent.data.synthetic import trials

    monkeypatch.setattr(trials, "writable", lambda: ("latin", "arabic"))
    truths = [question.truths[0] for question in itertools.islice(trials.reading(7), 4)]
    asked = answering(truths[0], truths[1][:-1], "", truths[3])
    assert main(["eval", "reading", "--seed", "7", "--limit", "4", "--json"]) == 0
    told = last(capsys)
    assert told["metric"] == "letters right"
    assert told["kinds"]["latin"] == {"score": 0.5, "questions": 2}
    assert told["kinds"]["arabic"]["score"] == pytest.approx((2 - 1 / len(truths[1])) / 2)
    assert isinstance(asked[0][1].parts[0], ImagePart)


def test_an_event_is_told_for_each_tenth_beside_chance(capsys, answering, monkeypatch):
    from qwen2vl_agent.data.synthetic import trials

    monkeypatch.setattr(trials, "EVENT_SECONDS", 20)
    truths = [question.truths[0] for question in itertools.islice(trials.event(0), 11)]
    answering(*truths[:10], "grey")
    assert main(["eval", "event", "--limit", "11", "--json"]) == 0
    told = last(capsys)
    assert told["chance"] == pytest.approx(1 / 6)
    assert list(told["kinds"])[:2] == ["0 to 10 %", "10 to 20 %"]
    assert list(told["kinds"])[-1] == "90 to 100 %"
    assert told["kinds"]["0 to 10 %"] == {"score": 0.5, "questions": 2}


def test_where_questions_come_from_is_told(tmp_path, capsys):
    assert main(["eval", "docvqa"]) == 2
    assert "docvqa needs --data" in capsys.readouterr().err
    assert main(["eval", "reading", "--data", str(tmp_path)]) == 2
    assert "draws its own questions" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["docvqa", "infovqa", "mathvista", "videomme"])
def test_every_stand_in_runs_with_a_real_model(tmp_path, capsys, suite):
    assert main(["data", "standin", suite, "--out", str(tmp_path / "copy"), "--count", "2"]) == 0
    flags = ["--max-new-tokens", "4", "--json"]
    assert main(["eval", suite, "--data", str(tmp_path / "copy"), *flags]) == 0
    assert last(capsys)["questions"] == 2
