"""`dumpsys`: the lines of it that scripts look for, as Android 14 writes them."""

from collections.abc import Callable

from qwen2vl_agent.envs.virtual_phone.shell import Call, Handler
from qwen2vl_agent.envs.virtual_phone.system import System

DISPLAY_ID = 4619827259835644672
"""The id that the emulator's first display has."""
INNER_DISPLAY = 'Display 4619827259835644673 (HWC display 1): port=1 pnpId=GGL displayName="Inner display"'
"""What a folded phone has besides; it is off."""


def dumpsys(call: Call) -> int:
    """`dumpsys [-l | SERVICE [ARG…]]`."""
    args = [item for item in call.args if item not in ("-t",)]
    if not args or args[0] in ("-l", "--list"):
        call.print("Currently running services:")
        for name in sorted(SERVICES):
            call.print(f"  {name}")
        return 0
    if args[0] not in SERVICES:
        return call.fail(f"Can't find service: {args[0]}", 0)
    for line in SERVICES[args[0]](call.system, args[1:]):
        call.print(line)
    return 0


def component(system: System) -> str:
    """What is in front, as `package/activity`."""
    return "/".join(system.phone.foreground)


def _window(system: System, args: list[str]) -> list[str]:
    name, (width, height) = component(system), system.size
    secure = " SECURE" if system.faults.faults.secure else ""
    front = "NotificationShade" if system.lock else f"{name.partition('/')[0]}/{_full(name)}"
    focus = f"Window{{1a2b3c u0 {front}}}"
    return [
        "WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)",
        "  Display: mDisplayId=0 (organized)",
        "    init={}x{} {}dpi cur={}x{} app={}x{}".format(
            *system.physical_size, system.physical_density, width, height, width, height
        ),
        f"    mCurrentRotation=ROTATION_{90 * system.rotation} mDisplayRotation=ROTATION_{90 * system.rotation} "
        f"rotation={system.rotation} density={_density(system)}",
        f"  mRotation={system.rotation} mLastOrientation=-1",
        f"  mCurrentFocus={focus}",
        f"  mFocusedApp=ActivityRecord{{4d5e6f u0 {name} t12}}",
        f"  mDreamingLockscreen={_flag(system.lock is not None)} mAwake={_flag(system.phone.state.screen_on)}",
        "  KeyguardServiceDelegate",
        f"    showing={_flag(system.lock is not None)}",
        f"    secure={_flag(bool(system.pin))}",
        f"  Window #7 {focus}:",
        f"    mAttrs={{(0,0)(fillxfill) ty=BASE_APPLICATION fmt=TRANSLUCENT\n      fl=LAYOUT_IN_SCREEN{secure}",
        "      pfl=NO_MOVE_ANIMATION}",
        f"  mInputMethodWindow=Window{{7a8b9c u0 InputMethod}} mInputShown={_flag(_keyboard(system))}",
    ]


def _full(name: str) -> str:
    package, _, activity = name.partition("/")
    return package + activity if activity.startswith(".") else activity


def _density(system: System) -> int:
    return system.density_override or system.physical_density


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _keyboard(system: System) -> bool:
    return system.phone.state.keyboard.visible


def _activity(system: System, args: list[str]) -> list[str]:
    name = component(system)
    record = f"ActivityRecord{{4d5e6f u0 {name} t12}}"
    if args[:1] == ["top"]:
        return [
            "TASK 10042:" + name.partition("/")[0] + " id=12 userId=0",
            f"  ACTIVITY {name} 4d5e6f pid=4321",
            f"    Local Activity 123abc State: mResumed={_flag(system.phone.state.screen_on)} mStopped=false",
        ]
    return [
        "ACTIVITY MANAGER ACTIVITIES (dumpsys activity activities)",
        "Display #0 (activities from top to bottom):",
        f"  * Task{{5a6b7c #12 type=standard A=10042:{name.partition('/')[0]} U=0 visible=true}}",
        f"    mResumedActivity: {record}",
        f"    topResumedActivity={record}",
        f"  ResumedActivity: {record}",
    ]


