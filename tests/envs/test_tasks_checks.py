"""The success checks and the oracle's answers to states that somebody else has spoilt."""

import pytest
from task_play import perform, phone_of, play_oracle

from qwen2vl_agent.envs.hierarchy import parse_xml, to_xml
from qwen2vl_agent.envs.tasks import Screen, make_task, task_ids
from qwen2vl_agent.envs.tasks.answers import says
from qwen2vl_agent.envs.virtual_phone.content import Alarm, Contact, Message, Note
from qwen2vl_agent.schema.actions import Answer, Done, Tap, TypeText

ASKING = [task_id for task_id in task_ids() if "answer" in make_task(task_id, 0).params]


def solved_phone(task):
    phone = phone_of(task)
    solved, _ = play_oracle(task, phone, 60)
    assert solved
    return phone


def spoil_settings(state):
    state.settings["display.dark_theme"] = not state.settings["display.dark_theme"]
    state.settings["devices.nfc"] = not state.settings["devices.nfc"]


SPOILT = {
    "settings.toggle": spoil_settings,
    "settings.choose": spoil_settings,
    "launcher.quick_setting": spoil_settings,
    "clock.add_alarm": lambda state: state.alarms.append(Alarm("23:59", "Extra")),
    "clock.delete_alarm": lambda state: state.alarms.append(Alarm("23:59", "Extra")),
    "contacts.add": lambda state: state.contacts.append(Contact("Nobody Else", "000-0000")),
    "contacts.favourite": lambda state: setattr(state.contacts[0], "favorite", not state.contacts[0].favorite),
    "contacts.edit_phone": lambda state: setattr(state.contacts[-1], "phone", "1"),
    "messages.send": lambda state: state.conversations[-1].messages.append(Message("Oops", mine=True)),
    "messages.delete": lambda state: state.conversations.pop(),
    "notes.add": lambda state: state.notes.append(Note("Another", "one")),
    "notes.pin": lambda state: setattr(state.notes[0], "pinned", not state.notes[0].pinned),
    "notes.append": lambda state: setattr(state.notes[0], "body", "?"),
}


@pytest.mark.parametrize("task_id", SPOILT)
def test_a_further_change_of_the_same_kind_is_no_success(task_id):
    task = make_task(task_id, 4)
    state = solved_phone(task).state.copy()
    assert task.score(state) == 1.0
    SPOILT[task_id](state)
    assert task.score(state) == 0.0


@pytest.mark.parametrize("task_id", [name for name in SPOILT if not name.startswith("messages.")])
def test_the_oracle_undoes_what_can_be_undone(task_id):
    task = make_task(task_id, 5, "train")
    phone = phone_of(task)
    SPOILT[task_id](phone.state)
    phone.refresh()
    solved, decisions = play_oracle(task, phone, 60)
    assert solved, [decision.thought for decision in decisions]


def test_the_oracle_gives_up_where_a_wrong_message_was_sent():
    task = make_task("messages.send", 5)
    phone = phone_of(task)
    phone.state.conversations[0].messages.append(Message("Oops", mine=True))
    decision = task.oracle(Screen.of(phone))
    assert decision.action == Done(status="failure")


@pytest.mark.parametrize("task_id", ASKING)
def test_only_the_right_answer_solves_a_question(task_id):
    task = make_task(task_id, 6)
    state = phone_of(task).state
    phone = solved_phone(task)
    assert task.score(phone.state, task.params["answer"]) == 1.0
    assert task.score(phone.state, f"  {task.params['answer'].upper()}. ") == 1.0
    for wrong in (None, "", "yes", task.params["answer"] + " x"):
        assert task.score(state, wrong) == 0.0
        assert task.score(phone.state, wrong) == 0.0


def test_a_result_from_the_head_is_no_use_of_the_calculator():
    task = make_task("calculator.answer", 6)
    assert task.score(task.initial_state(), task.params["answer"]) == 0.0


@pytest.mark.parametrize("task_id", task_ids())
def test_on_a_solved_screen_the_oracle_ends_the_task(task_id):
    task = make_task(task_id, 7)
    phone = solved_phone(task)
    action = task.oracle(Screen.of(phone)).action
    assert isinstance(action, Answer if "answer" in task.params else Done)
    assert action != Done(status="failure")


@pytest.mark.parametrize("task_id", ["contacts.add", "notes.add", "clock.add_alarm", "messages.send"])
def test_a_wrong_text_in_a_field_is_cleared(task_id):
    task = make_task(task_id, 8)
    phone = phone_of(task)
    for _ in range(20):
        decision = task.oracle(Screen.of(phone))
        if isinstance(decision.action, TypeText):
            break
        perform(phone, decision.action)
    phone.type_text("zzz")
    decision = task.oracle(Screen.of(phone))
    assert isinstance(decision.action, TypeText)
    assert decision.action.clear_first
    solved, _ = play_oracle(task, phone, 30)
    assert solved


@pytest.mark.parametrize("task_id", task_ids())
def test_the_oracle_decides_the_same_from_an_accessibility_dump(task_id):
    task = make_task(task_id, 9)
    phone = phone_of(task)
    for _ in range(8):
        screen = Screen.of(phone)
        dump = to_xml(screen.elements, package=screen.foreground[0], size=screen.size)
        decision = task.oracle(screen)
        assert task.oracle(Screen(parse_xml(dump), screen.state, screen.size, screen.foreground)) == decision
        if isinstance(decision.action, Answer | Done):
            break
        perform(phone, decision.action)
        if task.score(phone.state) == 1.0:
            break


@pytest.mark.parametrize("seed", range(12))
def test_every_list_that_targets_are_chosen_from_has_at_least_six_others(seed):
    state = make_task(task_ids()[seed], seed).start
    lists = (state.contacts, state.conversations, state.alarms, state.notes, state.tracks, state.files, state.mails)
    assert all(len(entries) >= 7 for entries in (*lists, state.events, state.weather, state.home.grid))


def test_a_tap_names_its_target_by_what_is_written_on_it():
    task = make_task("settings.navigate", 1)
    phone = phone_of(task)
    _, decisions = play_oracle(task, phone, 10)
    taps = [decision for decision in decisions if isinstance(decision.action, Tap)]
    assert taps[0].thought == '"Settings" is here: tap it.'
    assert taps[-1].thought == f'"{task.params["label"]}" is here: tap it.'


@pytest.mark.parametrize(
    ("answer", "right"), [("Bell", True), (" bell. ", True), ("“Bell”", True), ("Bells", False), (None, False)]
)
def test_answers_are_compared_without_case_spaces_and_outer_signs(answer, right):
    assert says(answer, "Bell") is right
