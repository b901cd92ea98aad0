"""The Browser app: local pages that load slowly, with links, a form and bookmarks; offline there is an error."""

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons
from qwen2vl_agent.envs.virtual_phone.fields import search_field, text_field
from qwen2vl_agent.envs.virtual_phone.full.content import Site, SiteForm
from qwen2vl_agent.envs.virtual_phone.full.parts import first_page, inner_page, listed, opener, page_scene, setter
from qwen2vl_agent.envs.virtual_phone.full.prompts import (
    is_loading,
    is_online,
    loading_scene,
    offline_scene,
    start_loading,
)
from qwen2vl_agent.envs.virtual_phone.rows import Row
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import Action, Handler, Line, Paragraph, Widget

APP = "browser"
OFFLINE = "offline"
"""What a page's draft `reached` says where it could not be reached when it was opened."""


def build(state: PhoneState) -> Scene:
    """The page of the app in front."""
    if state.page.name == "site":
        return _site(state, state.page.arg)
    if state.page.name == "form":
        return _form(state)
    query = state.page.fields.get("search", "").strip().lower()
    rows = [
        Row(
            f"{APP}:row.{site.title}", site.title, f"www.{site.title.lower()}.example", _visitor(site.title),
            icon="bookmark" if site.title in state.extra.bookmarks else "public", icon_hue=215.0,
        )
        for site in state.extra.sites
        if query in site.title.lower()
    ]  # fmt: skip
    scene = page_scene(APP, first_page(state, APP, "Browser"), listed(state, APP, rows, "No page found"))
    scene.header.append(search_field(state, APP, "Search the web"))
    return scene


def site_of(state: PhoneState, title: str) -> Site:
    """The page of that title."""
    return next(site for site in state.extra.sites if site.title == title)


def loading_key(title: str) -> str:
    """The name under which a page's loading is kept."""
    return f"{APP}/{title}"


def _visitor(title: str) -> Handler:
    def visit(state: PhoneState) -> None:
        fields = {} if is_online(state) else {"reached": OFFLINE}
        navigation.open_page(state, "site", title, fields=fields)
        start_loading(state, loading_key(title))

    return visit


def _retry(state: PhoneState) -> None:
    if is_online(state):
        state.page.fields.pop("reached", None)
        start_loading(state, loading_key(state.page.arg))
    else:
        state.toast = "Still no connection"


def _site(state: PhoneState, title: str) -> Scene:
    if state.page.fields.get("reached") == OFFLINE:
        return offline_scene(APP, title, _retry)
    if is_loading(state, loading_key(title)):
        return loading_scene(APP, title)
    site, marked = site_of(state, title), title in state.extra.bookmarks
    star = Action(f"{APP}:bookmark", "star" if marked else "star_border", "Bookmark", _bookmarker(title), accent=marked)
    links = [
        Row(f"{APP}:link.{other}", other, on_tap=_visitor(other), icon="link", icon_hue=215.0) for other in site.links
    ]
    body: list[Widget] = [
        Line(f"{APP}:title", title, size=30, weight="medium", align="left", height=60),
        Paragraph(f"{APP}:fact", site.fact),
        Line(f"{APP}:more", "Read on", size=18, colour="secondary_text", align="left", height=40),
        *listed(state, APP, links, "No links"),
        Buttons((Button(f"{APP}:contact", "Contact us", opener("form", title), "tonal"),)),
    ]
    return page_scene(APP, inner_page(state, APP, title, (star,)), body)


def _bookmarker(title: str) -> Handler:
    def on_tap(state: PhoneState) -> None:
        marks = state.extra.bookmarks
        if title in marks:
            marks.remove(title)
        else:
            marks.append(title)

    return on_tap


def _form(state: PhoneState) -> Scene:
    wants = state.page.fields.get("newsletter") == "yes"
    body: list[Widget] = [
        text_field(state, APP, "name", "Name"),
        text_field(state, APP, "city", "City"),
        Row(
            f"{APP}:newsletter", "Newsletter", on_tap=setter("newsletter", "no" if wants else "yes"),
            control="checkbox", checked=wants,
        ),
        Buttons((Button(f"{APP}:submit", "Send", _submit),)),
    ]  # fmt: skip
    return page_scene(APP, inner_page(state, APP, "Contact"), body)


def _submit(state: PhoneState) -> None:
    fields = state.page.fields
    name, city = fields.get("name", "").strip(), fields.get("city", "").strip()
    if not name or not city:
        state.toast = "Fill in all fields"
        return
    state.extra.forms.append(SiteForm(name, city, fields.get("newsletter") == "yes"))
    navigation.close_page(state)
    state.toast = "Thank you"
