"""The browser as a device, on a small site of our own."""

import os
import signal
import time

import pytest
from gymnasium.utils.env_checker import check_env
from web_pages import Site, page, served

from qwen2vl_agent.envs.browser.chromium import find_chromium
from qwen2vl_agent.envs.browser.device import BrowserDevice
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.actions import (
    Answer,
    Click,
    Done,
    Drag,
    Hotkey,
    KeyDown,
    KeyUp,
    Move,
    Scroll,
    Tap,
    TypeText,
    Wait,
)
from qwen2vl_agent.schema.errors import ActionRejected, ConfigError, DeviceLost
from qwen2vl_agent.schema.geometry import Point

pytest.importorskip("playwright", reason="the extra [browser] is not installed")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium: apt-get install chromium"),
]
SIZE = (400, 300)


@pytest.fixture(scope="module")
def site():
    with served() as ours, served() as foreign:
        ours.pages["/"] = page(
            "<button style='top:10px' onclick=\"document.title='clicked '+event.detail+event.ctrlKey\">Press</button>"
            "<input style='top:50px' id=t>"
            "<button style='top:90px' onclick=\"document.title='said '+confirm('Sure?')\">Ask</button>"
            "<button style='top:130px' onclick=\"document.title='named '+prompt('Your name?','nobody')\">Name</button>"
            "<a style='top:170px' href='/second'>second</a>"
            "<div style='position:absolute;top:2000px'>far below</div>"
        )
        ours.pages["/second"] = page(
            f"<a style='top:10px' href='{foreign.address}/away'>away</a>"
            "<a style='top:50px' href='/moved'>moved</a>"
            "<a style='top:90px' href='/file.csv'>file</a>"
            "<a style='top:130px' href='/' target=_blank>new window</a>"
            f"<a style='top:170px' href='{foreign.address}/away' target=_blank>new window away</a>"
        )
        ours.redirects["/moved"] = f"{foreign.address}/away"
        foreign.pages["/away"] = page("elsewhere")
        ours.foreign = foreign
        yield ours


@pytest.fixture(scope="module")
def shared(site, tmp_path_factory):
    device = BrowserDevice(site.address + "/", size=SIZE, downloads=tmp_path_factory.mktemp("downloads"))
    yield device
    device.close()


@pytest.fixture
def device(shared, site: Site):
    shared.restart()
    site.asked.clear()
    site.foreign.asked.clear()
    return shared


def at(device, x: int, y: int) -> Point:
    return Point(x, y, device.frame)


def click(device, y: int, **more) -> dict:
    """A click after a look, as an agent's is: Chromium lets input go by before a page's first picture."""
    device.screenshot()
    return device.perform(Click(point=at(device, 100, y), **more))


def title(device) -> str:
    return device.chromium.run(device._page.title())


