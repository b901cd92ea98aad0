"""Tasks that lead through two of the full edition's apps."""

from random import Random

from qwen2vl_agent.envs.tasks.full import entries, photos
from qwen2vl_agent.envs.tasks.hand import Hand, remembering
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.virtual_phone.full.random_content import CATEGORIES
from qwen2vl_agent.envs.virtual_phone.full.shop import shown
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words


def _draw_price(rng: Random, state: PhoneState, words: Words) -> Params | None:
    item, category = rng.choice(state.extra.products), rng.choice(CATEGORIES)
    if item.name in entries.entries(state, "expenses"):
        return None
    return {
        "app": "expenses",
        "title": item.name,
        "category": category,
        "entries": {item.name: [str(item.price), category]},
    }


def _enter_price(task: Task, screen: Screen) -> Decision:
    """Read the price in the shop's list, then enter it as an expense."""
    hand, title = Hand(screen), task.params["title"]
    in_use = any(used.app == "shop" for used in screen.state.tasks)
    if entries.as_wanted(task, screen.state, None) or (in_use and screen.state.foreground != "shop"):
        return entries.keep(task, screen)
    way = hand.in_app("shop")
    if way or hand.page.name != "main":
        return way or hand.back()
    order = [f"shop:row.{item.name}" for item in shown(screen.state, hand.page.fields.get("sort", ""))]
    price = task.params["entries"][title][0]
    scroll = hand.scroll_towards(f"shop:row.{title}", order, title)
    return scroll or remembering(entries.keep(task, screen), title, f"${price}")


def _draw_shot(rng: Random, state: PhoneState, words: Words) -> Params:
    return {"newest": max(photo.number for photo in state.extra.photos)}


def _new_favorite(task: Task, state: PhoneState, answer: str | None) -> bool:
    return any(photo.number > task.params["newest"] and photo.favorite for photo in state.extra.photos)


def _shoot_and_mark(task: Task, screen: Screen) -> Decision:
    hand = Hand(screen)
    new = [photo.number for photo in screen.state.extra.photos if photo.number > task.params["newest"]]
    if not new:
        return photos.shoot(hand, selfie=screen.state.extra.selfie)
    if _new_favorite(task, screen.state, None):
        return hand.done()
    way = photos.to_photo(hand, new[0])
    return way or (hand.back("Wrong dialog: go back.") if hand.page.dialog else hand.press("gallery:favorite"))


TEMPLATES = (
    Template(
        id="multi.expense_from_shop",
        goals=(
            'Look up the price of "{title}" in Shop and add it to Expenses, category {category}.',
            'Enter "{title}" as an expense under {category}; its price is in the shop.',
            'Add what "{title}" costs in Shop as an expense "{title}" in {category}.',
            'See in Shop what "{title}" costs; enter that in Expenses under {category}.',
            'I bought "{title}" at the price in Shop; add the expense, category {category}.',
        ),
        draw=_draw_price, solved=entries.as_wanted, decide=_enter_price, steps=14, targets=("title",),
    ),
    Template(
        id="multi.photo_favorite",
        goals=(
            "Take a photo and mark it as a favorite in the gallery.",
            "Take a picture, then give it a heart in Gallery.",
            "Shoot a photo with the camera and make it a favorite.",
            "Photograph something; the new photo should be a favorite.",
            "Add a new photo from the camera to my favorites.",
        ),
        draw=_draw_shot, solved=_new_favorite, decide=_shoot_and_mark, steps=10,
    ),
)  # fmt: skip
