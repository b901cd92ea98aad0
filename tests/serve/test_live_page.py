"""The live page's server: what it tells, who may press, and what is no button."""

import http.client
import json
import time
from urllib.parse import urlsplit

import pytest
from episodes import ASK_TAPS, watched
from PIL import Image

from qwen2vl_agent.agent.person import Question
from qwen2vl_agent.serve.live_page import Both, serving_live_page


class Browser:
    """Sends requests as a page would, with the cookie that the address gave."""

    def __init__(self, url: str) -> None:
        self.parts = urlsplit(url)
        status, headers, _ = self.ask("GET", f"/?{self.parts.query}")
        assert status == 303
        self.cookie = headers["set-cookie"].partition(";")[0]
        assert "HttpOnly" in headers["set-cookie"]
        assert "SameSite=strict" in headers["set-cookie"]

    def ask(self, method: str, path: str, body=None, **headers: str):
        wire = http.client.HTTPConnection(self.parts.netloc, timeout=60)
        try:
            cookie = {"Cookie": self.cookie} if hasattr(self, "cookie") else {}
            wire.request(method, path, body, {**cookie, **headers})
            answer = wire.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            wire.close()

    def press(self, wanted, **headers: str):
        given = {"Content-Type": "application/json", **headers}
        body = wanted if isinstance(wanted, bytes) else json.dumps(wanted)
        status, _, answer = self.ask("POST", "/press", body, **given)
        return status, json.loads(answer)

    def events(self, count: int) -> list[tuple[str, object]]:
        wire = http.client.HTTPConnection(self.parts.netloc, timeout=60)
        try:
            wire.request("GET", "/events", headers={"Cookie": self.cookie})
            with wire.getresponse() as answer:
                found = []
                while len(found) < count:
                    line = answer.readline().decode().strip()
                    if line.startswith("event: "):
                        found.append((line[7:], json.loads(answer.readline().decode()[6:])))
                return found
        finally:
            wire.close()


def wait_for_question(live, index: int) -> Question:
    """The question of the step with this number, once pages are told of it."""
    deadline = time.monotonic() + 60
    while (asked := live.controls.question) is None or asked.index != index or live._state["question"] is None:
        assert time.monotonic() < deadline, f"no question at step {index}"
        time.sleep(0.01)
    return asked


def test_a_page_that_comes_late_is_told_all_that_was(tmp_path):
    with watched(tmp_path / "e", ASK_TAPS) as episode:
        wait_for_question(episode.live, 0)
        episode.live.controls.approve()
        wait_for_question(episode.live, 1)
        browser = Browser(episode.url)
        ((kind, told),) = browser.events(1)
        assert kind == "all"
        assert told["header"]["task"] == "settings.toggle"
        assert told["question"]["kind"] == "approve"
        assert [step["index"] for step in told["steps"]] == list(range(len(told["steps"])))
        status, headers, data = browser.ask("GET", "/screen.png")
        assert (status, headers["content-type"], data[:4]) == (200, "image/png", b"\x89PNG")


def test_buttons_reach_the_episode(tmp_path):
    with watched(tmp_path / "e", ASK_TAPS) as episode:
        browser = Browser(episode.url)
        wait_for_question(episode.live, 0)
        assert browser.press({"do": "hand_back"}) == (200, {"done": False})
        assert browser.press({"do": "deny", "text": "not now"}) == (200, {"done": True})
        wait_for_question(episode.live, 1)
        assert browser.press({"do": "stop"}) == (200, {"done": True})
        deadline = time.monotonic() + 60
        while episode.record.header.outcome is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert episode.record.header.outcome == "stopped"
        assert "not now" in episode.record.steps[0].error


@pytest.mark.parametrize("path", ["/", "/events", "/screen.png"])
def test_nothing_is_shown_without_the_token(path):
    with serving_live_page() as (live, url):
        live.saw(0, Image.new("RGB", (9, 9)), "")
        wire = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        for address in (path, f"{path}?token=wrong"):
            wire.request("GET", address)
            answer = wire.getresponse()
            assert answer.status == 401
            answer.read()
        wire.close()


def test_another_site_presses_no_button_even_with_the_cookie():
    with serving_live_page() as (live, url):
        browser = Browser(url)
        assert browser.press({"do": "stop"}, Origin="https://evil.example")[0] == 403
        assert browser.press({"do": "stop"}, Host="evil.example")[0] == 403
        assert browser.press({"do": "stop"}, **{"Content-Type": "text/plain"})[0] == 415
        assert not live.controls.stopping()
        browser.cookie = "live=wrong"
        assert browser.press({"do": "stop"})[0] == 401
        assert not live.controls.stopping()


@pytest.mark.parametrize("path", ["/events", "/screen.png", "/"])
def test_another_site_reads_no_events_and_no_screen_even_with_the_cookie(path):
    with serving_live_page() as (live, url):
        browser = Browser(url)
        live.saw(0, Image.new("RGB", (9, 9)), "")
        for headers in (
            {"Origin": "https://evil.example"},
            {"Host": f"evil.example:{browser.parts.port}"},
            {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},  # another port of this machine
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        ):
            assert browser.ask("GET", path, **headers)[0] == 403


@pytest.mark.parametrize(
    "wanted",
    [{}, [], {"do": "format"}, {"do": "answer"}, {"do": "act"}, {"do": "act", "call": {"name": 1}}, b"{", b"[" * 30000],
)
def test_what_is_no_button_is_told(wanted):
    with serving_live_page() as (_, url):
        status, answer = Browser(url).press(wanted)
        assert status == 400
        assert set(answer["error"]) == {"message", "type", "param", "code"}


def test_two_watchers_are_both_told():
    told = []

    class Watcher:
        def wrote(self, piece):
            told.append(piece)

    Both(Watcher(), Watcher()).wrote("x")
    assert told == ["x", "x"]
