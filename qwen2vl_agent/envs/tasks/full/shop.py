"""Tasks in the shop: prices, the cart, and an order."""

from random import Random

from qwen2vl_agent.envs.tasks.answers import says
from qwen2vl_agent.envs.tasks.full.way import get_online, make_online, on_page, wait
from qwen2vl_agent.envs.tasks.hand import Hand, comparing
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.virtual_phone.full.prompts import is_loading
from qwen2vl_agent.envs.virtual_phone.full.shop import APP, CHEAPEST, loading_key, shown
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words


def _draw_product(rng: Random, state: PhoneState, words: Words) -> Params:
    item = rng.choice(state.extra.products)
    return {"name": item.name, "answer": f"${item.price}"}


def _draw_cheapest(rng: Random, state: PhoneState, words: Words) -> Params | None:
    first, second = shown(state, CHEAPEST)[:2]
    return {"answer": first.name} if first.price < second.price else None


def _draw_cart(rng: Random, state: PhoneState, words: Words) -> Params:
    name, count = rng.choice(state.extra.products).name, rng.randint(2, 3)
    return {"name": name, "count": count, "cart": {name: count}}


def _draw_order(rng: Random, state: PhoneState, words: Words) -> Params:
    make_online(state)
    name = rng.choice(state.extra.products).name
    street = f"{rng.choice(words.last_names)} Street {rng.randint(1, 99)}"
    return {"name": name, "street": street, "cart": {name: 1}}


def _told(task: Task, state: PhoneState, answer: str | None) -> bool:
    expected = task.params["answer"]
    return says(answer, expected) or says(answer, expected.lstrip("$"))


def _filled(task: Task, state: PhoneState, answer: str | None) -> bool:
    return state.extra.cart == task.params["cart"] and not state.extra.orders


def _bought(task: Task, state: PhoneState, answer: str | None) -> bool:
    params = task.params
    return [(order.items, order.street) for order in state.extra.orders] == [(params["cart"], params["street"])]


def _read(task: Task, screen: Screen) -> Decision:
    hand, name = Hand(screen), task.params["name"]
    way = on_page(hand, APP, [("main", "")])
    if way:
        return way
    order = [f"shop:row.{item.name}" for item in shown(screen.state, hand.page.fields.get("sort", ""))]
    return hand.scroll_towards(f"shop:row.{name}", order, name) or hand.answer(task.params["answer"], name)


def _find_cheapest(task: Task, screen: Screen) -> Decision:
    hand, name = Hand(screen), task.params["answer"]
    way = on_page(hand, APP, [("main", "")])
    if way:
        return way
    if hand.page.fields.get("sort") != CHEAPEST:
        return hand.press("shop:sort")
    order = [f"shop:row.{item.name}" for item in shown(screen.state, CHEAPEST)]
    return hand.scroll_towards(f"shop:row.{name}", order, name) or hand.answer(name, "Cheapest first")


def _fill(task: Task, screen: Screen) -> Decision:
    hand = Hand(screen)
    if screen.state.extra.orders:
        return hand.give_up("The order is placed.")
    return _fill_cart(hand, task.params["cart"]) or hand.done()


def _buy(task: Task, screen: Screen) -> Decision:
    hand, params = Hand(screen), task.params
    if screen.state.extra.orders:
        return hand.done() if _bought(task, screen.state, None) else hand.give_up("Something else is ordered.")
    way = get_online(hand) or _fill_cart(hand, params["cart"]) or hand.in_app(APP)
    if way:
        return way
    page = hand.page
    if page.name == "checkout" and not page.dialog:
        if page.fields.get("street", "") != params["street"]:
            return hand.fill("shop:street", params["street"], "Address")
        return hand.press("shop:buy")
    if page.name == "cart":
        return hand.press("shop:checkout")
    if page.name == "product":
        loads = is_loading(screen.state, loading_key(page.arg))
        return wait() if loads else hand.press("shop:to_cart")
    return hand.press("shop:cart") if page.name == "main" else hand.back()


def _fill_cart(hand: Hand, wanted: dict[str, int]) -> Decision | None:
    """Take away and add pieces until the cart is as wanted; None when it is."""
    cart = hand.state.extra.cart
    for name, count in cart.items():
        if count > wanted.get(name, 0):
            return _take_away(hand, name)
    for name, count in wanted.items():
        if cart.get(name, 0) < count:
            return _add(hand, name, cart.get(name, 0), count)
    return None


def _take_away(hand: Hand, name: str) -> Decision:
    way = on_page(hand, APP, [("main", ""), ("cart", "")])
    if way:
        return way
    if hand.page.name == "main":
        return hand.press("shop:cart")
    order = [f"shop:piece.{other}" for other in hand.state.extra.cart]
    return hand.part(f"shop:piece.{name}.less", f"shop:piece.{name}", order, "minus")


def _add(hand: Hand, name: str, now: int, wanted: int) -> Decision:
    way = on_page(hand, APP, [("main", ""), ("product", name)])
    if way:
        return way
    if hand.page.name == "main":
        names = [item.name for item in shown(hand.state, hand.page.fields.get("sort", ""))]
        return hand.pick("shop:row.", name, names)
    if is_loading(hand.state, loading_key(name)):
        return wait()
    return comparing(hand.press("shop:add"), "in your cart", now, wanted)


TEMPLATES = (
    Template(
        id="shop.price",
        goals=(
            'What does "{name}" cost in the shop?',
            'Tell me the price of "{name}" in Shop.',
            'How much is "{name}" in the Shop app?',
            'Look up what they want for "{name}" in the shop.',
            'In Shop, what is the price of "{name}"?',
        ),
        draw=_draw_product, solved=_told, decide=_read, steps=4, targets=("name",),
    ),
    Template(
        id="shop.cheapest",
        goals=(
            "What is the cheapest product in the shop?",
            "Which product in Shop costs least?",
            "Sort the shop by price and name the cheapest product.",
            "Tell me what costs least in the Shop app.",
            "Find the cheapest thing in Shop and answer its name.",
        ),
        draw=_draw_cheapest, solved=_told, decide=_find_cheapest, steps=5, targets=("answer",),
    ),
    Template(
        id="shop.fill_cart",
        goals=(
            'Put {count} of "{name}" into the cart.',
            'In Shop, add "{name}" to the cart {count} times.',
            'I want {count} pieces of "{name}" in my cart.',
            'Fill the cart of the shop with {count} "{name}", but do not order.',
            'The cart should hold {count} times "{name}".',
        ),
        draw=_draw_cart, solved=_filled, decide=_fill, steps=9, targets=("name",),
    ),
    Template(
        id="shop.order",
        goals=(
            'Order one "{name}" from the shop to "{street}".',
            'Buy "{name}" in Shop; the address is "{street}".',
            'In Shop, have one "{name}" sent to "{street}".',
            'Get me one "{name}" from the shop; deliver to "{street}".',
            'Place an order for one "{name}" to the address "{street}".',
        ),
        draw=_draw_order, solved=_bought, decide=_buy, steps=12, targets=("name",),
    ),
)  # fmt: skip
