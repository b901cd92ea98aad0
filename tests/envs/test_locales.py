"""Phones that speak another language: all that is the phone's own is said in it, and nothing of its owner's."""

import re
from itertools import islice

import pytest
from task_play import phone_of, play_oracle

from qwen2vl_agent.envs.phones import open_virtual_phone
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.tasks import make_task, task_ids
from qwen2vl_agent.envs.tasks.explore import random_pages
from qwen2vl_agent.envs.virtual_phone import locales
from qwen2vl_agent.envs.virtual_phone.apps.decoys import BOOKS
from qwen2vl_agent.envs.virtual_phone.content import Alarm, Note
from qwen2vl_agent.envs.virtual_phone.icons import CODEPOINTS
from qwen2vl_agent.envs.virtual_phone.locales import LOCALES, PLACE, table
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.schema.actions import OpenApp
from qwen2vl_agent.schema.errors import ConfigError

SMALL = (180, 400)
SHARED = {
    "WLAN",
    "VPN",
    "DNS",
    "NFC",
    "PIN",
    "SIM",
    "USB",
    "GB",
    "HH",
    "MM",
    "Wi",
    "Fi",
    "Android",
    "ABC",
    "VP",
    "Quad",
    "Bluetooth",
    "ToDo",
}
"""Latin words that other languages write, too."""
NAMES = {"Comet", "Falcon", "Harbor", "Lynx", "Swift", "Ava", "Echo", "Luna", "Max", "Nova", "Otto", *BOOKS}


def phone(code: str, seed: int = 3) -> VirtualPhone:
    return VirtualPhone(random_state(seed, Words.test(), f"full-{code}"), SMALL)


def texts(shown: VirtualPhone) -> set[str]:
    return {element.text for element in shown.elements()}


@pytest.mark.parametrize("code", LOCALES)
def test_every_word_has_one_of_its_own_and_keeps_its_places(code):
    words = table(code)
    assert len(set(words.values())) == len(words), "two words are said alike: nobody could tell them apart"
    assert all(other and other.count(PLACE) == english.count(PLACE) for english, other in words.items())
    assert not set(words) & {*CODEPOINTS, "left", "right", "middle", "switch", "radio", "checkbox", "filled", "tonal"}


@pytest.mark.parametrize("code", LOCALES)
def test_no_english_is_left_on_any_page(code, monkeypatch):
    english, paint = set(), VirtualPhone._paint

    def looked_at(self, mark=False):
        own = set(locales._written(self.state))
        for element in self.elements():
            typed = element.role == "field" or element.text.startswith("www.")
            if not typed and not any(len(text) > 2 and text in element.text for text in own):
                english.update(set(re.findall("[A-Za-z]{2,}", element.text)) - SHARED - NAMES)
        return paint(self, mark=mark)

    monkeypatch.setattr(VirtualPhone, "_paint", looked_at)
    met = {page.page for page in islice(random_pages(11, SMALL, Words.test(), f"full-{code}"), 250)}
    assert len(met) > 15
    assert english <= {"VP2"}


@pytest.mark.parametrize("code", LOCALES)
def test_what_the_owner_wrote_stays_as_it_is(code):
    shown = phone(code)
    state = shown.state
    state.notes = [Note("Search", "Save"), Note("Photo 3 saved", "")]
    state.alarms = [Alarm("07:30", "Alarm volume")]
    shown.refresh()
    shown.launch("notes")
    assert {"Search", "Save", "Photo 3 saved"} <= texts(shown)
    shown.launch("clock")
    assert "Alarm volume" in texts(shown)


def test_what_is_being_typed_stays_as_it_is():
    shown = phone("zh")
    shown.launch("notes")
    for id in ("notes:add", "notes:title"):
        shown.tap(*next(element for element in shown.elements() if element.resource_id == id).centre)
    shown.type_text("Delete")
    assert next(element for element in shown.elements() if element.resource_id == "notes:title").text == "Delete"
    assert "保存" in texts(shown)


def test_arabic_is_laid_out_from_right_to_left_and_chinese_is_not():
    for code, side in (("ar", max), ("zh", min)):
        shown = phone(code)
        shown.launch("clock")
        shown.tap(*next(element for element in shown.elements() if element.resource_id == "clock:add").centre)
        bar = [element for element in shown.elements() if element.resource_id in ("clock:back", "clock:bar")]
        assert side(bar, key=lambda element: element.bounds[0]).resource_id == "clock:back"


@pytest.mark.parametrize("task_id", [f"{code}.{name}" for code in LOCALES for name in (
    "settings.choose", "settings.read", "settings.two_toggles", "launcher.open_app", "launcher.quick_setting",
    "clock.start_timer", "multi.message_contact_number", "calendar.read", "browser.form", "shop.order",
)])  # fmt: skip
def test_the_oracle_solves_tasks_in_other_languages(task_id):
    for seed in range(2):
        task = make_task(task_id, seed)
        solved, decisions = play_oracle(task, phone_of(task, SMALL), task.max_steps)
        assert solved, f"{task.goal}: {[decision.thought for decision in decisions]}"


@pytest.mark.slow
@pytest.mark.parametrize("task_id", [task_id for code in LOCALES for task_id in task_ids(f"phone-{code}")])
def test_the_oracle_solves_every_task_in_every_language(task_id):
    for seed in range(2, 5):
        task = make_task(task_id, seed)
        assert play_oracle(task, phone_of(task, SMALL), task.max_steps)[0], task.goal


def test_a_goal_names_things_as_they_stand_on_the_screen():
    goals = {make_task("zh.settings.toggle", seed).goal for seed in range(5)}
    assert all(
        re.search('"[\u4e00-\u9fff A-Za-z0-9-]+"', goal) and re.search("[\u4e00-\u9fff]", goal) for goal in goals
    )
    task = make_task("zh.settings.read", 0)
    assert task.score(task.initial_state(), task.params["answer"]) == 1.0


def test_it_speaks_over_adb_and_to_those_who_open_apps_by_name(adb_client):
    with open_virtual_phone(seed=4, size=SMALL, edition="full-zh") as device:
        assert device.shell("getprop persist.sys.locale").strip() == "zh-CN"
        assert "设置" in re.findall("label=(.+)", device.shell("dumpsys package"))
        device.shell("am start -a android.settings.SETTINGS")
        assert "设置" in {element.text for element in device.elements()}


def test_an_app_is_opened_by_its_name_on_the_phone():
    env = make_env(size=SMALL, edition="full-zh")
    env.reset(seed=1, options={"task": "zh.settings.toggle"})
    tool = next(tool for tool in env.unwrapped.legal_tools if tool.name == "open_app")
    assert "设置" in str(tool)
    assert "Settings" not in str(tool)
    env.step(OpenApp(name="设置"))
    assert env.unwrapped.device.phone_state().foreground == "settings"


def test_an_edition_in_a_language_that_it_does_not_speak_is_refused():
    with pytest.raises(
        ConfigError, match=r"no edition 'full-xx'; expected one of first, full, full-zh, full-ja, full-ar"
    ):
        make_env(edition="full-xx")
