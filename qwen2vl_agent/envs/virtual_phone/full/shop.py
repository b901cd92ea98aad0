"""The Shop app: products that load slowly, a cart, and an order that needs an address and the internet."""

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons
from qwen2vl_agent.envs.virtual_phone.fields import text_field
from qwen2vl_agent.envs.virtual_phone.full.content import Order, Product
from qwen2vl_agent.envs.virtual_phone.full.parts import (
    dialog_opener,
    first_page,
    inner_page,
    listed,
    opener,
    page_scene,
)
from qwen2vl_agent.envs.virtual_phone.full.prompts import is_loading, is_online, loading_scene, start_loading
from qwen2vl_agent.envs.virtual_phone.rows import Row, Stepper, grouped
from qwen2vl_agent.envs.virtual_phone.scene import Dialog, Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import Action, Gap, Handler, Hero, Line, Widget

APP = "shop"
MOST = 9
"""Pieces of one product in a cart."""
CHEAPEST = "cheapest"


def build(state: PhoneState) -> Scene:
    """The page of the app in front."""
    builders = {"product": _product, "cart": _cart, "checkout": _checkout}
    return builders.get(state.page.name, _products)(state)


def shown(state: PhoneState, sort: str) -> list[Product]:
    """The products in the order of the list."""
    return sorted(state.extra.products, key=lambda item: item.price) if sort == CHEAPEST else state.extra.products


def _products(state: PhoneState) -> Scene:
    sort = state.page.fields.get("sort", "")
    rows = [
        Row(
            f"{APP}:row.{item.name}", item.name, f"{item.stars} of 5 stars", _visitor(item.name),
            icon="store", icon_hue=350.0, trailing=f"${item.price}",
        )
        for item in shown(state, sort)
    ]  # fmt: skip

    def toggle(state: PhoneState) -> None:
        state.page.fields["sort"] = "" if sort else CHEAPEST

    pieces = sum(state.extra.cart.values())
    actions = (
        Action(f"{APP}:sort", "tune", "Cheapest first", toggle, accent=bool(sort)),
        Action(f"{APP}:cart", "shopping_cart", f"Cart, {pieces}", opener("cart"), accent=pieces > 0),
    )
    return page_scene(APP, first_page(state, APP, "Shop", actions), listed(state, APP, rows, "Nothing to buy"))


def loading_key(name: str) -> str:
    """The name under which a product's loading is kept."""
    return f"{APP}/{name}"


def _visitor(name: str) -> Handler:
    def visit(state: PhoneState) -> None:
        navigation.open_page(state, "product", name)
        start_loading(state, loading_key(name))

    return visit


def _product(state: PhoneState) -> Scene:
    name = state.page.arg
    if is_loading(state, loading_key(name)):
        return loading_scene(APP, name)
    item = next(item for item in state.extra.products if item.name == name)
    pieces = state.extra.cart.get(name, 0)
    body: list[Widget] = [
        Hero(f"{APP}:item", name),
        Line(f"{APP}:price", f"${item.price}", size=28, weight="medium"),
        Line(f"{APP}:in_cart", f"{pieces} in your cart", size=18, colour="secondary_text"),
        Buttons((Button(f"{APP}:add", "Add to cart", _adder(name, 1)),)),
        Buttons((Button(f"{APP}:to_cart", "Go to cart", opener("cart"), "tonal"),)),
    ]
    return page_scene(APP, inner_page(state, APP, ""), body)


def _adder(name: str, step: int) -> Handler:
    def on_tap(state: PhoneState) -> None:
        cart = state.extra.cart
        cart[name] = min(cart.get(name, 0) + step, MOST)
        if cart[name] <= 0:
            del cart[name]

    return on_tap


def _cart(state: PhoneState) -> Scene:
    cart = state.extra.cart
    lines = [
        Stepper(f"{APP}:piece.{name}", name, count, MOST, _adder(name, -1), _adder(name, 1))
        for name, count in cart.items()
    ]
    total = sum(item.price * cart.get(item.name, 0) for item in state.extra.products)
    bar = inner_page(state, APP, "Cart")
    if not cart:
        return page_scene(APP, bar, [Gap(100), Line(f"{APP}:empty", "Your cart is empty")])
    scene = page_scene(APP, bar, grouped(lines, cards=state.look.cards))
    scene.footer = [
        Line(f"{APP}:total", f"Total ${total}", size=24, weight="medium"),
        Buttons((Button(f"{APP}:checkout", "Checkout", opener("checkout", focus="street")),)),
    ]
    return scene


def _checkout(state: PhoneState) -> Scene:
    body: list[Widget] = [
        Gap(6),
        text_field(state, APP, "street", "Address"),
        Buttons((Button(f"{APP}:buy", "Place order", _buy),)),
    ]
    problem = None
    if state.page.dialog == "offline":
        buttons = (Button(f"{APP}:ok", "OK", navigation.close_dialog),)
        problem = Dialog(f"{APP}:error", "Order failed", "There is no connection. Try again later.", buttons)
    return page_scene(APP, inner_page(state, APP, "Checkout"), body, overlay=problem)


def _buy(state: PhoneState) -> None:
    street = state.page.fields.get("street", "").strip()
    if not street or not state.extra.cart:
        state.toast = "Your cart is empty" if street else "Enter an address"
        return
    if not is_online(state):
        dialog_opener("offline")(state)
        return
    state.extra.orders.append(Order(dict(state.extra.cart), street))
    state.extra.cart = {}
    task = state.task(APP)
    navigation.hide_keyboard(state)
    task.pages = task.pages[:1]
    state.toast = "Order placed"
