"""Tasks in the browser: to read, follow links, fill a form, bookmark, and get back online."""

from random import Random

from qwen2vl_agent.envs.tasks.answers import says
from qwen2vl_agent.envs.tasks.full.way import get_online, make_online, on_page, wait
from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.virtual_phone.full.browser import APP, OFFLINE, loading_key, site_of
from qwen2vl_agent.envs.virtual_phone.full.prompts import is_loading
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words


def _draw_site(rng: Random, state: PhoneState, words: Words) -> Params:
    make_online(state)
    return {"site": rng.choice(state.extra.sites).title}


def _draw_question(rng: Random, state: PhoneState, words: Words) -> Params:
    params = _draw_site(rng, state, words)
    fact = site_of(state, params["site"]).fact
    return params | {"answer": fact.removeprefix("Our town of the week is ").removesuffix(".")}


def _draw_link(rng: Random, state: PhoneState, words: Words) -> Params:
    params = _draw_site(rng, state, words)
    return params | {"link": rng.choice(site_of(state, params["site"]).links)}


def _draw_form(rng: Random, state: PhoneState, words: Words) -> Params:
    params = _draw_site(rng, state, words)
    return params | {"name": words.full_name(rng), "city": rng.choice(words.cities), "newsletter": rng.random() < 0.5}


def _draw_form_told(rng: Random, state: PhoneState, words: Words) -> Params:
    params = _draw_form(rng, state, words)
    return params | {"wish": "with" if params["newsletter"] else "without"}


def _draw_offline(rng: Random, state: PhoneState, words: Words) -> Params:
    state.settings |= {"network.airplane_mode": True}
    return {"site": rng.choice(state.extra.sites).title}


def site_in_front(state: PhoneState, site: str) -> bool:
    """Whether a page has been loaded and is in front."""
    page = state.page
    here = (state.foreground, page.name, page.arg) == (APP, "site", site)
    return here and page.fields.get("reached") != OFFLINE and not is_loading(state, loading_key(site))


def _opened(task: Task, state: PhoneState, answer: str | None) -> bool:
    return site_in_front(state, task.params["site"])


def _followed(task: Task, state: PhoneState, answer: str | None) -> bool:
    pages = [(page.name, page.arg) for page in state.task(APP).pages] if state.foreground == APP else []
    way = [("site", task.params["site"]), ("site", task.params["link"])]
    return pages[-2:] == way and site_in_front(state, task.params["link"])


def _told(task: Task, state: PhoneState, answer: str | None) -> bool:
    return says(answer, task.params["answer"])


def _sent(task: Task, state: PhoneState, answer: str | None) -> bool:
    params = task.params
    last = state.extra.forms[-1:]
    return [(form.name, form.city, form.newsletter) for form in last] == [
        (params["name"], params["city"], params["newsletter"])
    ]


def _marked(task: Task, state: PhoneState, answer: str | None) -> bool:
    return state.extra.bookmarks == [task.params["site"]]


def _to_site(hand: Hand, site: str) -> Decision | None:
    """The way to a page that is loaded; None when it is in front."""
    way = get_online(hand) or on_page(hand, APP, [("main", ""), ("site", site)])
    if way:
        return way
    if hand.page.name == "main":
        return hand.pick("browser:row.", site, [other.title for other in hand.state.extra.sites], "browser:search")
    if hand.page.fields.get("reached") == OFFLINE:
        return hand.press("browser:retry")
    return wait() if is_loading(hand.state, loading_key(site)) else None


def _open(task: Task, screen: Screen) -> Decision:
    hand = Hand(screen)
    return _to_site(hand, task.params["site"]) or hand.done()


def _follow(task: Task, screen: Screen) -> Decision:
    hand, site, link = Hand(screen), task.params["site"], task.params["link"]
    pages = [(page.name, page.arg) for page in screen.state.task(APP).pages] if screen.state.foreground == APP else []
    if pages[-2:] == [("site", site), ("site", link)] and hand.page.fields.get("reached") != OFFLINE:
        return hand.in_app(APP) or (wait() if is_loading(screen.state, loading_key(link)) else hand.done())
    order = [f"browser:link.{other}" for other in site_of(screen.state, site).links]
    return _to_site(hand, site) or hand.reach(f"browser:link.{link}", order, link)


