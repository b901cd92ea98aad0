"""The phone as a whole: what is seen, touched and kept."""

import json
import random
import subprocess
import sys

import pytest

from qwen2vl_agent.envs.virtual_phone.app_list import APPS
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import PhoneState, random_state
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.schema.observation import Element

SMALL = (360, 800)
KEYS = ("back", "home", "menu", "enter", "delete", "app_switch", "volume_up", "volume_down", "search", "wakeup")


def make_phone(seed: int = 1, size: tuple[int, int] = SMALL) -> VirtualPhone:
    return VirtualPhone(random_state(seed, Words.test()), size)


def element(phone: VirtualPhone, id: str) -> Element:
    found = [item for item in phone.elements() if item.resource_id == id]
    assert len(found) == 1, f"{id} is listed {len(found)} times"
    return found[0]


def tap(phone: VirtualPhone, id: str) -> None:
    phone.tap(*element(phone, id).centre)


def through_json(state: PhoneState) -> PhoneState:
    return PhoneState.from_json(json.loads(json.dumps(state.to_json())))


def use_at_random(phone: VirtualPhone, rng: random.Random, events: int) -> None:
    width, height = phone.size
    for _ in range(events):
        kind = rng.random()
        clickable = [item for item in phone.elements() if item.clickable]
        if kind < 0.6 and clickable:
            phone.tap(*rng.choice(clickable).centre)
        elif kind < 0.66:
            phone.tap(rng.randrange(width), rng.randrange(height))
        elif kind < 0.70:
            phone.long_press(rng.randrange(width), rng.randrange(height))
        elif kind < 0.84:
            x, y = rng.randrange(width), rng.randrange(height)
            phone.swipe(x, y, x + rng.randint(-40, 40), rng.randrange(height), rng.uniform(0.1, 1))
        elif kind < 0.92:
            phone.type_text(rng.choice(("Ada", "7:30", "é ß 日本", "a\nb", "12", "x" * 60, "  ")))
        else:
            phone.press_key(rng.choice(KEYS))
        phone.image()


def test_random_use_never_fails_and_always_round_trips():
    rng = random.Random(5)
    opened = set()
    for seed in range(40):
        phone = make_phone(seed, (180, 400))
        if seed % 3:
            phone.launch(rng.choice(APPS).package)
        for _ in range(5):
            use_at_random(phone, rng, 10)
            opened.add((phone.state.foreground, phone.state.page.name))
            assert through_json(phone.state) == phone.state
    assert len(opened) > 20  # the fuzz has really been around


def test_a_phone_saved_in_mid_use_shows_the_same_screen_when_restored():
    phone = make_phone(3)
    phone.launch("com.android.contacts")
    tap(phone, "contacts:add")
    phone.type_text("Ada Love")
    restored = VirtualPhone(through_json(phone.state), SMALL)
    assert restored.image().tobytes() == phone.image().tobytes()
    assert restored.elements() == phone.elements()
    restored.type_text("lace")
    assert restored.state.page.fields["name"] == "Ada Lovelace"


