"""The apps that no task needs: each shows a plausible page of its own, so that a screen is never empty."""

from collections.abc import Callable, Sequence

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.app_list import APP_BY_ID
from qwen2vl_agent.envs.virtual_phone.apps import pictures
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons
from qwen2vl_agent.envs.virtual_phone.fields import search_field
from qwen2vl_agent.envs.virtual_phone.rows import Row, grouped
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import AppBar, Gap, Handler, Hero, Line, Widget

SKY_ICONS = {
    "sunny": ("wb_sunny", 85.0),
    "cloudy": ("cloud", 240.0),
    "rain": ("umbrella", 215.0),
    "snow": ("ac_unit", 200.0),
}
FILE_ICONS = {
    "pdf": ("picture_as_pdf", 25.0),
    "jpg": ("image", 330.0),
    "png": ("image", 330.0),
    "mp3": ("music_note", 45.0),
    "wav": ("music_note", 45.0),
    "mp4": ("videocam", 290.0),
}
OTHER_FILE = ("insert_drive_file", 240.0)
SITES = ("News", "Weather", "Recipes", "Shop", "Sports", "Travel", "Forum", "Radio")
GAMES = ("Chess", "Blocks", "Puzzle", "Racing", "Solitaire", "Snake", "Quiz", "Pinball")
BOOKS = ("Emma", "Dracula", "Walden", "Ulysses", "Candide", "Middlemarch", "Siddhartha", "Persuasion")


def build(state: PhoneState) -> Scene:
    """The page of a decoy app in front."""
    app = state.foreground
    if state.page.name == "item":
        return _item(state)
    if app in pictures.BUILDERS:
        return pictures.BUILDERS[app](state)
    return _list_scene(state, _LISTS[app](state))


def _list_scene(state: PhoneState, rows: Sequence[Row]) -> Scene:
    app = APP_BY_ID[state.foreground]
    header: list[Widget] = [AppBar(app.id, app.label, centred=state.look.centred_title)]
    if app.id == "browser":
        header.append(search_field(state, app.id, "Search the web"))
    return Scene(header=header, body=grouped(list(rows), cards=state.look.cards), list_id=f"{app.id}:list")


def _item(state: PhoneState) -> Scene:
    """One song, file, letter or the like, by itself."""
    app, title = state.foreground, state.page.arg
    body: list[Widget] = [
        Gap(30),
        Hero(f"{app}:item", title),
        Line(f"{app}:kind", APP_BY_ID[app].label, colour="secondary_text"),
        Gap(16),
        Buttons((Button(f"{app}:close", "Close", navigation.close_page, style="tonal"),)),
    ]
    return Scene(header=[AppBar(app, "", navigation.close_page)], body=body, list_id=f"{app}:item.list")


def _row(app: str, title: str, detail: str = "", icon: str = "", hue: float | None = None, trailing: str = "") -> Row:
    open_item: Handler = lambda state: navigation.open_page(state, "item", title)  # noqa: E731
    return Row(f"{app}:row.{title}", title, detail, open_item, icon=icon, icon_hue=hue, trailing=trailing)


def _music(state: PhoneState) -> list[Row]:
    return [_row("music", track.title, track.artist, "music_note", 45.0) for track in state.tracks]


def _weather(state: PhoneState) -> list[Row]:
    rows = []
    for place in state.weather:
        icon, hue = SKY_ICONS[place.sky]
        rows.append(_row("weather", place.city, place.sky.capitalize(), icon, hue, f"{place.degrees}°"))
    return rows


def _files(state: PhoneState) -> list[Row]:
    return [_row("files", name, "", *FILE_ICONS.get(name.split(".")[-1], OTHER_FILE)) for name in state.files]


def _calendar(state: PhoneState) -> list[Row]:
    return [_row("calendar", event.title, f"{event.day} {event.time}", "event", 240.0) for event in state.events]


def _mail(state: PhoneState) -> list[Row]:
    def open_item(name: str) -> Handler:
        return lambda state: navigation.open_page(state, "item", name)

    return [
        Row(f"mail:row.{mail.sender}", mail.sender, mail.subject, open_item(mail.sender), avatar=mail.sender)
        for mail in state.mails
    ]


def _browser(state: PhoneState) -> list[Row]:
    return [_row("browser", site, "", "bookmark", 215.0) for site in SITES]


def _games(state: PhoneState) -> list[Row]:
    return [_row("games", game, "", "videogame_asset", 310.0) for game in GAMES]


def _books(state: PhoneState) -> list[Row]:
    return [_row("books", book, "", "book", 55.0) for book in BOOKS]


_LISTS: dict[str, Callable[[PhoneState], list[Row]]] = {
    "music": _music,
    "weather": _weather,
    "files": _files,
    "calendar": _calendar,
    "mail": _mail,
    "browser": _browser,
    "games": _games,
    "books": _books,
}
