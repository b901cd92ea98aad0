"""The viewer as people use it, in Chromium: by keyboard, on a phone, without a network, with hostile records."""

import threading

import pytest
from chromium import chromium_page
from records import HOSTILE, record

from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.serve.viewer_page import whole_page
from qwen2vl_agent.serve.viewer_server import Gallery, make_server, named_episodes
from qwen2vl_agent.trajectory.store import read_episode

pytestmark = pytest.mark.browser
SHOWN = "body[data-shown]"


def write(tmp_path, **named):
    file = tmp_path / "page.html"
    file.write_text(whole_page(named), "utf-8")
    return file.as_uri()


def wait_for_pixels(page, place):
    """The page's content policy forbids what `wait_for_function` does, so the element itself is asked."""
    from playwright.sync_api import expect

    expect(page.locator(place)).to_have_js_property("naturalWidth", 540, timeout=60_000)


@pytest.fixture
def served(tmp_path):
    record(tmp_path / "runs" / "a", 6)
    record(tmp_path / "runs" / "b", 5, {2: {"call": ToolCall("tap", {"point": [9, 9]})}})
    with make_server(Gallery(named_episodes([tmp_path / "runs"]))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_arrow_keys_go_from_step_to_step(tmp_path):
    with chromium_page() as page:
        page.goto(write(tmp_path, a=record(tmp_path / "a", 6)))
        page.wait_for_selector(SHOWN)
        page.keyboard.press("ArrowRight")
        assert "step 2 of 6" in page.inner_text("h2")
        page.keyboard.press("End")
        assert "step 6 of 6" in page.inner_text("h2")
        assert page.get_attribute("#strip", "aria-activedescendant") == "step-5"
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Home")
        assert "step 1 of 6" in page.inner_text("h2")


def test_the_mark_lies_where_the_call_points(tmp_path):
    folder = record(tmp_path / "a", 1, {0: {"call": ToolCall("tap", {"point": [250, 750]})}})
    with chromium_page() as page:
        page.goto(write(tmp_path, a=folder))
        page.wait_for_selector(SHOWN)
        screen, mark = page.locator(".screen").bounding_box(), page.locator("svg .core").bounding_box()
        x = (mark["x"] + mark["width"] / 2 - screen["x"]) / screen["width"]
        y = (mark["y"] + mark["height"] / 2 - screen["y"]) / screen["height"]
        assert (x, y) == pytest.approx((0.25, 0.75), abs=0.01)


def test_the_probability_of_a_token_is_told_when_it_is_clicked(tmp_path):
    with chromium_page() as page:
        page.goto(write(tmp_path, a=record(tmp_path / "a", 1)))
        page.click(".tok >> nth=1")
        told = page.inner_text("output")
        assert "probability 0.135" in told
        assert "among those allowed 0.223" in told
        page.keyboard.press("ArrowRight")
        assert "forced" in page.inner_text("output")


def test_hostile_text_is_shown_and_not_run(tmp_path):
    changes = {0: {"observation_text": HOSTILE, "error": HOSTILE, "call": ToolCall(HOSTILE, {"point": [1, 2]})}}
    with chromium_page() as page:
        page.goto(write(tmp_path, **{HOSTILE: record(tmp_path / "a", 1, changes, goal=HOSTILE, message=HOSTILE)}))
        page.wait_for_selector(SHOWN)
        assert page.title() == HOSTILE
        assert page.inner_text(".observation p") == HOSTILE
        assert page.locator("img[src=x]").count() == 0


def test_the_file_works_without_a_network_and_shows_real_pixels(tmp_path):
    with chromium_page(offline=True) as page:
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(write(tmp_path, a=record(tmp_path / "a", 3)))
        wait_for_pixels(page, "figure img")
        assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


def test_two_runs_stand_side_by_side_at_their_first_difference(served):
    with chromium_page() as page:
        page.goto(served)
        page.wait_for_selector(SHOWN)
        page.select_option("#other", "1")
        page.wait_for_selector("body[data-shown='0,1']")
        assert page.locator("article").count() == 2
        assert "same screen, other call" in page.inner_text("article >> nth=1 >> css=h2")
        assert "2 of 6 steps differ, the first is 3" in page.inner_text("#about")
        page.keyboard.press("n")
        assert "no step of this run fits here" in page.inner_text("article >> nth=1")


def test_it_fits_a_phone(served):
    with chromium_page(390, 844, has_touch=True, is_mobile=True) as page:
        page.goto(served)
        page.wait_for_selector(SHOWN)
        page.tap("#step-2")
        assert "step 3 of 6" in page.inner_text("h2")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_an_episode_that_cannot_be_read_is_told(tmp_path, served):
    (tmp_path / "runs" / "b" / "steps.jsonl").write_text("{}\n")
    with chromium_page(expected=("404",)) as page:
        page.goto(served)
        page.wait_for_selector(SHOWN)
        page.select_option("#episode", "1")
        page.wait_for_selector("#problem:not([hidden])")
        assert "no version number" in page.inner_text("#problem")


def test_five_hundred_steps_open_and_load_only_the_pictures_in_view(tmp_path):
    folder = record(tmp_path / "a", 500)
    assert len(read_episode(folder).steps) == 500
    with chromium_page() as page:
        page.goto(write(tmp_path, a=folder))
        page.wait_for_selector(SHOWN)
        wait_for_pixels(page, "figure img")
        print("opened in", page.evaluate("performance.now()"), "ms")
        assert page.locator(".cell").count() == 500
        assert page.locator(".cell img[src]").count() < 100
        page.keyboard.press("End")
        wait_for_pixels(page, "#step-499 img")
