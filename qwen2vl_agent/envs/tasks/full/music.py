"""Tasks in the music app: to play, and to keep playlists."""

from random import Random

from qwen2vl_agent.envs.tasks.full.way import on_page
from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.virtual_phone.full.music import APP
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words

Lists = dict[str, frozenset[str]]


def _lists(state: PhoneState) -> Lists:
    return {name: frozenset(songs) for name, songs in state.extra.playlists.items()}


def _wanted(task: Task) -> Lists:
    name, song = task.params["playlist"], task.params.get("song")
    before = _lists(task.start).get(name, frozenset())
    after = before if song is None else before - {song} if task.params.get("gone") else before | {song}
    return {**_lists(task.start), name: after}


def _draw_song(rng: Random, state: PhoneState, words: Words) -> Params:
    return {"song": rng.choice(state.tracks).title}


def _draw_pause(rng: Random, state: PhoneState, words: Words) -> Params:
    state.extra.playing = rng.choice(state.tracks).title
    return {"song": ""}


def _draw_add(rng: Random, state: PhoneState, words: Words) -> Params | None:
    name = rng.choice(list(state.extra.playlists))
    others = [track.title for track in state.tracks if track.title not in state.extra.playlists[name]]
    return {"playlist": name, "song": rng.choice(others)} if others else None


def _draw_remove(rng: Random, state: PhoneState, words: Words) -> Params:
    name = rng.choice(list(state.extra.playlists))
    return {"playlist": name, "song": rng.choice(state.extra.playlists[name]), "gone": True}


def _draw_new(rng: Random, state: PhoneState, words: Words) -> Params:
    return {"playlist": f"{rng.choice(words.first_names)} mix"}


def _plays(task: Task, state: PhoneState, answer: str | None) -> bool:
    return state.extra.playing == task.params["song"]


def _as_wanted(task: Task, state: PhoneState, answer: str | None) -> bool:
    return _lists(state) == _wanted(task)


def _play(task: Task, screen: Screen) -> Decision:
    hand, song = Hand(screen), task.params["song"]
    if _plays(task, screen.state, None):
        return hand.done()
    if not song:
        pages = [("main", ""), ("playlists", "")]
        return on_page(hand, APP, pages) or hand.press("music:pause")
    return _to_song(hand, song) or hand.press("music:play")


def _to_song(hand: Hand, song: str) -> Decision | None:
    way = on_page(hand, APP, [("main", ""), ("item", song)])
    if way or hand.page.name == "item":
        return way
    return hand.pick("music:row.", song, [track.title for track in hand.state.tracks])


def _keep(task: Task, screen: Screen) -> Decision:
    """Make playlists, and add and remove songs, until they are as wanted."""
    hand, now, wanted = Hand(screen), _lists(screen.state), _wanted(task)
    if now == wanted:
        return hand.done()
    missing = [name for name in wanted if name not in now]
    if missing:
        return _make(hand, missing[0])
    if len(now) > len(wanted):
        return hand.give_up("There is a playlist too many.")
    name = next(name for name in wanted if now[name] != wanted[name])
    if now[name] - wanted[name]:
        return _to_list(hand, name) or hand.press(f"music:remove.{min(now[name] - wanted[name])}")
    song = min(wanted[name] - now[name])
    way = hand.in_app(APP)
    if way:
        return way
    if (hand.page.name, hand.page.arg) == ("add", song):
        return hand.press(f"music:to.{name}")
    return _to_song(hand, song) or hand.press("music:add")


def _make(hand: Hand, name: str) -> Decision:
    way = on_page(hand, APP, [("main", ""), ("playlists", ""), ("new", "")])
    if way:
        return way
    if hand.page.name == "new":
        return hand.form(APP, {"name": ("Name", name)})
    return hand.press("music:playlists" if hand.page.name == "main" else "music:new")


def _to_list(hand: Hand, name: str) -> Decision | None:
    way = on_page(hand, APP, [("main", ""), ("playlists", ""), ("playlist", name)])
    if way or hand.page.name == "playlist":
        return way
    if hand.page.name == "main":
        return hand.press("music:playlists")
    return hand.pick("music:list.", name, list(hand.state.extra.playlists))


TEMPLATES = (
    Template(
        id="music.play",
        goals=(
            'Play the song "{song}".',
            'I want to hear "{song}".',
            'Start "{song}" in Music.',
            'Find "{song}" in the music app and play it.',
            'Put on the song "{song}".',
        ),
        draw=_draw_song, solved=_plays, decide=_play, steps=5, targets=("song",),
    ),
    Template(
        id="music.pause",
        goals=(
            "Pause the music.",
            "Stop the song that plays.",
            "Make the music app stop playing.",
            "In Music, press pause.",
            "Silence, please: pause the song in Music.",
        ),
        draw=_draw_pause, solved=_plays, decide=_play, steps=3,
    ),
    Template(
        id="music.add_to_playlist",
        goals=(
            'Add "{song}" to the playlist "{playlist}".',
            'Put the song "{song}" on my {playlist} playlist.',
            'In Music, add "{song}" to "{playlist}".',
            'My playlist {playlist} should also have "{song}".',
            'Find "{song}" and add it to the playlist {playlist}.',
        ),
        draw=_draw_add, solved=_as_wanted, decide=_keep, steps=6, targets=("song",),
    ),
    Template(
        id="music.remove_from_playlist",
        goals=(
            'Remove "{song}" from the playlist "{playlist}".',
            'Take the song "{song}" off my {playlist} playlist.',
            'In Music, delete "{song}" from "{playlist}".',
            'My playlist {playlist} should no longer have "{song}".',
            'Open the playlist {playlist} and remove "{song}".',
        ),
        draw=_draw_remove, solved=_as_wanted, decide=_keep, steps=5, targets=("song",),
    ),
    Template(
        id="music.new_playlist",
        goals=(
            'Make a playlist called "{playlist}".',
            'Create the new playlist "{playlist}" in Music.',
            'Add an empty playlist "{playlist}".',
            'In Music, make a new playlist named "{playlist}".',
            'I need a playlist "{playlist}"; make it.',
        ),
        draw=_draw_new, solved=_as_wanted, decide=_keep, steps=6, targets=("playlist",),
    ),
)  # fmt: skip
