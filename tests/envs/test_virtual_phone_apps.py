"""Each app does what its screen promises."""

import pytest

from qwen2vl_agent.envs.virtual_phone.apps.arithmetic import evaluate
from qwen2vl_agent.envs.virtual_phone.apps.clock import read_time
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.settings_catalogue import CHOICES, ITEMS, TOGGLES, Choice, path_to, walk
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.words import Words

SIZE = (360, 800)


@pytest.fixture
def phone() -> VirtualPhone:
    return VirtualPhone(random_state(21, Words.test()), SIZE)


def tap(phone: VirtualPhone, id: str) -> None:
    """Tap an element, scrolling down to it if need be."""
    for _ in range(12):
        found = [item for item in phone.elements() if item.resource_id == id]
        if found:
            phone.tap(*found[0].centre)
            return
        phone.swipe(180, 400, 180, 200)
    raise AssertionError(f"{id} is nowhere on the page")


def has(phone: VirtualPhone, id: str) -> bool:
    return any(item.resource_id == id for item in phone.elements())


def test_there_are_enough_settings_and_their_ids_are_unique():
    ids = [item.id for item in walk()]
    assert len(ids) == len(set(ids))
    assert len(TOGGLES) >= 20
    assert len([choice for choice in CHOICES if len(choice.options) >= 7]) >= 4
    assert max(len(path_to(item)) for item in ITEMS if item != "root") >= 3
    titles = [item.title for item in TOGGLES]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("setting", ["gestures.quick_tap", "display.night_light", "hotspot.usb", "privacy.ads"])
def test_a_switch_is_reached_through_its_groups_and_turns(phone: VirtualPhone, setting: str):
    before = phone.state.settings[setting]
    phone.launch("com.android.settings")
    for group in path_to(setting)[1:]:
        tap(phone, f"settings:{group.id}")
    tap(phone, f"settings:{setting}")
    assert phone.state.settings[setting] is not before


def test_the_dark_theme_darkens_the_screen(phone: VirtualPhone):
    phone.launch("com.android.settings", "display")
    phone.state.settings["display.dark_theme"] = False
    phone.refresh()
    light = phone.image().resize((1, 1)).getpixel((0, 0))
    tap(phone, "settings:display.dark_theme")
    dark = phone.image().resize((1, 1)).getpixel((0, 0))
    assert sum(light) > 2 * sum(dark)


def test_airplane_mode_shows_in_the_status_bar(phone: VirtualPhone):
    phone.state.settings.update({"network.airplane_mode": False, "mobile.enabled": True})
    phone.launch("com.android.settings", "network")
    assert has(phone, "system:signal_cellular_4_bar")
    tap(phone, "settings:network.airplane_mode")
    assert has(phone, "system:airplanemode_active")
    assert not has(phone, "system:signal_cellular_4_bar")


@pytest.mark.parametrize("setting", ["system.language", "sound.ringtone", "display.screen_timeout"])
def test_a_choice_is_made_and_the_page_closes(phone: VirtualPhone, setting: str):
    choice = ITEMS[setting]
    assert isinstance(choice, Choice)
    wanted = next(option for option in choice.options if option != phone.state.settings[setting])
    phone.launch("com.android.settings", setting)
    tap(phone, f"settings:{setting}.{wanted}")
    assert phone.state.settings[setting] == wanted
    assert phone.state.page.name == "group"


def test_a_volume_steps_and_stays_in_its_limits(phone: VirtualPhone):
    phone.launch("com.android.settings", "sound")
    for _ in range(11):
        tap(phone, "settings:sound.media_volume.more")
    assert phone.state.settings["sound.media_volume"] == 10
    tap(phone, "settings:sound.media_volume.less")
    assert phone.state.settings["sound.media_volume"] == 9


def test_settings_can_be_searched(phone: VirtualPhone):
    phone.launch("com.android.settings")
    tap(phone, "settings:search")
    phone.type_text("dark")
    before = phone.state.settings["display.dark_theme"]
    tap(phone, "settings:display.dark_theme")
    assert phone.state.settings["display.dark_theme"] is not before


