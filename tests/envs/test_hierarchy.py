"""The accessibility tree as XML, there and back."""

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen2vl_agent.envs.hierarchy import CLASS_OF_ROLE, parse_xml, to_xml
from qwen2vl_agent.envs.tasks.explore import random_pages
from qwen2vl_agent.schema.errors import DeviceLost
from qwen2vl_agent.schema.observation import Element

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="￾￿"), max_size=20)
SIDE = st.integers(0, 3000)
ELEMENTS = st.builds(
    Element,
    text=TEXT,
    role=st.sampled_from([*sorted(CLASS_OF_ROLE), "something_new"]),
    bounds=st.tuples(SIDE, SIDE, SIDE, SIDE),
    resource_id=st.from_regex(r"[a-z]+:[a-z._]+", fullmatch=True),
    clickable=st.booleans(),
    checked=st.none() | st.booleans(),
    focused=st.booleans(),
    scrollable=st.booleans(),
)


@given(st.lists(ELEMENTS, max_size=6))
@settings(max_examples=50, deadline=None)
def test_every_element_comes_back_equal(elements: list[Element]) -> None:
    assert parse_xml(to_xml(elements, package="p", size=(100, 200))) == elements


def test_every_screen_of_the_virtual_phone_comes_back_equal() -> None:
    roles = set()
    for page in islice(random_pages(8, (360, 800)), 60):
        assert tuple(parse_xml(to_xml(page.elements, package=page.package, size=(360, 800)))) == page.elements
        roles |= {element.role for element in page.elements}
    assert len(roles) > 8


def test_line_breaks_survive_and_control_characters_become_full_stops() -> None:
    element = Element("a\nb\tc\x07", "text", (0, 0, 1, 1))
    assert parse_xml(to_xml([element], package="p", size=(1, 1)))[0].text == "a\nb\tc."


def test_a_real_phones_row_takes_the_words_inside_it() -> None:
    xml = """<hierarchy rotation="0"><node class="android.widget.FrameLayout" bounds="[0,0][9,9]">
      <node class="android.widget.RelativeLayout" clickable="true" resource-id="" bounds="[0,1][9,3]">
        <node class="android.widget.TextView" text="Network" clickable="false" bounds="[1,1][3,2]"/>
        <node class="android.widget.TextView" text="Wi-Fi" clickable="false" bounds="[1,2][3,3]"/></node>
      <node class="com.example.Fancy" bounds="[0,3][9,4]"/></node></hierarchy>"""
    assert [(item.text, item.role, item.clickable) for item in parse_xml(xml)] == [
        ("Network, Wi-Fi", "row", True), ("Network", "text", False), ("Wi-Fi", "text", False),
    ]  # fmt: skip


def test_what_is_no_dump_is_told() -> None:
    with pytest.raises(DeviceLost, match="no XML"):
        parse_xml("ERROR: null root node returned by UiTestAutomationBridge.")


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;">]><hierarchy><node text="&b;"/></hierarchy>',
        '<hierarchy><!DOCTYPE x [<!ENTITY a "lol">]><node text="&a;"/></hierarchy>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><hierarchy><node text="&a;"/></hierarchy>',
        '<!DOCTYPE lolz [<!ENTITY a "lol">]><other>&a;</other>',
        "",
    ],
)
def test_entities_are_never_expanded(text):
    with pytest.raises(DeviceLost):
        parse_xml(text)
