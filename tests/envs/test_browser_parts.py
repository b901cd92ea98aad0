"""Parts of the browser device that need no browser: addresses, keys, drawn dialogs, finding Chromium."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from qwen2vl_agent.envs.browser import chromium, dialogs
from qwen2vl_agent.envs.browser.dialogs import OpenDialog
from qwen2vl_agent.envs.browser.keys import browser_key, chord, key
from qwen2vl_agent.envs.browser.origins import allowed_origins, may_go, origin_of
from qwen2vl_agent.schema.errors import ActionRejected, ConfigError


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://example.org/a/b?c#d", "https://example.org"),
        ("HTTPS://Example.ORG:443/", "https://example.org"),
        ("http://127.0.0.1:8000/x", "http://127.0.0.1:8000"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("file:///home/me/page.html", "file://"),
    ],
)
def test_an_origin_is_scheme_host_and_unusual_port(url, origin):
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url", ["example.org", "ftp://example.org", "https://", "chrome://settings", "http://a:99999/"]
)
def test_what_is_no_page_has_no_origin(url):
    with pytest.raises(ConfigError):
        origin_of(url)


def test_only_named_origins_may_be_visited():
    allowed = allowed_origins("https://example.org/start", ["http://localhost:3000"])
    assert may_go("https://example.org/other", allowed)
    assert may_go("http://localhost:3000/", allowed)
    assert may_go("about:blank", allowed)
    for elsewhere in (
        "http://example.org/",
        "https://example.org.evil.com/",
        "https://example.org:444/",
        "https://example.org@evil.com/",
        "file:///etc/passwd",
        "chrome://settings",
    ):
        assert not may_go(elsewhere, allowed), elsewhere
    assert may_go("https://anything.net/", allowed_origins("https://example.org", ["*"]))


@given(st.text(max_size=40))
def test_no_address_brings_the_guard_down(url):
    assert may_go(url, ("https://example.org",)) in (True, False)


def test_keys_have_the_names_that_agents_write():
    assert chord("ctrl+shift+T") == ["Control", "Shift", "t"]
    assert chord("Enter") == ["Enter"]
    assert chord("+") == ["+"]
    assert chord("A") == ["A"]
    assert key("page_down") == "PageDown"
    with pytest.raises(ActionRejected, match="there is no key 'hyper'"):
        chord("hyper+x")
    with pytest.raises(ActionRejected, match="at least one key"):
        chord("")


def test_the_browsers_own_keys_are_told_from_the_pages():
    assert browser_key("alt+left") == "back"
    assert browser_key("f5") == browser_key("ctrl+R") == "reload"
    assert browser_key("left") is None


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("kind", ["alert", "confirm", "prompt"])
def test_a_drawn_dialogs_buttons_are_where_a_click_finds_them(kind, scale):
    size = (round(640 * scale), round(480 * scale))
    dialog = OpenDialog(None, kind, "Really delete all of it? " * 12, "a name")
    parts = dialogs.layout(dialog, size, scale)
    assert set(parts.buttons) == ({"accept"} if kind == "alert" else {"accept", "dismiss"})
    for choice, (left, top, right, bottom) in parts.buttons.items():
        assert dialogs.pressed(dialog, ((left + right) // 2, (top + bottom) // 2), size, scale) == choice
        assert parts.box[0] <= left < right <= parts.box[2]
        assert parts.box[1] <= top < bottom <= parts.box[3]
    assert dialogs.pressed(dialog, (1, size[1] - 1), size, scale) is None
    ground = Image.new("RGB", size, "black")
    picture = dialogs.drawn(dialog, ground, scale)
    assert picture.getpixel((parts.box[0] + 4, (parts.box[1] + parts.box[3]) // 2)) == (255, 255, 255)
    assert ground.getpixel((parts.box[0] + 4, parts.box[1] + 40)) == (0, 0, 0), "the page's own picture stays"


def test_a_chromium_that_is_named_and_not_there_is_told(monkeypatch):
    monkeypatch.setenv(chromium.EXECUTABLE_VARIABLE, "/nowhere/chromium")
    with pytest.raises(ConfigError, match="QWEN2VL_AGENT_CHROMIUM is /nowhere/chromium"):
        chromium.find_chromium()
