"""`run --device browser`: what it needs, and an episode from the flags to the verdict."""

import json

import pytest

from qwen2vl_agent import cli
from qwen2vl_agent.commands.browsers import _wanted
from qwen2vl_agent.commands.devices import Wish
from qwen2vl_agent.envs.browser.chromium import find_chromium
from qwen2vl_agent.schema.errors import ConfigError


def test_a_browser_needs_a_page_or_a_task_of_miniwob():
    with pytest.raises(ConfigError, match="needs a page to begin with"):
        _wanted(Wish(device="browser", tasks=("Buy milk",)))
    assert _wanted(Wish(device="browser", tasks=("miniwob.click-test",)))[0] == "miniwob"


def test_the_flags_become_options_of_the_environment(tmp_path):
    given = {"url": "https://a.org/", "allow": ("https://b.org",), "downloads": str(tmp_path)}
    name, told, options = _wanted(Wish(device="browser", tasks=("Read",), options=given))
    assert (name, options) == (
        "browser",
        {"url": "https://a.org/", "allow": ("https://b.org",), "downloads": tmp_path},
    )
    assert "https://b.org" in told


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium: apt-get install chromium")
def test_a_bundled_task_of_a_page_has_a_verdict(tmp_path, capsys):
    flags = ["--device", "browser", "--task", "miniwob.enter-text", "--policy", "oracle", "--json"]
    assert cli.main(["run", *flags, "--out", str(tmp_path / "episode")]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (answer["outcome"], answer["reward"]) == ("success", 1.0)


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium: apt-get install chromium")
def test_own_words_on_an_own_page_end_unverified_or_cut_off(tmp_path, capsys):
    page = tmp_path / "page.html"
    page.write_text("<h1>Hello</h1>")
    flags = ["--device", "browser", "--url", page.as_uri(), "--task", "Read the page", "--policy", "noop"]
    assert cli.main(["run", *flags, "--max-steps", "1", "--json", "--out", str(tmp_path / "episode")]) == 1
    shown = capsys.readouterr()
    answer = json.loads(shown.out.splitlines()[-1])
    assert (answer["outcome"], answer["steps"], answer["goal"]) == ("failure", 1, "Read the page")
    assert "links may lead to its origin only" in shown.err