def _read(task: Task, screen: Screen) -> Decision:
    hand = Hand(screen)
    way = _to_site(hand, task.params["site"])
    if way:
        return way
    if hand.find("browser:fact") is None:
        return hand.scroll(False, "The text is above: scroll up.")
    return hand.answer(task.params["answer"], task.params["site"])


def _bookmark(task: Task, screen: Screen) -> Decision:
    hand, site, marks = Hand(screen), task.params["site"], screen.state.extra.bookmarks
    wrong = next((other for other in marks if other != site), None)
    if wrong is None and site in marks:
        return hand.done()
    return _to_site(hand, wrong or site) or hand.press("browser:bookmark")


def _send(task: Task, screen: Screen) -> Decision:
    hand, params = Hand(screen), task.params
    if _sent(task, screen.state, None):
        return hand.done()
    if screen.state.foreground == APP and hand.page.name == "form" and hand.page.arg == params["site"]:
        return hand.in_app(APP) or _fill(hand, params)
    order = ["browser:fact", "browser:contact"]
    return _to_site(hand, params["site"]) or hand.reach("browser:contact", order, "Contact us")


def _fill(hand: Hand, params: Params) -> Decision:
    for name, label in (("name", "Name"), ("city", "City")):
        if hand.page.fields.get(name, "") != params[name]:
            return hand.fill(f"browser:{name}", params[name], label)
    order = ["browser:name", "browser:city", "browser:newsletter", "browser:submit"]
    if (hand.page.fields.get("newsletter") == "yes") != params["newsletter"]:
        return hand.reach("browser:newsletter", order, "Newsletter")
    return hand.reach("browser:submit", order, "Send")


TEMPLATES = (
    Template(
        id="browser.open",
        goals=(
            'Open the page "{site}" in the browser.',
            'Go to the site {site} in Browser.',
            'Show me the page "{site}" on the web.',
            'In Browser, open "{site}" and wait until it is there.',
            'Browse to the page {site}.',
        ),
        draw=_draw_site, solved=_opened, decide=_open, steps=5,
    ),
    Template(
        id="browser.read",
        goals=(
            'Which town of the week does the page "{site}" name?',
            'Look at the site {site} in Browser: what is its town of the week?',
            'Tell me the town of the week from the page "{site}".',
            'What is the town of the week on {site}, on the web?',
            'Read the page "{site}" and answer with its town of the week.',
        ),
        draw=_draw_question, solved=_told, decide=_read, steps=6, targets=("answer",),
    ),
    Template(
        id="browser.follow_link",
        goals=(
            'Open the page "{site}" in Browser and follow its link "{link}".',
            'Go to {site} on the web, then tap the link {link}.',
            'On the page "{site}", follow the link to "{link}".',
            'From the site {site}, go on to {link} by its link.',
            'In Browser, open "{site}", then "{link}" from there.',
        ),
        draw=_draw_link, solved=_followed, decide=_follow, steps=8,
    ),
    Template(
        id="browser.form",
        goals=(
            'Send the contact form of "{site}": {name}, {city}, {wish} the newsletter.',
            'On the page {site}, contact them as {name} from {city}, {wish} newsletter.',
            'Fill in the form on "{site}": name {name}, city {city}, {wish} newsletter.',
            'In Browser, tap Contact us on {site}; {name}, {city}, {wish} newsletter.',
            'Write to "{site}" by its form as "{name}" in "{city}", {wish} newsletter.',
        ),
        draw=_draw_form_told, solved=_sent, decide=_send, steps=14, targets=("name", "city"),
    ),
    Template(
        id="browser.bookmark",
        goals=(
            'Bookmark the page "{site}".',
            'Open {site} in Browser and set a bookmark.',
            'Give the page "{site}" a star in the browser.',
            'Keep the site {site} as a bookmark.',
            'In Browser, add "{site}" to the bookmarks.',
        ),
        draw=_draw_site, solved=_marked, decide=_bookmark, steps=6,
    ),
    Template(
        id="browser.mend_connection",
        goals=(
            'Open the page "{site}"; the phone is offline, mend that first.',
            'The browser has no connection: leave airplane mode and open "{site}".',
            'Get the phone online again and open {site} in Browser.',
            'See that the page "{site}" opens, although airplane mode is on.',
            'Turn airplane mode off, then open {site} in the browser.',
        ),
        draw=_draw_offline, solved=_opened, decide=_open, steps=9,
    ),
)  # fmt: skip
