"""The Music app: songs, what plays, and playlists."""

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons, Fab
from qwen2vl_agent.envs.virtual_phone.fields import text_field
from qwen2vl_agent.envs.virtual_phone.full.parts import first_page, inner_page, listed, opener, page_scene
from qwen2vl_agent.envs.virtual_phone.rows import Row
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import Action, Gap, Handler, Hero, Line, Widget

APP = "music"


def build(state: PhoneState) -> Scene:
    """The page of the app in front."""
    page = state.page
    if page.name == "new":
        body: list[Widget] = [
            Gap(6),
            text_field(state, APP, "name", "Name"),
            Buttons((Button(f"{APP}:save", "Save", _make),)),
        ]
        return page_scene(APP, inner_page(state, APP, "New playlist"), body)
    if page.name == "add":
        rows = [
            Row(f"{APP}:to.{name}", name, on_tap=_adder(name), icon="queue_music", icon_hue=45.0)
            for name in state.extra.playlists
        ]
        return page_scene(APP, inner_page(state, APP, "Add to playlist"), listed(state, APP, rows, "No playlists"))
    return _with_player(state, _pages(state))


def _pages(state: PhoneState) -> Scene:
    page = state.page
    if page.name == "item":
        return _song(state, page.arg)
    if page.name == "playlists":
        return _playlists(state)
    if page.name == "playlist":
        songs = state.extra.playlists.get(page.arg, [])
        body = listed(state, APP, [_row(title, action=_remover(title)) for title in songs], "No songs")
        return page_scene(APP, inner_page(state, APP, page.arg), body)
    action = Action(f"{APP}:playlists", "queue_music", "Playlists", opener("playlists"))
    rows = [_row(track.title, track.artist) for track in state.tracks]
    return page_scene(APP, first_page(state, APP, "Music", (action,)), listed(state, APP, rows, "No songs"))


def _row(title: str, detail: str = "", action: Action | None = None) -> Row:
    open_song = opener("item", title)
    return Row(f"{APP}:row.{title}", title, detail, open_song, icon="music_note", icon_hue=45.0, action=action)


def _with_player(state: PhoneState, scene: Scene) -> Scene:
    """What plays now, at the lower edge."""
    if state.extra.playing:
        action = Action(f"{APP}:pause", "pause", "Pause", _pause, accent=True)
        scene.footer = [Row(f"{APP}:playing", state.extra.playing, "Playing now", icon="music_note", action=action)]
    return scene


def _song(state: PhoneState, title: str) -> Scene:
    plays = state.extra.playing == title
    key = Button(f"{APP}:stop", "Pause", _pause) if plays else Button(f"{APP}:play", "Play", _player(title))
    body: list[Widget] = [
        Gap(20),
        Hero(f"{APP}:item", title),
        Line(f"{APP}:kind", next((track.artist for track in state.tracks if track.title == title), "")),
        Buttons((key,)),
        Buttons((Button(f"{APP}:add", "Add to playlist", opener("add", title), "tonal"),)),
    ]
    return page_scene(APP, inner_page(state, APP, ""), body)


def _playlists(state: PhoneState) -> Scene:
    rows = [
        Row(
            f"{APP}:list.{name}", name, f"{len(songs)} songs", opener("playlist", name),
            icon="queue_music", icon_hue=45.0,
        )
        for name, songs in state.extra.playlists.items()
    ]  # fmt: skip
    scene = page_scene(APP, inner_page(state, APP, "Playlists"), listed(state, APP, rows, "No playlists"))
    scene.fab = Fab(f"{APP}:new", "add", "New playlist", opener("new", focus="name"), state.look.fab_left)
    return scene


def _player(title: str) -> Handler:
    return lambda state: setattr(state.extra, "playing", title)


def _pause(state: PhoneState) -> None:
    state.extra.playing = ""


def _make(state: PhoneState) -> None:
    name = state.page.fields.get("name", "").strip()
    if not name or name in state.extra.playlists:
        state.toast = "Name is taken" if name else "Enter a name"
        return
    state.extra.playlists[name] = []
    navigation.close_page(state)
    state.toast = "Playlist made"


def _adder(name: str) -> Handler:
    def on_tap(state: PhoneState) -> None:
        title, songs = state.page.arg, state.extra.playlists[name]
        if title not in songs:
            songs.append(title)
        navigation.close_page(state)
        state.toast = f"Added to {name}"

    return on_tap


def _remover(title: str) -> Action:
    def on_tap(state: PhoneState) -> None:
        songs = state.extra.playlists[state.page.arg]
        songs.remove(title)

    return Action(f"{APP}:remove.{title}", "close", "Remove", on_tap)
