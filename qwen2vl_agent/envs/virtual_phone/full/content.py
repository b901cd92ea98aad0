"""What the owner of a phone of the full edition keeps on it, beside what every phone has."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Photo:
    """A picture of the gallery."""

    number: int
    """Names it, and seeds what it shows."""
    favorite: bool = False


@dataclass(slots=True)
class Place:
    """Something on the map, in dp from the middle of the town."""

    name: str
    icon: str
    x: float
    y: float
    saved: bool = False


@dataclass(slots=True)
class Product:
    """Something that the shop sells."""

    name: str
    price: int
    stars: int


@dataclass(slots=True)
class Order:
    """What was bought at once, by the name of the product."""

    items: dict[str, int]
    street: str


@dataclass(slots=True)
class Todo:
    """An entry of the to-do list; titles are unique."""

    title: str
    done: bool = False


@dataclass(slots=True)
class Expense:
    """Money spent; what it was spent on is unique."""

    title: str
    amount: int
    category: str


@dataclass(slots=True)
class Notice:
    """A notification; titles are unique."""

    app: str
    title: str
    text: str


@dataclass(slots=True)
class SiteForm:
    """What was sent through the form of a page in the browser."""

    name: str
    city: str
    newsletter: bool


@dataclass(slots=True)
class Site:
    """A page of the browser, with the pages that it links to and a fact that it tells."""

    title: str
    fact: str
    links: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Extra:
    """Everything that only the full edition has."""

    home_page: list[str] = field(default_factory=list)
    """App ids on the second page of the launcher."""
    permissions: dict[str, bool] = field(default_factory=dict)
    """Whether an app may do what it asked for; apps that did not ask yet are not there."""
    loading: dict[str, float] = field(default_factory=dict)
    """Phone time at which a page that is being loaded will be there."""
    folders: dict[str, list[str]] = field(default_factory=dict)
    """Files by folder; those that lie in none are the phone's own `files`."""
    photos: list[Photo] = field(default_factory=list)
    """The latest first."""
    selfie: bool = False
    """Whether the camera looks at its owner."""
    shots: list[bool] = field(default_factory=list)
    """Photos taken by this camera: whether each was a selfie."""
    playlists: dict[str, list[str]] = field(default_factory=dict)
    playing: str = ""
    """The song that plays; empty for none."""
    sites: list[Site] = field(default_factory=list)
    bookmarks: list[str] = field(default_factory=list)
    forms: list[SiteForm] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    cart: dict[str, int] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    todos: list[Todo] = field(default_factory=list)
    expenses: list[Expense] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    waiting_mails: list[list[str]] = field(default_factory=list)
    """Sender and subject of letters that the next refresh brings."""
    mirrored: bool = False
    """Whether everything is laid out from right to left."""
