"""`qwen2vl-agent run`: a task on a phone, a desktop, in a browser or a gymnasium environment, watched."""

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console

from qwen2vl_agent.agent.loading import Compute, Dtype, LoadSettings, Quantize
from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.devices import AtHand, DeviceName, device_at_hand, wish_of
from qwen2vl_agent.commands.flags import (
    RUNS,
    PolicyName,
    agent_settings,
    at_least_one,
    load_settings,
    out_folder,
    sampling,
)
from qwen2vl_agent.commands.models import is_embedded, resolve
from qwen2vl_agent.commands.results import episode_result, together
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost, EndpointLost
from qwen2vl_agent.schema.observation import CaptureName, Observe
from qwen2vl_agent.trajectory.lock import RecordBusy

if TYPE_CHECKING:
    from qwen2vl_agent.agent.person import Person
    from qwen2vl_agent.agent.policy import Policy
    from qwen2vl_agent.agent.rules import Rules
    from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan
    from qwen2vl_agent.commands.resume import Interrupted
    from qwen2vl_agent.schema.trajectory import Trajectory
    from qwen2vl_agent.serve.live_page import LivePage

FINE = ("success", "unverified")
"""Outcomes with status 0."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """Do a task on a phone, a desktop, in a browser or a gymnasium environment, and watch it.

    Without --serial it takes the one phone that is attached, and where there is none starts a virtual phone behind
    adb's real server; it says which. A bundled task's verdict comes from the phone's state; a task in your own words
    ends as unverified. Everything is recorded in --out. What Ctrl-C, a kill or a lost phone interrupted goes on with
    --resume and the record's folder.

    At a terminal Ctrl-C pauses before the next action, where you may take over, act yourself, and hand back; once more
    it stops. --rules FILE says what needs your approval and what is never done.

    Examples:
      qwen2vl-agent run --task settings.toggle --seed 1
      qwen2vl-agent run --task settings.toggle --policy oracle     watch the bundled solution
      qwen2vl-agent run --task "Open the clock" --dry-run          look and think, send nothing
      qwen2vl-agent run --model Qwen/Qwen2-VL-2B-Instruct --task "Turn on dark mode"
      qwen2vl-agent run --model http://127.0.0.1:8000/v1 --task "Turn on dark mode"
      qwen2vl-agent run --device browser --url https://example.org --task "Read more"
      qwen2vl-agent run --device desktop --virtual --task "Write hello into a file" --model FOLDER
      qwen2vl-agent run --device gym --env-id FrozenLake-v1 --env-kwargs '{"is_slippery": false}' --policy random
      qwen2vl-agent run --device gym --task cards.ezpoint --policy oracle
      qwen2vl-agent run --resume runs/20260101-120000-settings.toggle
    """

    device: DeviceName = "android"
    """what to operate; this version knows phones (android), desktops (desktop), Chromium (browser)
    and gymnasium environments (gym)"""
    env_id: str = ""
    """with --device gym: the id of any gymnasium environment that shows a picture; its own instruction is the task
    where --task is left out, and it says itself whether it is solved"""
    env_kwargs: str = ""
    """with --device gym: what the environment is made with beside its id, as a JSON object"""
    env_set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """FIELD=VALUE: how a gymnasium environment is played: action_repeat=3 (each call so often), levels=10 (whole
    numbers up to 10), tell_numbers=true (joints and places in words), camera=NAME, end_when_solved=false"""
    import_modules: Annotated[str, tyro.conf.arg(name="import")] = ""
    """with --device gym: a module that registers the id, or several with commas between them"""
    serial: str = ""
    """the phone's serial as `adb devices` lists it, or virtual for a virtual phone whatever is attached"""
    capture: CaptureName | None = None
    """how a phone's pictures are taken; if left out $QWEN2VL_AGENT_CAPTURE, else the best by measurement"""
    consent: tuple[Literal["keyboard"], ...] = ()
    """what may be changed on your phone until the agent is done; keyboard: ADBKeyBoard types what is not ASCII"""
    more_actions: tuple[Literal["open_link", "pull_down", "zoom"], ...] = ()
    """beside the phone's usual ones: links, the shade of notifications and quick settings, two fingers; not for the
    embedded model, which was not taught them"""
    virtual: bool = False
    """with --device desktop: a desktop of the agent's own, which nobody sees; your own screen is not touched"""
    display: str = ""
    """with --device desktop: the X display to work on, for example :1; that of this terminal if left out"""
    url: str = ""
    """the page that a browser begins with"""
    allow: tuple[str, ...] = ()
    """origins beside that page's own to which a browser may go, for example https://docs.example.org; * for all"""
    downloads: Path | None = None
    """folder for what a browser downloads; refused if left out"""
    task: str = ""
    """a bundled task's id (see: qwen2vl-agent tasks), or what to do in your own words"""
    tasks: Path | None = None
    """a file of tasks, one a line; empty lines and lines that begin with # are left out"""
    policy: PolicyName = "model"
    """who acts"""
    model: str = ""
    """folder, hub id, or address of an OpenAI-compatible server (http://HOST:PORT/v1, #NAME behind it names one of
    several models); the embedded model if left out, which knows the virtual phone only"""
    observe: Observe = "screen"
    """what is seen at each step: a screenshot (screen), a video of the time since the last step in its place (video),
    or a video of what happened during the last action before it (clip)"""
    samples: int = 1
    """replies that the model draws at each step; the call that it finds likeliest itself is done"""
    force: bool = False
    """let the embedded model loose on a real phone all the same"""
    constrained: bool = True
    """a model's calls are always valid, its thoughts free; without, it writes whatever it likes"""
    speculate: bool = True
    """a model's words are guessed from what was written before; without, it takes longer to write the same"""
    dtype: Dtype = "auto"
    """type of the weights; auto: bfloat16 for a full-size model, float32 for a small one"""
    compute: Compute = "auto"
    """where the model runs; auto: a full-size one on the GPU where there is one, others on the CPU"""
    quantize: Quantize = "none"
    """bits of the language model's weights: a full-size model then writes two to three times as fast on a CPU"""
    quantize_vision: bool = False
    """8 bits for the vision encoder too, which then sees in half of the time"""
    max_pixels: int | None = None
    """most pixels of a screen as the model sees it, 784 a token; 602112 for a full-size model if left out, 0 for the
    checkpoint's own limit"""
    threads: int | None = None
    """of torch; one for a small model, which is then faster, and one for each core otherwise if left out"""
    max_steps: int | None = None
    """actions after which the episode ends; the task's own limit if left out"""
    max_seconds: float | None = None
    """seconds of thinking and acting after which the episode ends; waiting for you is not counted"""
    max_tokens: int | None = None
    """tokens read and written after which the episode ends"""
    rules: Path | None = None
    """TOML file of what may be done without asking, what only if you approve, and what never"""
    secrets: Path | None = None
    """TOML file of mode 600 with lines "password:bank" = "value"; a task then says {{password:bank}}, and only the
    device learns the value. Without: the environment, QWEN2VL_AGENT_SECRET_PASSWORD_BANK"""
    ask_below: float = 0.0
    """ask you about calls of which the model is less sure than this probability"""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """FIELD=VALUE: a setting of the agent in place of the model's own, such as max_frames=8 (screens in view),
    memory=summary (what stays of older steps) or second_look=true (the model checks each step)"""
    seed: int = 1
    """decides a bundled task's words and the virtual phone's contents and looks"""
    out: Path | None = None
    """folder of the record; a new one below runs/ if left out"""
    record: bool = True
    """keep a record; without, nothing of the episode is left when it ends, and it cannot be resumed"""
    keep_days: float | None = None
    """days after which `trajectory prune` deletes the record, as does every later run for those below runs/"""
    resume: Path | None = None
    """folder of an interrupted episode to go on with; needs no other flag, its record has them"""
    dry_run: bool = False
    """look at the screen once and show what would be sent; send nothing"""
    live: bool = False
    """offer a local page that shows what happens and has the buttons pause, approve, deny, take over and stop; the
    person is then asked there and not in the terminal"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Does the tasks one after the other; the status says whether all went well."""
        if self.resume is not None:
            return self._go_on(self.resume)
        if self.max_steps is not None:
            at_least_one("--max-steps", self.max_steps)
        at_least_one("--samples", self.samples)
        if not 0 <= self.ask_below <= 1:
            raise ConfigError(f"--ask-below is {self.ask_below}; expected a probability, 0 to 1")
        if self.keep_days is not None and self.keep_days <= 0:
            raise ConfigError(f"--keep-days is {self.keep_days:g}; expected more than 0")
        if not self.record and (self.out or self.keep_days):
            raise ConfigError("--no-record keeps nothing; leave out --out and --keep-days")
        agent_settings(self.set)
        self._loading()  # numbers that make no sense are told before a phone is waited for
        name = resolve(self.model) if self.policy == "model" else ""
        if self.record:
            prune(RUNS)
            return self.operate(self._work(), name)
        with tempfile.TemporaryDirectory(prefix="qwen2vl-agent-") as unkept:
            return self.operate(self._work(Path(unkept) / "run"), name)

    def _go_on(self, folder: Path) -> int:
        """Takes up an interrupted episode as it was begun; of a finished one it only tells the outcome."""
        from qwen2vl_agent.commands.resume import read_interrupted

        allowed = dataclasses.asdict(Command(resume=folder, json=self.json, live=self.live))
        if more := [name for name, value in dataclasses.asdict(self).items() if value != allowed[name]]:
            told = ", ".join(f"--{name.replace('_', '-')}" for name in more)
            raise ConfigError(f"--resume goes on as the record says; leave out {told}")
        episode = read_interrupted(folder)
        header = episode.header
        for line in episode.leftovers():
            output.console(self.json).print(line, markup=False, soft_wrap=True)
        again = dataclasses.replace(
            self,
            task=episode.task,
            policy=episode.policy,
            model=header.model,
            seed=self.seed if header.seed is None else header.seed,
            serial=episode.serial,
            **episode.flags,
        )
        if not episode.finished:
            return again.operate([(again.task, folder)], header.model, episode)
        from qwen2vl_agent.agent.live import ending_text
        from qwen2vl_agent.trajectory.store import read_episode

        told = f"{folder} is finished: {ending_text(header)}"
        output.console(self.json).print(told, markup=False, soft_wrap=True)
        return again._report({folder: read_episode(folder)})

    def operate(
        self,
        work: list[tuple[str, Path]],
        name: str,
        interrupted: "Interrupted | None" = None,
        wrap: "Callable[[Policy], Policy]" = lambda policy: policy,
    ) -> int:
        """Does each task, with the model of this name, on the phone at hand; `wrap` puts a policy around the usual."""
        console = output.console(self.json)
        wish = wish_of(self, read_tasks(self.tasks) if self.tasks else [self.task])
        with (
            self._page(console) as page,
            device_at_hand(wish) as at_hand,
        ):
            console.print(at_hand.introduction, markup=False, soft_wrap=True)
            if interrupted is not None:
                console.print(interrupted.told(at_hand), markup=False, soft_wrap=True)
            known = self.device == "android" and at_hand.virtual
            if name and is_embedded(self.model) and not known and not self.force:
                where = at_hand.serial or f"--device {self.device}"
                raise ConfigError(
                    f"the embedded model has only ever seen the virtual phone and refuses {where}; name another model "
                    "with --model, take a virtual phone with --serial virtual, or insist with --force"
                )
            chosen = sampling(self.constrained, self.speculate)
            if self.samples > 1:
                chosen["samples"] = self.samples
            rules = self._rules(at_hand.env.tools)
            if hasattr(at_hand.env, "device"):  # elsewhere nothing is typed that could be a secret
                at_hand.env.device = self._filler(at_hand.env.device)
            from qwen2vl_agent.agent.chosen import chosen_policy, is_address

            if name and not is_address(name):
                console.print(f"loading {name}", markup=False, soft_wrap=True)
            policy = wrap(chosen_policy(self.policy, name, self._loading(), chosen))
            ended: dict[Path, Trajectory] = {}
            for task, out in work:
                plan = dataclasses.replace(self._plan(at_hand, task, out, name, interrupted), rules=rules)
                ended[out] = self._episode(at_hand.env, policy, plan, console, page)
                if ended[out].header.outcome == "stopped":
                    break
        return self._report(ended)

    def _work(self, out: Path | None = None) -> list[tuple[str, Path]]:
        """Each task with the folder of its record."""
        out = out or self.out
        own = self.device == "gym" and bool(self.env_id)
        if (bool(self.task) and self.tasks is not None) or not (self.task or self.tasks or own):
            raise ConfigError('name a task: --task ID, --task "in your own words", or --tasks FILE')
        from qwen2vl_agent.envs.task_set import bundled_task

        listed = [self.task] if self.tasks is None else read_tasks(self.tasks)
        for task in listed if self.device == "android" else ():
            bundled_task(task, self.seed, "test")  # a misspelt id is told before a phone and a model are waited for
        if self.tasks is None:
            return [(self.task or self.env_id, out_folder(out, self.task or self.env_id))]
        root = out_folder(out, self.tasks.stem)
        return [(task, root / f"{number:03d}") for number, task in enumerate(listed, start=1)]

    def _plan(
        self, at_hand: AtHand, task: str, out: Path, model: str, interrupted: "Interrupted | None"
    ) -> "EpisodePlan":
        from qwen2vl_agent.agent.settings import EpisodePlan

        notes = {
            "flags": self._flags(),
            "phone": {"serial": at_hand.serial, "own": at_hand.own, "pid": at_hand.pid},
            "loading": self._loading().to_json(),
            **({"keep_days": self.keep_days} if self.keep_days else {}),
        }
        plan = EpisodePlan(out=out, task=task, seed=self.seed, model=model, notes=notes)
        if interrupted is None:
            return plan
        split = interrupted.header.config.get("split")
        return dataclasses.replace(plan, split=split, resume=interrupted.way(at_hand))

    def _episode(
        self, env: Any, policy: "Policy", plan: "EpisodePlan", console: Console, page: "LivePage | None"
    ) -> "Trajectory":
        from qwen2vl_agent.agent.episode import run_episode
        from qwen2vl_agent.agent.live import PlainView, live_view

        with PlainView(console) if self.json else live_view(console) as view:
            seen_by = view if page is None else page.beside(view)
            watcher = DryRunWatcher(seen_by) if self.dry_run else seen_by
            try:
                with self._person(console, view, page) as person:
                    config = self._config(plan.model)
                    trajectory = run_episode(env, policy, plan, config, watcher, person=person)
            except (DeviceLost, EndpointLost):
                if not self.record:
                    raise
                _tell_how_to_go_on(plan.out, console)
                raise
        if self.record:
            console.print(f"record: {plan.out}", markup=False, soft_wrap=True)
        if self.record and trajectory.header.outcome == "stopped":
            _tell_how_to_go_on(plan.out, console)
        return trajectory

    @contextlib.contextmanager
    def _page(self, console: Console) -> "Iterator[LivePage | None]":
        """The live page, if it is wanted."""
        if not self.live:
            yield None
            return
        from qwen2vl_agent.serve.running import require_extra

        require_extra()
        from qwen2vl_agent.serve.live_page import serving_live_page

        with serving_live_page() as (page, url):
            console.print(f"live page: {url}", markup=False, soft_wrap=True)
            yield page

    @contextlib.contextmanager
    def _person(self, console: Console, view: Any, page: "LivePage | None") -> "Iterator[Person | None]":
        """Whoever sits at the page or the terminal; nobody where a program reads the answers or nobody can type."""
        if page is not None:
            yield page.controls
            return
        if self.json or not (sys.stdin.isatty() and console.is_terminal):
            yield None
            return
        from qwen2vl_agent.agent.terminal import TerminalPerson

        person = TerminalPerson(console, view.aside)
        with person.listening():
            yield person

    def _rules(self, tools: tuple[type, ...]) -> "Rules":
        """The file's rules, with the budget that the flags make smaller or larger."""
        from qwen2vl_agent.agent.rules import Rules
        from qwen2vl_agent.agent.rules_file import read_rules, rules_from
        from qwen2vl_agent.schema.actions import PHONE_ACTIONS

        given = {"seconds": self.max_seconds, "tokens": self.max_tokens}
        limits = {name: value for name, value in given.items() if value is not None}
        known = (*PHONE_ACTIONS, *tools)  # one file may serve several devices
        rules = read_rules(self.rules, known) if self.rules else Rules()
        if not limits:
            return rules
        return rules_from({**rules.source, "budget": {**rules.source.get("budget", {}), **limits}}, known)

    def _filler(self, device: Any) -> Any:
        from qwen2vl_agent.envs.secrets import SecretFiller, Secrets, read_secrets

        return SecretFiller(device, read_secrets(self.secrets) if self.secrets else Secrets())

    def _config(self, model: str) -> "AgentConfig":
        from qwen2vl_agent.agent.chosen import usual_settings

        steps = 1 if self.dry_run else self.max_steps
        given = {"max_steps": steps, "ask_below": self.ask_below, **agent_settings(self.set)}
        return dataclasses.replace(usual_settings(model), **given)

    def _loading(self) -> LoadSettings:
        return load_settings(self, self.threads)

    def _flags(self) -> dict[str, Any]:
        values = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}

    def _report(self, ended: dict[Path, "Trajectory"]) -> int:
        results = [episode_result(trajectory, out, self.dry_run) for out, trajectory in ended.items()]
        if not self.record:
            results = [{**result, "trajectory": ""} for result in results]
        if self.json:
            output.print_object(results[0] if self.tasks is None else together(results))
        if any(result["outcome"] == "stopped" for result in results):
            raise KeyboardInterrupt
        return 0 if all(result["outcome"] in FINE for result in results) else 1


class DryRunWatcher:
    """Another watcher that is not told of an outcome: a step that was never sent leads to none."""

    def __init__(self, watcher: Any) -> None:
        self._watcher = watcher

    def __getattr__(self, name: str) -> Any:
        return getattr(self._watcher, name)

    def ended(self, header: Any) -> None:
        """Nothing to tell."""


def read_tasks(path: Path) -> list[str]:
    """The tasks that a file lists.

    Raises:
        ConfigError: it cannot be read, or lists none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--tasks {path}: it cannot be read ({error})") from error
    tasks = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not tasks:
        raise ConfigError(f"--tasks {path}: it lists no task")
    return tasks


def prune(root: Path) -> None:
    """Delete the episodes below a folder that were to be kept for some days only, and have been."""
    from qwen2vl_agent.trajectory.privacy import delete, expired

    for folder in expired(root):
        with contextlib.suppress(RecordBusy):
            delete(folder)


def _tell_how_to_go_on(folder: Path, console: Console) -> None:
    from qwen2vl_agent.trajectory.lines import HEADER_FILE

    if (folder / HEADER_FILE).is_file():  # a phone that is lost before the first look leaves no record
        console.print(f"go on with: qwen2vl-agent run --resume {folder}", markup=False, soft_wrap=True)
