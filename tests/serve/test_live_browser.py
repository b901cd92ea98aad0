"""The live page as a person uses it, in Chromium, on an episode that really runs."""

import time

import pytest
from chromium import chromium_page
from episodes import ASK_TAPS, watched

pytestmark = pytest.mark.browser


def outcome(episode) -> str | None:
    deadline = time.monotonic() + 60
    while episode.record.header.outcome is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return episode.record.header.outcome


def test_calls_are_approved_by_mouse_and_by_key_until_the_task_is_solved(tmp_path):
    with watched(tmp_path / "e", ASK_TAPS) as episode, chromium_page() as page:
        page.goto(episode.url)
        assert "token" not in page.url
        page.wait_for_selector("#question:not([hidden])")
        assert "May it do this? tap(point=" in page.inner_text("#asked")
        assert page.inner_text("#why") == "taps are <b>asked</b> about"
        assert page.locator("#screen svg circle").count() == 1
        page.click("button[data-do=approve]")
        page.wait_for_selector("#steps li")
        while outcome_now(episode) is None:
            if page.locator("#question:not([hidden])").count():
                page.keyboard.press("a")
            time.sleep(0.05)
        page.wait_for_selector("#state:text('ended: success')")
        assert page.locator("#steps li").count() == len(episode.record.steps)
        assert page.locator("#buttons button:disabled").count() == 4


def outcome_now(episode) -> str | None:
    return episode.record.header.outcome


def test_a_denied_call_is_told_to_the_model_with_its_reason(tmp_path):
    with watched(tmp_path / "e", ASK_TAPS) as episode, chromium_page() as page:
        page.goto(episode.url)
        page.wait_for_selector("#question:not([hidden])")
        page.fill("#text", "never <i>that</i>")
        page.click("button[data-do=deny]")
        page.wait_for_selector("#steps .deed.error")
        assert "never <i>that</i>" in page.inner_text("#steps .deed.error")


def test_a_person_takes_over_touches_the_screen_and_hands_back(tmp_path):
    with watched(tmp_path / "e", ASK_TAPS) as episode, chromium_page() as page:
        page.goto(episode.url)
        page.wait_for_selector("#question:not([hidden])")
        page.keyboard.press("t")
        page.wait_for_selector("body.mine")
        page.wait_for_selector("#image[src]")
        page.locator("#screen").scroll_into_view_if_needed()
        box = page.locator("#image").bounding_box()
        page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.25)
        page.wait_for_selector("#steps li:has-text('tap')")
        page.click("button[data-key=home]")
        page.wait_for_selector("#steps li:has-text('press_key')")
        page.click("#question button[data-do=hand_back]:not([data-by-hand])")
        page.wait_for_selector("#asked:text('May it do this?')")
        page.click("button[data-do=stop]")
        page.wait_for_selector("#state:text('ended: stopped')")
        calls = [step.call for step in episode.record.steps]
        taps = [call.arguments["point"] for call in calls if call.name == "tap"]
        assert taps[0] == pytest.approx([500, 250], abs=4)
        assert any(call.name == "press_key" for call in calls)


def test_news_of_the_end_outlives_the_late_answer_of_a_button(tmp_path):
    late = []
    with watched(tmp_path / "e", ASK_TAPS) as episode, chromium_page() as page:
        page.route("**/press", lambda route: late.append((route, route.fetch())))
        page.goto(episode.url)
        page.wait_for_selector("#question:not([hidden])")
        page.click("button[data-do=stop]")
        page.wait_for_selector("#state:text('ended: stopped')")
        for route, answer in late:
            with page.expect_response("**/press") as came:
                route.fulfill(response=answer)
            came.value.finished()
        page.evaluate("new Promise(requestAnimationFrame)")
        assert page.inner_text("#state").startswith("ended: stopped")


def test_pause_holds_before_the_next_action_and_go_on_goes_on(tmp_path):
    with watched(tmp_path / "e", pause_first=True) as episode, chromium_page() as page:
        page.goto(episode.url)
        page.wait_for_selector("#state:text('paused')")
        assert episode.record.steps == []
        page.keyboard.press("g")
        page.wait_for_selector("#state:text('ended: success')")
        assert outcome(episode) == "success"


def test_it_fits_a_phone(tmp_path):
    with watched(tmp_path / "e", ASK_TAPS) as episode, chromium_page(390, 844, has_touch=True, is_mobile=True) as page:
        page.goto(episode.url)
        page.wait_for_selector("#question:not([hidden])")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        page.tap("button[data-do=approve]")
        page.wait_for_selector("#steps li")
