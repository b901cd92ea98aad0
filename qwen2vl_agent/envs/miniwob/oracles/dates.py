"""Pages on which a day is picked from a calendar."""

from qwen2vl_agent.envs.miniwob.oracles.registry import found, solves
from qwen2vl_agent.envs.miniwob.view import View
from qwen2vl_agent.envs.tasks.task import Decision

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@solves("choose-date", "choose-date-easy", "choose-date-medium", "choose-date-nodelay")
def choose_date(view: View) -> Decision:
    date = found(r"(\d\d/\d\d/\d{4})", view.goal)
    if view.one("#datepicker").value == date:
        return view.click(view.one("#subbtn"))
    if not view.all(".ui-datepicker-calendar"):
        return view.click(view.one("#datepicker"), "the date field")
    month, day, year = (int(part) for part in date.split("/"))
    shown = int(view.one(".ui-datepicker-year").text) * 12 + MONTHS.index(view.one(".ui-datepicker-month").text)
    wanted = year * 12 + month - 1
    if shown != wanted:
        way = "next" if shown < wanted else "prev"
        return view.click(view.one(f".ui-datepicker-{way}"), "next month" if shown < wanted else "last month")
    return view.click(view.saying(".ui-datepicker-calendar a", str(day)))