def wait_for(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


def test_a_click_meets_what_is_drawn_there(device):
    assert click(device, 25) == {"action": "click", "point": [100, 25], "button": "left", "count": 1, "modifiers": ""}
    assert title(device) == "clicked 1false"
    click(device, 25, count=2, modifiers="ctrl")
    assert title(device) == "clicked 2true"


def test_the_picture_has_the_size_of_the_frame_and_shows_what_changes(device):
    before = device.screenshot()
    assert before.size == SIZE == (device.frame.width, device.frame.height)
    assert before.mode == "RGB"
    click(device, 65)
    device.perform(TypeText(text="ÄÖ 日本 <b>"))
    assert device.screenshot() != before
    field = next(element for element in device.elements() if element.resource_id == "t")
    assert (field.text, field.role, field.focused) == ("ÄÖ 日本 <b>", "field", True)


def test_typing_can_begin_afresh_and_keys_can_be_held(device):
    click(device, 65)
    device.perform(TypeText(text="first"))
    device.perform(TypeText(text="second", clear_first=True))
    device.perform(KeyDown(key="shift"))
    device.perform(Hotkey(keys="left"))
    device.perform(KeyUp(key="shift"))
    device.perform(TypeText(text="X"))
    assert device.chromium.run(device._page.evaluate("() => document.getElementById('t').value")) == "seconX"


def test_the_wheel_scrolls_and_a_drag_selects(device):
    device.perform(Scroll(point=at(device, 200, 250), dy=3))
    wait_for(lambda: device.chromium.run(device._page.evaluate("() => scrollY")) == 300)
    device.perform(Scroll(point=at(device, 200, 250), dy=-3))
    wait_for(lambda: device.chromium.run(device._page.evaluate("() => scrollY")) == 0)
    device.perform(Drag(start=at(device, 22, 185), end=at(device, 390, 185)))
    device.perform(Move(point=at(device, 5, 5)))
    assert device.perform(Wait(seconds=0.0)) == {"action": "wait", "seconds": 0.0}


def test_what_a_browser_cannot_do_is_refused(device):
    with pytest.raises(ActionRejected, match="a browser cannot tap"):
        device.perform(Tap(point=at(device, 5, 5)))
    with pytest.raises(ActionRejected, match="there is no key"):
        device.perform(Hotkey(keys="hyper"))
    with pytest.raises(ActionRejected, match="the only page"):
        device.perform(Hotkey(keys="ctrl+w"))


def test_a_question_of_the_page_is_drawn_and_answered_by_its_buttons(device):
    calm = device.screenshot()
    click(device, 105)
    asked = device.screenshot()
    assert asked != calm
    with pytest.raises(ActionRejected, match="a dialog of the page is in front"):
        click(device, 290)
    buttons = {element.text: element.centre for element in device.elements()}
    assert set(buttons) == {"OK", "Cancel"}
    device.perform(Click(point=at(device, *buttons["Cancel"])))
    assert title(device) == "said false"
    click(device, 105)
    device.perform(Hotkey(keys="enter"))
    assert title(device) == "said true"


def test_a_prompt_is_filled_by_typing(device):
    click(device, 145)
    device.perform(TypeText(text="Ann", clear_first=True))
    device.perform(Hotkey(keys="enter"))
    assert title(device) == "named Ann"
    click(device, 145)
    device.perform(Hotkey(keys="escape"))
    assert title(device) == "named null"


def test_links_lead_to_allowed_pages_and_back(device, site):
    click(device, 185)
    wait_for(lambda: device._page.url.endswith("/second"))
    assert "/second" in site.asked
    device.perform(Hotkey(keys="alt+left"))
    wait_for(lambda: device._page.url == site.address + "/")
    assert device.news() == ""


def test_a_link_to_elsewhere_is_refused_before_anything_is_asked(device, site):
    click(device, 185)
    wait_for(lambda: device._page.url.endswith("/second"))
    click(device, 25)
    wait_for(lambda: bool(device._news))
    assert "which is not allowed; only" in device.news()
    assert device.news() == ""
    assert site.foreign.asked == []
    assert device._page.url.endswith("/second"), "the page stays"
    click(device, 185)
    wait_for(lambda: bool(device._news))
    wait_for(lambda: len(device._pages) == 1)
    assert site.foreign.asked == []


def test_a_redirection_to_elsewhere_is_left_at_once(device, site):
    click(device, 185)
    wait_for(lambda: device._page.url.endswith("/second"))
    click(device, 65)
    wait_for(lambda: bool(device._news))
    assert "which is not allowed" in device.news()
    wait_for(lambda: device._page.url.startswith(site.address))


def test_a_page_that_gives_no_picture_for_a_moment_is_looked_at_again(device, monkeypatch):
    """As Chromium does between two pages; one that never gives one is lost."""
    from playwright.async_api import Error

    page, refusals = device._page, [Error("Unable to capture screenshot")] * 2
    real = page.screenshot

    async def shy(**options):
        if refusals:
            raise refusals.pop()
        return await real(**options)

    monkeypatch.setattr(page, "screenshot", shy)
    assert device.screenshot().size == SIZE
    assert refusals == []
    refusals += [Error("Unable to capture screenshot")] * 20
    with pytest.raises(DeviceLost, match="Unable to capture"):
        device.screenshot()


def test_a_new_window_comes_to_the_front_and_can_be_closed(device):
    click(device, 185)
    wait_for(lambda: device._page.url.endswith("/second"))
    click(device, 145)
    wait_for(lambda: len(device._pages) == 2)
    wait_for(lambda: device._page.url.endswith("/"))
    device.perform(Hotkey(keys="ctrl+w"))
    wait_for(lambda: len(device._pages) == 1)
    assert device._page.url.endswith("/second")


def test_a_download_is_kept_in_the_folder_and_told(device):
    click(device, 185)
    wait_for(lambda: device._page.url.endswith("/second"))
    click(device, 105)
    wait_for(lambda: bool(device._news))
    told = device.news()
    assert told.startswith("Downloaded "), told
    kept = list(device._downloads.iterdir())
    assert [path.parent for path in kept] == [device._downloads]
    assert kept[0].read_text() == "a,b\n1,2\n"


def test_each_window_begins_without_the_cookies_of_the_last(device):
    device.chromium.run(device._page.evaluate("() => { document.cookie = 'known=1'; localStorage.x = 1; }"))
    device.restart()
    assert device.chromium.run(device._page.evaluate("() => document.cookie + (localStorage.x || '')")) == ""


def test_a_browser_that_dies_is_a_lost_device(site):
    device = BrowserDevice(site.address + "/", size=SIZE)
    try:
        kill_browser(device)
        wait_for(lambda: not device.chromium.alive)
        with pytest.raises(DeviceLost, match="the browser"):
            device.screenshot()
        with pytest.raises(DeviceLost):
            device.perform(Hotkey(keys="a"))
    finally:
        device.close()
    device.close()


def kill_browser(device) -> None:
    """Kills the browser's own process, found as the parent of its pages."""

    async def pid() -> int:
        session = await device.chromium._browser.new_browser_cdp_session()
        answer = await session.send("SystemInfo.getProcessInfo")
        return next(int(item["id"]) for item in answer["processInfo"] if item["type"] == "browser")

    os.kill(device.chromium.run(pid()), signal.SIGKILL)


def test_a_page_that_is_not_there_is_told():
    with pytest.raises(DeviceLost, match="cannot be shown"):
        BrowserDevice("http://127.0.0.1:9/", size=SIZE)
    with pytest.raises(ConfigError, match="needs a page"):
        make_env("browser")
    with pytest.raises(ConfigError, match="no address of a page"):
        make_env("browser", url="nonsense")


def test_the_environment_keeps_gymnasiums_contract_and_tells_the_news(site):
    env = make_env("browser", url=site.address + "/", size=SIZE, task="Press the button")
    try:
        check_env(env, skip_render_check=True)
        env.reset(seed=1)
        assert env.goal == "Press the button"
        env.step(Click(point=Point(100, 185, env.device.frame)))
        wait_for(lambda: env.device._page.url.endswith("/second"))
        env.step(Click(point=Point(100, 25, env.device.frame)))
        told = [env.observation.text]
        while "which is not allowed" not in " ".join(told) and len(told) < 20:
            env.step(Wait(seconds=0.2))
            told.append(env.observation.text)
        assert sum("which is not allowed" in text for text in told) == 1
        *_, terminated, _, info = env.step(Tap(point=Point(1, 1, env.device.frame)))
        assert not terminated
        assert "not an action of this device" in info["action_error"]
        assert env.step(Done())[2]
        assert isinstance(env.step(Answer(text="x"))[1], float)
    finally:
        env.close()
