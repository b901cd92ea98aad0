"""What the full edition of the phone adds: notifications, prompts, drags, slow pages, mirrored layouts."""

import zlib

import pytest
from PIL import ImageOps

from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.virtual_phone.app_list import MORE_APPS, installed
from qwen2vl_agent.envs.virtual_phone.full.files import folder_of
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import PhoneState, random_state
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.schema.errors import ConfigError

SIZE = (360, 800)


@pytest.fixture
def phone():
    state = random_state(3, Words.test(), "full")
    state.settings |= {"wifi.enabled": True, "network.airplane_mode": False}
    state.extra.mirrored = False
    return VirtualPhone(state, SIZE)


def find(phone, resource_id):
    return next((element for element in phone.elements() if element.resource_id == resource_id), None)


def tap(phone, resource_id):
    phone.tap(*find(phone, resource_id).centre)


def test_the_first_edition_has_none_of_the_new_apps():
    first = VirtualPhone(random_state(3, Words.test()), SIZE)
    assert not any(first.launch(app.package) for app in MORE_APPS)
    assert not set(MORE_APPS) & set(first.apps())


def test_a_full_phone_goes_through_json_in_mid_use(phone):
    phone.launch("shop")
    tap(phone, f"shop:row.{phone.state.extra.products[0].name}")
    copy = PhoneState.from_json(phone.state.to_json())
    assert copy == phone.state
    assert VirtualPhone(copy, SIZE).image().tobytes() == phone.image().tobytes()


@pytest.mark.parametrize("amount", ["", "7.5", "٣", "9" * 5000])
def test_an_expense_of_no_sensible_amount_is_not_saved(phone, amount):
    phone = VirtualPhone(phone.state, (360, 1600))  # the whole form at once
    phone.launch("org.virtualphone.expenses")
    before = list(phone.state.extra.expenses)
    tap(phone, "expenses:add")
    phone.state.page.focus = ""
    phone.state.page.fields |= {"title": "Tea", "amount": amount, "category": "Food"}
    tap(phone, "expenses:save")
    assert phone.state.toast == "Fill in all fields"
    assert phone.state.extra.expenses == before
    phone.state.page.fields["amount"] = "7"
    tap(phone, "expenses:save")
    assert [(item.title, item.amount) for item in phone.state.extra.expenses[:1]] == [("Tea", 7)]


def test_the_same_seed_gives_the_same_full_phone():
    shots = {zlib.crc32(VirtualPhone(random_state(9, Words.test(), "full"), SIZE).image().tobytes()) for _ in range(2)}
    assert len(shots) == 1
    assert random_state(9, Words.test(), "full").extra != random_state(10, Words.test(), "full").extra


@pytest.mark.parametrize("seed", range(6))
def test_every_app_of_the_full_edition_shows_elements_that_a_tap_on_their_middle_reaches(seed):
    phone = VirtualPhone(random_state(seed, Words.test(), "full"), SIZE)
    for app in installed("full"):
        assert phone.launch(app.package)
        assert phone.foreground[0] == app.package
        for element in phone.elements():
            if element.clickable:
                target = phone._target_at(*element.centre)
                assert target is not None
                assert target.id == element.resource_id


def test_the_launcher_turns_its_page_when_swiped_aside(phone):
    app = phone.state.extra.home_page[0]
    assert find(phone, f"launcher:{app}") is None
    phone.swipe(320, 400, 60, 400)
    tap(phone, f"launcher:{app}")
    assert phone.state.foreground == app


def test_a_notification_is_swiped_aside_opened_or_cleared_with_all(phone):
    first, second = [notice.title for notice in phone.state.extra.notices][:2]
    phone.swipe(180, 4, 180, 500)
    x, y = find(phone, f"shade:notice.{first}").centre
    phone.swipe(x, y, x + 30, y)
    assert phone.state.extra.notices[0].title == first
    phone.swipe(x, y, x + 150, y)
    assert phone.state.extra.notices[0].title == second
    app = phone.state.extra.notices[0].app
    tap(phone, f"shade:notice.{second}")
    assert (phone.state.foreground, phone.state.shade_open) == (app, False)
    phone.swipe(180, 4, 180, 500)
    tap(phone, "shade:clear")
    assert not phone.state.extra.notices


def test_the_camera_asks_once_and_does_nothing_without_permission(phone):
    phone.launch("camera")
    photos = len(phone.state.extra.photos)
    shutter = (180, 690)
    phone.tap(*shutter)
    tap(phone, "camera:deny")
    assert find(phone, "camera:shutter") is None
    tap(phone, "camera:ask")
    tap(phone, "camera:allow")
    tap(phone, "camera:shutter")
    assert len(phone.state.extra.photos) == photos + 1
    phone.press_key("home")
    phone.launch("camera")
    assert find(phone, "camera:allow") is None


