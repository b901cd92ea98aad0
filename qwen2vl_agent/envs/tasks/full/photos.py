"""Tasks in the camera and the gallery."""

from random import Random

from qwen2vl_agent.envs.tasks.full.way import on_page
from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.tasks.wanted import with_changes
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words

CAMERA, GALLERY = "camera", "gallery"


def _draw_shot(rng: Random, state: PhoneState, words: Words) -> Params:
    return {"selfie": False}


def _draw_selfie(rng: Random, state: PhoneState, words: Words) -> Params:
    return {"selfie": True}


def _draw_denial(rng: Random, state: PhoneState, words: Words) -> Params:
    return {"app": CAMERA}


def _photos(state: PhoneState) -> dict[int, bool]:
    return {photo.number: photo.favorite for photo in state.extra.photos}


def _draw_photo(rng: Random, state: PhoneState, words: Words) -> Params:
    number = rng.choice(state.extra.photos).number
    return {"number": number, "title": f"photo {number + 1}"}


def _draw_delete(rng: Random, state: PhoneState, words: Words) -> Params:
    params = _draw_photo(rng, state, words)
    return params | {"photos": [[params["number"], None]]}


def _draw_favorite(rng: Random, state: PhoneState, words: Words) -> Params | None:
    plain = [photo.number for photo in state.extra.photos if not photo.favorite]
    if not plain:
        return None
    number = rng.choice(plain)
    return {"number": number, "title": f"photo {number + 1}", "photos": [[number, True]]}


def _shot(task: Task, state: PhoneState, answer: str | None) -> bool:
    return state.extra.shots[-1:] == [task.params["selfie"]]


def _denied(task: Task, state: PhoneState, answer: str | None) -> bool:
    return state.extra.permissions.get(CAMERA) is False and state.foreground == CAMERA


def _in_front(task: Task, state: PhoneState, answer: str | None) -> bool:
    page = state.page
    return (state.foreground, page.name, page.arg) == (GALLERY, "photo", str(task.params["number"]))


def _as_wanted(task: Task, state: PhoneState, answer: str | None) -> bool:
    return _photos(state) == with_changes(_photos(task.start), dict(task.params["photos"]))  # type: ignore[arg-type]


def shoot(hand: Hand, *, selfie: bool) -> Decision:
    """Take a photo, with the permission and through the lens that it needs."""
    way = hand.in_app(CAMERA)
    if way:
        return way
    allowed = hand.state.extra.permissions.get(CAMERA)
    if allowed is None:
        return hand.press("camera:allow")
    if not allowed:
        return hand.press("camera:ask")
    return hand.press("camera:shutter" if hand.state.extra.selfie == selfie else "camera:switch")


def _shoot(task: Task, screen: Screen) -> Decision:
    hand = Hand(screen)
    return hand.done() if _shot(task, screen.state, None) else shoot(hand, selfie=task.params["selfie"])


def _deny(task: Task, screen: Screen) -> Decision:
    hand = Hand(screen)
    way = hand.in_app(CAMERA)
    if way:
        return way
    if CAMERA in screen.state.extra.permissions:
        return hand.done() if _denied(task, screen.state, None) else hand.give_up("It is allowed already.")
    return hand.press("camera:deny")


def to_photo(hand: Hand, number: int) -> Decision | None:
    """The way to a photo; None when it is in front."""
    order = [f"gallery:photo.{photo.number}" for photo in hand.state.extra.photos]
    way = on_page(hand, GALLERY, [("main", ""), ("photo", str(number))], "delete")
    if way or hand.page.name == "photo":
        return way
    return hand.reach(f"gallery:photo.{number}", order, f"Photo {number + 1}")


def _open(task: Task, screen: Screen) -> Decision:
    hand = Hand(screen)
    if task.params["number"] not in _photos(screen.state):
        return hand.give_up("The photo is gone.")
    return to_photo(hand, task.params["number"]) or hand.done()


def _change(task: Task, screen: Screen) -> Decision:
    """Delete and mark photos until they are as wanted."""
    hand, now = Hand(screen), _photos(screen.state)
    wanted = {**_photos(task.start), **dict(task.params["photos"])}
    for number, favorite in wanted.items():
        if favorite is not None and number not in now:
            return hand.give_up("A photo is gone.")
        if number in now and now[number] != favorite:
            return to_photo(hand, number) or _change_this(hand, favorite)
    return hand.done()


def _change_this(hand: Hand, favorite: bool | None) -> Decision:
    if favorite is not None:
        return hand.back("Wrong dialog: go back.") if hand.page.dialog else hand.press("gallery:favorite")
    return hand.press("gallery:confirm" if hand.page.dialog else "gallery:delete")


TEMPLATES = (
    Template(
        id="camera.photo",
        goals=(
            "Take a photo with the camera.",
            "Open the camera, allow what it asks for, and take a picture.",
            "Photograph what the back lens sees.",
            "Please take a picture with the Camera app.",
            "Shoot one photo with the back lens.",
        ),
        draw=_draw_shot, solved=_shot, decide=_shoot, steps=4,
    ),
    Template(
        id="camera.selfie",
        goals=(
            "Take a selfie with the front lens.",
            "Switch the camera to the front lens and take a photo.",
            "Use the Camera app to take a picture of me.",
            "Open the camera and shoot a selfie.",
            "Please take a photo with the front lens.",
        ),
        draw=_draw_selfie, solved=_shot, decide=_shoot, steps=5,
    ),
    Template(
        id="camera.deny",
        goals=(
            "Open the camera, but do not allow it to take pictures.",
            "Start the Camera app and deny what it asks for.",
            "Refuse the camera its permission.",
            "When the camera asks for permission, say no.",
            "Open Camera and choose Deny in the prompt.",
        ),
        draw=_draw_denial, solved=_denied, decide=_deny, steps=3,
    ),
    Template(
        id="gallery.open",
        goals=(
            "Open {title} in the gallery.",
            "Show me {title} large.",
            "In Gallery, tap {title}.",
            "Find {title} among my pictures and open it.",
            "I want to see {title} from the gallery.",
        ),
        draw=_draw_photo, solved=_in_front, decide=_open, steps=4,
    ),
    Template(
        id="gallery.delete",
        goals=(
            "Delete {title} from the gallery.",
            "Remove {title}.",
            "I do not like {title}; delete it.",
            "Get rid of {title} in Gallery.",
            "Erase {title} for good.",
        ),
        draw=_draw_delete, solved=_as_wanted, decide=_change, steps=6,
    ),
    Template(
        id="gallery.favorite",
        goals=(
            "Mark {title} as a favorite.",
            "Add {title} to my favorites in the gallery.",
            "Give {title} a heart.",
            "In Gallery, make {title} a favorite.",
            "I love {title}; mark it as favorite.",
        ),
        draw=_draw_favorite, solved=_as_wanted, decide=_change, steps=5,
    ),
)  # fmt: skip
