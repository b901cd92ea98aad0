"""What a source declares, and the cutoff of a mixture."""

import datetime

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen2vl_agent.data.sources import SourceInfo, check_cutoff, first_day, last_day
from qwen2vl_agent.schema.errors import ConfigError


def info(first: str, last: str, **more: str) -> SourceInfo:
    fields = {"name": f"to-{last}", "origin": "somewhere", "licence": "MIT"} | more
    return SourceInfo(first_date=first, last_date=last, **fields)


def test_a_year_or_month_lasts_to_its_last_day():
    assert first_day("2023") == first_day("2023-01") == datetime.date(2023, 1, 1)
    assert last_day("2023") == last_day("2023-12") == datetime.date(2023, 12, 31)
    assert last_day("2024-02") == datetime.date(2024, 2, 29)


@hypothesis.settings(deadline=None)
@given(day=st.dates(datetime.date(1000, 1, 1)))
def test_a_day_is_its_own_first_and_last(day):
    assert first_day(day.isoformat()) == last_day(day.isoformat()) == day
    assert last_day(day.isoformat()[:7]) >= day >= first_day(day.isoformat()[:7])


def test_a_cutoff_names_every_source_that_is_too_young():
    sources = [info("2019", "2023-06"), info("2019", "2023-06-30"), info("2019", "2023-07-01"), info("2020", "2023")]
    check_cutoff(sources[:2], "2023-06")
    check_cutoff(sources, None)
    with pytest.raises(ConfigError, match=r"to-2023-07-01 .*to-2023 ") as raised:
        check_cutoff(sources, "2023-06")
    assert "to-2023-06 " not in str(raised.value)


@pytest.mark.parametrize("date", ["", "23", "2023-13", "2023-02-30", "2023-1-1-1", "summer", "2023-00", "20 23"])
def test_no_date_is_told(date):
    with pytest.raises(ConfigError, match="no date"):
        info(date, "2024")


def test_nothing_is_left_undeclared():
    for field in ("name", "origin", "licence"):
        with pytest.raises(ConfigError, match=f"no {field}"):
            info("2020", "2021", **{field: " "})
    with pytest.raises(ConfigError, match="after its end"):
        info("2022", "2021")
    made = info("2020", "2021-05-03")
    assert SourceInfo.from_dict(made.to_dict()) == made
    with pytest.raises(ConfigError, match="cannot be used"):
        SourceInfo.from_dict({"name": "x", "colour": "red"})
