"""The Gallery app: photos in rows of three; one can be marked as favourite or, after a question, deleted."""

from collections.abc import Iterator
from dataclasses import dataclass

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.apps.pictures import Photos
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect
from qwen2vl_agent.envs.virtual_phone.full.content import Photo
from qwen2vl_agent.envs.virtual_phone.full.parts import dialog_opener, first_page, inner_page, page_scene
from qwen2vl_agent.envs.virtual_phone.full.prompts import delete_question
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.theme import Theme
from qwen2vl_agent.envs.virtual_phone.widgets import Action, Line, Paint, Placed, label

APP = "gallery"
COLUMNS = 3


def build(state: PhoneState) -> Scene:
    """All photos, or one."""
    photos = state.extra.photos
    if state.page.name == "photo":
        return _photo(state)
    rows = [tuple(photos[start : start + COLUMNS]) for start in range(0, len(photos), COLUMNS)]
    body = [PhotoRow(state.look.wallpaper, row, tuple(f"Photo {photo.number + 1}" for photo in row)) for row in rows]
    return page_scene(APP, first_page(state, APP, "Gallery"), body, list_name="list")


def find(state: PhoneState, number: int) -> Photo | None:
    """The photo of that number."""
    return next((photo for photo in state.extra.photos if photo.number == number), None)


def _photo(state: PhoneState) -> Scene:
    photo = find(state, int(state.page.arg))
    if photo is None:
        return page_scene(APP, inner_page(state, APP, "Photo"), [Line(f"{APP}:gone", "Photo is gone")])
    heart = "favorite" if photo.favorite else "favorite_border"
    actions = (
        Action(f"{APP}:favorite", heart, "Unmark" if photo.favorite else "Favorite", _toggle, accent=photo.favorite),
        Action(f"{APP}:delete", "delete", "Delete", dialog_opener("delete")),
    )
    title = f"Photo {photo.number + 1}"
    asked = delete_question(state, APP, "photo", title, _delete)
    picture = Photos(state.look.wallpaper, 1, 360, photo.number)
    return page_scene(APP, inner_page(state, APP, title, actions), [picture], overlay=asked)


def _toggle(state: PhoneState) -> None:
    photo = find(state, int(state.page.arg))
    assert photo is not None
    photo.favorite = not photo.favorite


def _delete(state: PhoneState) -> None:
    state.extra.photos = [photo for photo in state.extra.photos if str(photo.number) != state.page.arg]
    navigation.close_page(state)
    state.toast = "Photo deleted"


@dataclass(frozen=True, slots=True)
class PhotoRow:
    """Up to three photos with their names below."""

    seed: int
    photos: tuple[Photo, ...]
    names: tuple[str, ...]
    height: float = 152.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        each = width / COLUMNS
        for index, photo in enumerate(self.photos):
            start = left + index * each
            yield from Photos(self.seed, 1, self.height - 30, photo.number).place(start, top, each)
            name = Rect(start, top + self.height - 30, start + each, top + self.height)
            yield label(name, f"{APP}:name.{photo.number}", self.names[index], 17, align="middle")
            if photo.favorite:
                yield Placed(name, _heart(start + each - 20, top + 20))


def _heart(x: float, y: float) -> Paint:
    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.circle(x, y, 14, theme.surface)
        canvas.icon(x, y, "favorite", 20, theme.error)

    return paint