def test_a_page_loads_slowly_and_not_at_all_without_a_connection(phone):
    site = phone.state.extra.sites[0].title
    phone.launch("browser")
    tap(phone, f"browser:row.{site}")
    assert find(phone, "browser:loading") is not None
    phone.advance(4)
    assert find(phone, "browser:fact") is not None
    phone.press_key("back")
    phone.state.settings["network.airplane_mode"] = True
    tap(phone, f"browser:row.{site}")
    tap(phone, "browser:retry")
    assert find(phone, "browser:offline") is not None
    phone.state.settings["network.airplane_mode"] = False
    tap(phone, "browser:retry")
    phone.advance(4)
    assert find(phone, "browser:fact") is not None


def test_an_order_without_a_connection_fails_and_keeps_the_cart(phone):
    name = phone.state.extra.products[0].name
    phone.state.extra.cart = {name: 2}
    phone.state.settings["network.airplane_mode"] = True
    phone.launch("shop")
    for element in ("shop:cart", "shop:checkout"):
        tap(phone, element)
    phone.type_text("Main Street 1")
    tap(phone, "shop:buy")
    assert find(phone, "shop:error.title") is not None
    assert (phone.state.extra.cart, phone.state.extra.orders) == ({name: 2}, [])


def test_an_entry_follows_the_finger_that_drags_its_handle(phone):
    titles = [todo.title for todo in phone.state.extra.todos]
    phone.launch("todo")
    start, end = (find(phone, f"todo:handle.{title}").centre for title in (titles[0], titles[2]))
    phone.swipe(*start, *end)
    assert [todo.title for todo in phone.state.extra.todos] == [titles[1], titles[2], titles[0], *titles[3:]]


def test_the_map_moves_with_the_finger_as_far_as_the_town_reaches(phone):
    phone.launch("maps")
    phone.swipe(180, 400, 100, 330)
    assert phone.state.page.scroll == {"x": 80.0, "y": 70.0}
    for _ in range(12):
        phone.swipe(300, 400, 100, 400)
    assert phone.state.page.scroll["x"] == 400.0


def test_pulling_the_mail_down_brings_what_waits(phone):
    waiting, known = [sender for sender, _ in phone.state.extra.waiting_mails], len(phone.state.mails)
    phone.launch("mail")
    phone.swipe(180, 250, 180, 550)
    assert [mail.sender for mail in phone.state.mails[: len(waiting)]] == waiting
    assert len(phone.state.mails) == known + len(waiting)


def test_a_file_is_deleted_only_after_the_question(phone):
    name = phone.state.files[0]
    phone.launch("files")
    tap(phone, f"files:row.{name}")
    tap(phone, "files:delete")
    tap(phone, "files:cancel")
    assert folder_of(phone.state, name) == "Files"
    tap(phone, "files:delete")
    tap(phone, "files:confirm")
    assert folder_of(phone.state, name) is None


def test_a_mirrored_phone_is_touched_where_it_is_seen(phone):
    phone.launch("settings")
    straight = {element.resource_id: element.bounds for element in phone.elements()}
    phone.state.extra.mirrored = True
    phone.refresh()
    for element in phone.elements():
        left, top, right, bottom = straight[element.resource_id]
        assert element.bounds == (SIZE[0] - right, top, SIZE[0] - left, bottom)
    row = next(
        element for element in phone.elements() if element.resource_id.startswith("settings:") and element.clickable
    )
    assert phone._target_at(*row.centre).id == row.resource_id


def test_the_body_of_a_mirrored_screen_is_the_mirror_image_but_for_its_letters(phone):
    phone.launch("maps")
    phone.state.extra.places.clear()
    phone.refresh()
    straight = phone.image().crop((0, 100, 360, 600)).copy()
    phone.state.extra.mirrored = True
    phone.refresh()
    assert ImageOps.mirror(phone.image().crop((0, 100, 360, 600))).tobytes() == straight.tobytes()


def test_the_environment_offers_the_new_apps_once_a_full_task_begins():
    env = make_env(size=(90, 200), edition="full", task="full.shop.price", seed=1)
    env.reset()
    spec = next(spec for spec in env.legal_tools if spec.name == "open_app")
    assert "Shop" in str(spec)
    env.close()


def test_an_unknown_edition_is_refused():
    with pytest.raises(ConfigError, match="expected one of first, full, "):
        make_env(edition="third")
