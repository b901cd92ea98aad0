"""The viewer's data, its page in one file, and the local server that gives it."""

import json
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from records import HOSTILE, record

from qwen2vl_agent import cli
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.data.examples import episode_example
from qwen2vl_agent.model.tokenizer import Tokenizer
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.messages import TextPart
from qwen2vl_agent.schema.trajectory import Reply
from qwen2vl_agent.serve.episode_view import episode_view, spelled
from qwen2vl_agent.serve.viewer_page import whole_page
from qwen2vl_agent.serve.viewer_server import Gallery, make_server, named_episodes
from qwen2vl_agent.trajectory.store import read_episode

MISTAKE = Reply(text='Oops.\n✿FUNCTION✿: tap\n✿ARGS✿: {"point": [1, 2]}', target=False)


def test_what_is_shown_as_a_training_target_is_what_training_predicts(tmp_path):
    changes = {1: {"reply": MISTAKE}, 2: {"error": "unknown function 'fly'", "call": None}}
    folder = record(tmp_path / "a", 4, changes, tools=("tap", "done"))
    parts = [part for message in episode_example(folder).messages for part in message.parts]
    replies = [part for part in parts if isinstance(part, TextPart) and "✿FUNCTION✿" in part.text][1:]
    shown = [step["target"] for step in episode_view(folder, "a")["steps"]]
    assert shown == [part.target for part in replies] == [True, False, False, True]


def test_parts_of_a_step_add_up_to_its_time(tmp_path):
    step = episode_view(record(tmp_path / "a", 1), "a")["steps"][0]
    assert dict(step["times"])["thinking"] == pytest.approx(0.04)
    assert sum(seconds for _, seconds in step["times"]) == pytest.approx(0.65 + 0.02 + 0.3 + 0.1)


def test_who_acted_and_what_was_noticed_is_told(tmp_path):
    folder = record(tmp_path / "a", 2, {1: {"by": "person", "events": ("approved",)}})
    assert [step["noticed"] for step in episode_view(folder, "a")["steps"]] == [[], ["by the person", "approved"]]


def test_the_tokens_of_a_reply_spell_it_also_where_a_letter_takes_several():
    tokenizer = Tokenizer.from_pretrained(EMBEDDED)
    text = 'Tap "Ω 日本 😀" now'
    pieces = spelled(tokenizer.encode(text), tokenizer.decode)
    assert "".join(pieces) == text
    assert len(pieces) == len(tokenizer.encode(text)) > len(text)


def test_a_record_is_read_alike_with_and_without_prompts(tmp_path):
    folder = record(tmp_path / "a", 3)
    with_prompts, without = read_episode(folder), read_episode(folder, prompts=False)
    assert [step.reply.text for step in with_prompts.steps] == [step.reply.text for step in without.steps]
    assert not any(step.reply.prompt_ids for step in without.steps)


def test_a_page_holds_each_frame_once_and_loads_nothing_from_elsewhere(tmp_path):
    page = whole_page({"a": record(tmp_path / "a", 3), "b": record(tmp_path / "b", 3)})
    assert page.count('<script type="text/plain" id="frame-') == 3
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_text_of_a_record_cannot_end_the_element_that_it_stands_in(tmp_path):
    page = whole_page({"a": record(tmp_path / "a", 1, {0: {"observation_text": HOSTILE}}, goal=HOSTILE)})
    assert "<script>document.title" not in page
    assert "<img src=x" not in page
    assert page.count("</script>") == page.count("<script")


def test_a_frame_that_is_no_hash_is_refused_before_any_file_is_opened(tmp_path):
    folder = record(tmp_path / "a", 1)
    lines = (folder / "steps.jsonl").read_text().replace(read_episode(folder).steps[0].frame.sha256, "../../secret")
    (folder / "steps.jsonl").write_text(lines)
    with pytest.raises(RecordError, match="not a step"):
        whole_page({"a": folder})


def test_the_command_writes_a_file_and_tells_its_size(tmp_path, capsys):
    record(tmp_path / "runs" / "a", 2)
    record(tmp_path / "runs" / "b", 2)
    file = tmp_path / "page.html"
    assert cli.main(["view", str(tmp_path / "runs"), "--html", str(file), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer == {"file": str(file), "episodes": 2, "bytes": file.stat().st_size}


@pytest.mark.parametrize("words", [["view", "/nowhere"], ["view"]])
def test_a_folder_without_episodes_is_told_in_one_line(words, capsys):
    assert cli.main(words) == 2
    assert capsys.readouterr().err.startswith("error: ")


@contextmanager
def served(folder):
    with make_server(Gallery(named_episodes([folder]))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def fetch(url: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_the_server_gives_list_episode_and_exact_frames(tmp_path):
    folder = record(tmp_path / "runs" / "a", 2)
    frame = read_episode(folder).steps[1].frame.sha256
    with served(tmp_path / "runs") as url:
        assert [card["name"] for card in json.loads(fetch(f"{url}/episodes.json")[1])] == ["a"]
        assert len(json.loads(fetch(f"{url}/episodes/0.json")[1])["steps"]) == 2
        assert fetch(f"{url}/frames/0/{frame}.png") == (200, (folder / "frames" / f"{frame}.png").read_bytes())
        assert b"Content-Security-Policy" in fetch(url)[1]


@pytest.mark.parametrize(
    "path", ["/episodes/7.json", "/frames/0/../../episode.json", f"/frames/0/{'0' * 64}.png", "/x", "/episodes/-1.json"]
)
def test_whatever_is_not_there_is_not_found(tmp_path, path):
    record(tmp_path / "a", 1)
    with served(tmp_path / "a") as url:
        assert fetch(url + path)[0] == 404


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_another_site_is_refused(tmp_path, headers):
    record(tmp_path / "a", 1)
    with served(tmp_path / "a") as url:
        assert fetch(f"{url}/episodes.json", **headers)[0] == 403