def test_a_contact_is_added_edited_starred_and_deleted(phone: VirtualPhone):
    phone.launch("com.android.contacts")
    tap(phone, "contacts:add")
    phone.type_text("Zed Example")
    tap(phone, "contacts:phone")
    phone.type_text("555-0100")
    tap(phone, "contacts:save")
    assert [person.phone for person in phone.state.contacts if person.name == "Zed Example"] == ["555-0100"]
    tap(phone, "contacts:row.Zed Example")
    tap(phone, "contacts:favorite")
    tap(phone, "contacts:edit")
    tap(phone, "contacts:name")
    phone.type_text("s")
    tap(phone, "contacts:save")
    assert [person.favorite for person in phone.state.contacts if person.name == "Zed Examples"] == [True]
    tap(phone, "contacts:menu")
    tap(phone, "contacts:menu.delete")
    tap(phone, "contacts:delete")
    assert all(not person.name.startswith("Zed") for person in phone.state.contacts)
    assert phone.state.page.name == "main"


def test_a_contact_needs_a_name_of_its_own(phone: VirtualPhone):
    count = len(phone.state.contacts)
    phone.launch("com.android.contacts")
    tap(phone, "contacts:add")
    tap(phone, "contacts:save")
    assert phone.state.toast == "Enter a name"
    phone.type_text(phone.state.contacts[0].name)
    tap(phone, "contacts:save")
    assert phone.state.toast == "Name is taken"
    assert len(phone.state.contacts) == count


def test_the_search_filters_contacts(phone: VirtualPhone):
    name = phone.state.contacts[-1].name
    phone.launch("com.android.contacts")
    tap(phone, "contacts:search")
    phone.type_text(name.lower())
    rows = [item.text for item in phone.elements() if item.role == "row"]
    assert rows == [name]


def test_a_message_is_sent_and_its_conversation_comes_first(phone: VirtualPhone):
    name = phone.state.conversations[-1].name
    phone.launch("com.android.messaging")
    tap(phone, f"messages:row.{name}")
    tap(phone, "messages:text")
    phone.type_text("Hello")
    tap(phone, "messages:send")
    assert phone.state.conversations[0].name == name
    assert (phone.state.conversations[0].messages[-1].text, phone.state.conversations[0].messages[-1].mine) == (
        "Hello",
        True,
    )
    assert phone.state.page.fields["text"] == ""


def test_a_new_message_goes_to_a_contact_from_the_list(phone: VirtualPhone):
    known = {conversation.name for conversation in phone.state.conversations}
    name = next(person.name for person in phone.state.contacts if person.name not in known)
    phone.launch("com.android.messaging")
    tap(phone, "messages:new")
    tap(phone, f"messages:to.{name}")
    phone.type_text("Hi")
    phone.press_key("enter")
    assert phone.state.conversations[0].name == name
    assert [message.text for message in phone.state.conversations[0].messages] == ["Hi"]


def test_an_alarm_is_added_switched_edited_and_deleted(phone: VirtualPhone):
    phone.state.alarms = phone.state.alarms[:5]
    phone.launch("com.android.deskclock")
    tap(phone, "clock:add")
    phone.type_text("4:05")
    tap(phone, "clock:label")
    phone.type_text("Early")
    tap(phone, "clock:save")
    alarm = next(alarm for alarm in phone.state.alarms if alarm.time == "04:05")
    assert (alarm.label, alarm.enabled) == ("Early", True)
    tap(phone, "clock:switch.04:05")
    assert not alarm.enabled
    tap(phone, "clock:alarm.04:05")
    tap(phone, "clock:delete")
    assert all(alarm.time != "04:05" for alarm in phone.state.alarms)


