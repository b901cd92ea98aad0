"""Conversations in files: read line by line, in another order each epoch, with what is to be predicted marked."""

import json
import pickle

import pytest
from PIL import Image

from qwen2vl_agent.data.conversations import ConversationFile
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.messages import ImagePart


def written(folder, lines):
    path = folder / "talks.jsonl"
    path.write_text("\n".join(lines) + "\n\n", "utf-8")
    return path


def talk(number, **more):
    content = [{"type": "image", "image": f"{number}.png"}, {"type": "text", "text": "what é?"}]
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": f"number {number}"}]
    return json.dumps({"messages": messages} | more, ensure_ascii=False)


def said(example):
    return example.messages[1].parts[0].text


def test_every_epoch_has_all_conversations_in_another_order(tmp_path):
    source = pickle.loads(pickle.dumps(ConversationFile.open(written(tmp_path, [talk(n) for n in range(20)]))))
    epochs = [[said(source.example(epoch * 20 + index)) for index in range(20)] for epoch in range(2)]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(f"number {n}" for n in range(20))


def test_the_assistant_is_predicted_or_all_text(tmp_path):
    path = written(tmp_path, [talk(0, weight=2)])
    example = ConversationFile.open(path).example(0)
    assert [part.target for message in example.messages for part in message.parts[-1:]] == [False, True]
    assert example.weight == 2.0
    assert example.source == "talks"
    everything = ConversationFile.open(path, "text").example(0)
    assert [part.target for message in everything.messages for part in message.parts[-1:]] == [True, True]


def test_media_lie_beside_the_file(tmp_path):
    Image.new("RGB", (56, 56)).save(tmp_path / "0.png")
    part = ConversationFile.open(written(tmp_path, [talk(0)])).example(0).messages[0].parts[0]
    assert isinstance(part, ImagePart)
    assert part.image == tmp_path / "0.png"


@pytest.mark.parametrize("line", ["{", "[]", '{"messages": 3}', '{"messages": [{"role": "cook", "content": "x"}]}'])
def test_a_line_that_is_no_conversation_is_named(tmp_path, line):
    source = ConversationFile.open(written(tmp_path, [line]))
    with pytest.raises(ConfigError, match="conversation 0"):
        source.example(0)


def test_no_file_and_an_empty_one_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        ConversationFile.open(tmp_path / "talks.jsonl")
    with pytest.raises(ConfigError, match="is empty"):
        ConversationFile.open(written(tmp_path, []))