def _display(system: System, args: list[str]) -> list[str]:
    width, height = system.size
    density = _density(system)
    state = "ON" if system.phone.state.screen_on else "OFF"
    return [
        "DISPLAY MANAGER (dumpsys display)",
        f"  mScreenState={state}",
        f'  mOverrideDisplayInfo=DisplayInfo{{"Built-in Screen", displayId 0, real {width} x {height}, '
        f"rotation {system.rotation}, state {state}, density {density} ({density}.0 x {density}.0) dpi}}",
        "  mViewports=[DisplayViewport{type=INTERNAL, valid=true, isActive=true, displayId=0, "
        f"uniqueId='local:{DISPLAY_ID}', physicalPort=0, orientation={system.rotation}, "
        f"logicalFrame=Rect(0, 0 - {width}, {height}), "
        f"physicalFrame=Rect(0, 0 - {width}, {height}), deviceWidth={width}, deviceHeight={height}}}]",
    ]


def _input_method(system: System, args: list[str]) -> list[str]:
    state = system.phone.state
    page = state.page
    open_page = not page.dialog and not state.shade_open and state.screen_on and system.lock is None
    takes_text = page.focus and open_page
    served = f"android.view.inputmethod.InputConnection@{page.focus}" if takes_text else "null"
    return [
        "Current Input Method Manager state:",
        f"  mCurMethodId={system.ime} mCurId={system.ime}",
        f"  mShowRequested={_flag(_keyboard(system))} mInputShown={_flag(_keyboard(system))}",
        f"  mServedInputConnection={served}",
        f"  mIsInputViewShown={_flag(_keyboard(system))} mInteractive={_flag(system.phone.state.screen_on)}",
    ]


def _input(system: System, args: list[str]) -> list[str]:
    """The recent queue. Source: AOSP's InputDispatcher.cpp, `dumpDispatchStateLocked`."""
    events = [
        f"    MotionEvent(deviceId=-1, eventTime=1, source=TOUCHSCREEN, displayId=0, action=DOWN, "
        f"actionButton=0x00000000, flags=0x00000000, pointers=[0: ({x:.1f}, {y:.1f})]), "
        f"policyFlags=0x6b000000, age={10 * index}ms"
        for index, (x, y) in enumerate(system.touches)
    ]
    return ["INPUT MANAGER (dumpsys input)", "Input Dispatcher State:", f"  RecentQueue: length={len(events)}", *events]


def _power(system: System, args: list[str]) -> list[str]:
    awake = system.phone.state.screen_on
    return [
        "POWER MANAGER (dumpsys power)",
        f"  mWakefulness={'Awake' if awake else 'Asleep'}",
        f"  mHoldingDisplaySuspendBlocker={_flag(awake)}",
        f"Display Power: state={'ON' if awake else 'OFF'}",
    ]


def _battery(system: System, args: list[str]) -> list[str]:
    return [
        "Current Battery Service state:",
        "  AC powered: false",
        "  USB powered: true",
        "  Wireless powered: false",
        "  status: 2",
        "  health: 2",
        "  present: true",
        f"  level: {system.phone.state.battery}",
        "  scale: 100",
        "  voltage: 4123",
        "  temperature: 271",
        "  technology: Li-ion",
    ]


def _surface_flinger(system: System, args: list[str]) -> list[str]:
    display = f'Display {DISPLAY_ID} (HWC display 0): port=0 pnpId=GGL displayName="Virtual phone"'
    displays = [INNER_DISPLAY, display] if system.faults.faults.folded else [display]
    return displays if "--display-id" in args else ["Build configuration: []", *displays]


def _package(system: System, args: list[str]) -> list[str]:
    """Packages with their labels, which Android keeps in resources that no command reads."""
    lines = ["Packages:"]
    for app in system.phone.apps():
        if not args or app.package in args:
            lines += [
                f"  Package [{app.package}] (1a2b3c):",
                f"    label={app.label}",
                "    versionCode=1 minSdk=30 targetSdk=34",
                "    versionName=1.0",
                f"    mainActivity={app.package}/{app.activity}",
            ]
    return lines if len(lines) > 1 else [f"Unable to find package: {' '.join(args)}"]


SERVICES: dict[str, Callable[[System, list[str]], list[str]]] = {
    "SurfaceFlinger": _surface_flinger,
    "activity": _activity,
    "battery": _battery,
    "display": _display,
    "input": _input,
    "input_method": _input_method,
    "package": _package,
    "power": _power,
    "window": _window,
}
COMMANDS: dict[str, Handler] = {"dumpsys": dumpsys}