def test_a_time_that_is_none_is_refused(phone: VirtualPhone):
    count = len(phone.state.alarms)
    phone.launch("com.android.deskclock")
    tap(phone, "clock:add")
    phone.type_text("25:99")
    tap(phone, "clock:save")
    assert "07:30" in phone.state.toast
    assert len(phone.state.alarms) == count


@pytest.mark.parametrize(
    ("typed", "time"),
    [("7:30", "07:30"), ("0730", "07:30"), ("19.05", "19:05"), ("730", "07:30"), ("24:00", None), ("", None)],
)
def test_times_are_read_as_people_type_them(typed: str, time: str | None):
    assert read_time(typed) == time


def test_timer_and_stopwatch_follow_the_phones_own_clock(phone: VirtualPhone):
    phone.launch("com.android.deskclock")
    tap(phone, "clock:tab.stopwatch")
    tap(phone, "clock:stopwatch.start")
    phone.advance(59)
    assert any(item.text.startswith("00:59") for item in phone.elements())
    tap(phone, "clock:tab.timer")
    minutes = phone.state.timer.minutes
    tap(phone, "clock:timer.minutes.more")
    assert phone.state.timer.minutes == minutes + 1
    tap(phone, "clock:timer.start")
    phone.advance(1)
    assert any(item.text == f"{minutes:02d}:59" for item in phone.elements())


def test_a_note_is_written_found_pinned_and_deleted(phone: VirtualPhone):
    phone.launch("org.virtualphone.notes")
    tap(phone, "notes:add")
    phone.type_text("Zebra facts")
    tap(phone, "notes:body")
    phone.type_text("stripes")
    phone.press_key("enter")
    phone.type_text("Africa")
    tap(phone, "notes:save")
    assert (phone.state.notes[0].title, phone.state.notes[0].body) == ("Zebra facts", "stripes\nAfrica")
    tap(phone, "notes:search")
    phone.type_text("africa")
    assert [item.text for item in phone.elements() if item.role == "row"] == ["Zebra facts"]
    tap(phone, "notes:pin.Zebra facts")
    assert phone.state.notes[0].pinned
    tap(phone, "notes:row.Zebra facts")
    tap(phone, "notes:delete")
    tap(phone, "notes:confirm")
    assert all(note.title != "Zebra facts" for note in phone.state.notes)


def test_a_dialog_keeps_the_page_below_from_being_touched(phone: VirtualPhone):
    phone.launch("org.virtualphone.notes")
    tap(phone, f"notes:row.{max(phone.state.notes, key=lambda note: note.pinned).title}")
    count = len(phone.state.notes)
    tap(phone, "notes:delete")
    clickable = {item.resource_id for item in phone.elements() if item.clickable and item.role != "icon"}
    assert clickable == {"notes:cancel", "notes:confirm"}
    phone.tap(180, 150)
    assert phone.state.page.dialog == ""
    assert len(phone.state.notes) == count


def test_the_calculator_computes_and_works_on(phone: VirtualPhone):
    phone.launch("com.android.calculator2")
    for key in ("1", "2", "times", "7", "equals"):
        tap(phone, f"calculator:key.{key}")
    assert (phone.state.calculator.expression, phone.state.calculator.result) == ("12×7", "84")
    for key in ("minus", "4", "equals"):
        tap(phone, f"calculator:key.{key}")
    assert phone.state.calculator.result == "80"
    tap(phone, "calculator:key.5")
    assert phone.state.calculator.expression == "5"


@pytest.mark.parametrize(
    ("expression", "value"),
    [("2+3×4", "14"), ("(2+3)×4", "20"), ("7÷2", "3.5"), ("1÷3", "0.3333333333"), ("3−5", "−2"), ("−2×3", "−6"),
     ("0.1+0.2", "0.3"), ("1÷0", "Error"), ("2+", "Error"), ("2)3", "Error"), ("1.2.3", "Error"), ("(", "Error")],
)  # fmt: skip
def test_arithmetic_is_exact_and_knows_its_errors(expression: str, value: str):
    assert evaluate(expression) == value