def test_the_same_seed_gives_the_same_pixels_in_another_process():
    script = (
        "import hashlib\n"
        "from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone\n"
        "from qwen2vl_agent.envs.virtual_phone.state import random_state\n"
        "from qwen2vl_agent.envs.virtual_phone.words import Words\n"
        "phone = VirtualPhone(random_state(7, Words.test()), (360, 800))\n"
        "print(hashlib.sha256(phone.image().tobytes()).hexdigest())\n"
    )
    results = {
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(results) == 1


def test_other_seeds_give_other_screens():
    screens = {make_phone(seed).image().tobytes() for seed in range(8)}
    assert len(screens) == 8


@pytest.mark.parametrize("app", [app.package for app in APPS])
def test_the_centre_of_every_element_belongs_to_that_element(app: str):
    phone = make_phone(4)
    phone.launch(app)
    for item in phone.elements():
        target = phone._target_at(*item.centre)
        if item.clickable:
            assert target is not None
            assert target.id == item.resource_id


@pytest.mark.parametrize("app", [app.package for app in APPS])
def test_resource_ids_are_unique_on_every_first_page(app: str):
    phone = make_phone(6)
    phone.launch(app)
    ids = [item.resource_id for item in phone.elements()]
    assert len(ids) == len(set(ids))
    assert all(ids)


def test_elements_lie_on_the_screen_in_reading_order():
    phone = make_phone(8)
    for app in APPS:
        phone.launch(app.package)
        bounds = [item.bounds for item in phone.elements()]
        assert bounds == sorted(bounds, key=lambda box: (box[1], box[0]))
        assert all(0 <= left < right <= 360 and 0 <= top < bottom <= 800 for left, top, right, bottom in bounds)


def test_half_the_pixels_give_half_the_bounds():
    large, small = make_phone(9, (1080, 2400)), make_phone(9, (540, 1200))
    for app in ("com.android.settings", "com.android.deskclock", "com.android.calculator2"):
        large.launch(app)
        small.launch(app)
        pairs = list(zip(large.elements(), small.elements(), strict=True))
        assert len(pairs) > 10
        for big, little in pairs:
            assert big.resource_id == little.resource_id
            assert all(abs(a / 2 - b) <= 2 for a, b in zip(big.bounds, little.bounds, strict=True))
        assert small.image().size == (540, 1200)


def test_the_home_screen_offers_enough_targets():
    for seed in range(20):
        icons = [item for item in make_phone(seed).elements() if item.role == "icon"]
        assert len([item for item in icons if item.resource_id.startswith("launcher:")]) >= 8


def test_every_list_has_at_least_seven_entries():
    for seed in range(50):
        state = random_state(seed, Words.train())
        lists = (state.contacts, state.conversations, state.alarms, state.notes, state.tracks, state.weather)
        assert all(len(entries) >= 7 for entries in (*lists, state.mails, state.events, state.files))
        assert len({person.name for person in state.contacts}) == len(state.contacts)
        assert len({note.title for note in state.notes}) == len(state.notes)


def test_swiping_up_opens_all_apps_and_every_app_can_be_opened_there():
    phone = make_phone(2)
    for app in APPS:
        phone.press_key("home")
        phone.swipe(180, 500, 180, 200)
        tap(phone, f"launcher:{app.id}")
        assert phone.foreground == (app.package, app.activity)


def test_a_list_follows_the_finger_and_stops_at_its_ends():
    phone = make_phone(2)
    phone.launch("com.android.settings")
    page = phone.state.page
    before = {item.resource_id: item.bounds[1] for item in phone.elements()}
    phone.swipe(180, 600, 180, 500)
    after = {item.resource_id: item.bounds[1] for item in phone.elements()}
    both = [id for id in before if id in after and id.startswith("settings:") and id not in _FIXED]
    assert both
    assert all(before[id] - after[id] == 100 for id in both if after[id] > 110)
    for _ in range(9):
        phone.swipe(180, 700, 180, 100)
    end = page.scroll["body"]
    phone.swipe(180, 700, 180, 100)
    assert page.scroll["body"] == end
    for _ in range(9):
        phone.swipe(180, 150, 180, 750)
    assert page.scroll["body"] == 0


_FIXED = ("settings:bar", "settings:search", "settings:root.list")


def test_all_settings_can_be_reached_by_scrolling():
    phone = make_phone(2)
    phone.launch("com.android.settings")
    seen = set()
    for _ in range(6):
        seen |= {item.resource_id for item in phone.elements() if item.role == "row"}
        phone.swipe(180, 600, 180, 250)
    assert len(seen) == 14


def test_the_keyboard_types_deletes_and_hides():
    phone = make_phone(2)
    phone.launch("org.virtualphone.notes")
    tap(phone, "notes:search")
    assert element(phone, "notes:search").focused
    for key in ("shift", "a", "b", "space", "c", "delete", "layer", "7", "layer"):
        tap(phone, f"keyboard:{key}")
    assert phone.state.page.fields["search"] == "Ab 7"
    phone.press_key("delete")
    assert phone.state.page.fields["search"] == "Ab "
    phone.press_key("back")
    assert not [item for item in phone.elements() if item.role == "key"]
    assert phone.type_text("z")  # the field keeps the focus
    assert phone.state.page.fields["search"] == "Ab z"


def test_typing_without_a_focused_field_does_nothing():
    phone = make_phone(2)
    phone.launch("org.virtualphone.notes")
    assert not phone.type_text("x")
    assert not phone.press_key("enter")
    assert not phone.clear_text()


def test_clear_text_empties_the_focused_field():
    phone = make_phone(2)
    phone.launch("org.virtualphone.notes")
    tap(phone, "notes:search")
    phone.type_text("abc")
    assert phone.clear_text()
    assert phone.state.page.fields["search"] == ""


def test_an_unknown_key_is_a_mistake():
    with pytest.raises(ValueError, match="no key 'jump'"):
        make_phone().press_key("jump")


def test_back_leads_from_a_nested_page_to_the_launcher_step_by_step():
    phone = make_phone(2)
    phone.launch("com.android.settings", "date_time.zone")
    pages = []
    while phone.state.foreground == "settings":
        pages.append(phone.state.page.name)
        phone.press_key("back")
    assert pages == ["choice", "group", "group", "main"]


def test_recents_lead_back_to_where_an_app_was_left():
    phone = make_phone(2)
    phone.launch("com.android.settings", "display")
    phone.launch("com.android.calculator2")
    phone.press_key("app_switch")
    rows = [item.resource_id for item in phone.elements() if item.role == "row"]
    assert rows == ["recents:calculator", "recents:settings"]
    tap(phone, "recents:settings")
    assert phone.state.page.arg == "display"


def test_a_held_swipe_is_a_long_press_and_a_short_one_a_tap():
    phone = make_phone(2)
    phone.launch("com.android.settings", "display")
    before = phone.state.settings["display.dark_theme"]
    for _ in range(5):
        if any(item.resource_id == "settings:display.dark_theme" for item in phone.elements()):
            break
        phone.swipe(180, 600, 180, 400)
    x, y = element(phone, "settings:display.dark_theme").centre
    phone.swipe(x, y, x, y, 0.1)
    assert phone.state.settings["display.dark_theme"] is not before
    phone.swipe(x, y, x, y, 1.0)
    assert phone.state.settings["display.dark_theme"] is before


def test_a_switched_off_screen_is_black_and_deaf():
    phone = make_phone(2)
    phone.press_key("power")
    assert phone.image().getextrema() == ((0, 0), (0, 0), (0, 0))
    assert phone.elements() == []
    phone.tap(180, 400)
    phone.press_key("app_switch")
    phone.press_key("wakeup")
    assert phone.state.foreground == "launcher"
    assert phone.elements()


def test_quick_settings_are_pulled_down_and_change_settings():
    phone = make_phone(2)
    phone.swipe(180, 10, 180, 500)
    before = phone.state.settings["network.airplane_mode"]
    assert element(phone, "shade:network.airplane_mode").checked is before
    tap(phone, "shade:network.airplane_mode")
    assert phone.state.settings["network.airplane_mode"] is not before
    phone.press_key("back")
    assert not phone.state.shade_open


def test_a_broken_state_is_refused_with_the_reason():
    data = random_state(1, Words.train()).to_json()
    with pytest.raises(ValueError, match="PhoneState has no field 'colour'"):
        PhoneState.from_json({**data, "colour": "red"})
    with pytest.raises(ValueError, match=r"PhoneState\.battery"):
        PhoneState.from_json({**data, "battery": "full"})


def test_a_notice_stays_until_the_next_event():
    phone = make_phone(2)
    phone.press_key("volume_up")
    assert "volume" in element(phone, "system:toast").text
    phone.tap(180, 5)
    assert not [item for item in phone.elements() if item.resource_id == "system:toast"]
