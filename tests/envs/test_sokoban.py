"""Sokoban: what a move does, levels that can be solved, and the fewest moves that solve them."""

from collections import deque

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from PIL import Image

from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.envs.gym.catalogue import SOKOBAN
from qwen2vl_agent.envs.register import make_env, register_envs
from qwen2vl_agent.envs.sokoban.drawing import CELL, DONE, SPOT, draw
from qwen2vl_agent.envs.sokoban.env import MOST_STEPS, MOVES, RESTART, SokobanEnv
from qwen2vl_agent.envs.sokoban.level import LONGEST, draw_level, draw_room, pushes_to_end
from qwen2vl_agent.envs.sokoban.plan import shortest
from qwen2vl_agent.envs.sokoban.room import DIRECTIONS, Position, Room, is_solved, moved

KINDS = tuple((kind["size"], kind["boxes"]) for kind in SOKOBAN.values())


def read(drawn):
    """A room and a position from lines of `#` wall, `.` goal, `$` box, `*` box on a goal, `@` player, `+` on a goal."""
    cells = {
        (row, column): sign for row, line in enumerate(drawn.split("|")) for column, sign in enumerate(line)
    }  # fmt: skip

    def where(signs):
        return frozenset(cell for cell, sign in cells.items() if sign in signs)

    (player,) = where("@+")
    return Room(len(drawn.split("|")), where(" .$*@+"), where(".*+")), Position(player, where("$*"))


def written(room, position):
    """The reverse of `read`."""
    signs = {(False, False): " ", (True, False): ".", (False, True): "$", (True, True): "*"}
    rows = []
    for row in range(room.size):
        line = ""
        for cell in ((row, column) for column in range(room.size)):
            on_goal = cell in room.goals
            line += "#" if cell not in room.floor else signs[on_goal, cell in position.boxes]
            if cell == position.player:
                line = line[:-1] + ("+" if on_goal else "@")
        rows.append(line)
    return "|".join(rows)


def fewest_moves(room, begin):
    """The length of a shortest solution by trying every move, without any thought; None where there is none."""
    found, queue = {begin: 0}, deque([begin])
    while queue:
        position = queue.popleft()
        if is_solved(room, position):
            return found[position]
        for direction in DIRECTIONS:
            after = moved(room, position, direction)
            if after not in found:
                found[after] = found[position] + 1
                queue.append(after)
    return None


@pytest.mark.parametrize("kwargs", SOKOBAN.values())
def test_gymnasiums_checker_finds_nothing(kwargs):
    register_envs()
    check_env(gymnasium.make("qwen2vl_agent/Sokoban-v0", render_mode="rgb_array", **kwargs).unwrapped)


@pytest.mark.parametrize(
    ("before", "direction", "after"),
    [
        ("####|#@ #|#  #|####", "right", "####|# @#|#  #|####"),
        ("####|#@ #|#  #|####", "up", "####|#@ #|#  #|####"),
        ("#####|#@$.#|#   #|#   #|#####", "right", "#####|# @*#|#   #|#   #|#####"),
        ("#####|#@$$#|#   #|#   #|#####", "right", "#####|#@$$#|#   #|#   #|#####"),
        ("#####|# @$#|#   #|#   #|#####", "right", "#####|# @$#|#   #|#   #|#####"),
        ("#####|#.$@#|#   #|#   #|#####", "left", "#####|#*@ #|#   #|#   #|#####"),
        ("#####|#@* #|#   #|#   #|#####", "right", "#####|# +$#|#   #|#   #|#####"),
        ("#####|# $ #|# @ #|#   #|#####", "down", "#####|# $ #|#   #|# @ #|#####"),
    ],
)
def test_a_move_walks_or_pushes_one_box_or_changes_nothing(before, direction, after):
    room, position = read(before)
    assert written(room, moved(room, position, direction)) == after


@pytest.mark.parametrize(("size", "boxes"), KINDS)
def test_no_solution_is_shorter_than_the_one_found_and_none_is_found_where_there_is_none(size, boxes):
    """Positions that random moves lead to, most of them out of a level's own solution; each tried exhaustively."""
    random, lost = np.random.default_rng(size + boxes), 0
    for _ in range(6 if boxes < 3 else 2):
        room, position = draw_level(random, size, boxes)
        for _ in range(4):
            way, fewest = shortest(room, position), fewest_moves(room, position)
            assert (None if way is None else len(way)) == fewest
            lost += fewest is None
            for direction in way or ():
                position_after = moved(room, position, direction)
                assert position_after != position
                position = position_after
            assert way is None or is_solved(room, position)
            for direction in random.choice(MOVES, 25):
                position = moved(room, position, direction)
    assert lost


@pytest.mark.parametrize(("size", "boxes"), KINDS)
def test_every_level_can_be_solved_in_time_and_is_new(size, boxes):
    levels = [draw_level(np.random.default_rng(seed), size, boxes) for seed in range(40)]
    for room, begin in levels:
        assert 2 * boxes <= len(shortest(room, begin)) <= LONGEST < MOST_STEPS
        assert len(begin.boxes) == len(room.goals) == boxes
        assert not begin.boxes & room.goals
        assert all(0 < row < size - 1 and 0 < column < size - 1 for row, column in room.floor)
    assert len({written(*level) for level in levels}) == len(levels)


def test_the_search_backwards_counts_the_fewest_pushes():
    room = draw_room(np.random.default_rng(4), 6, 1)
    for position, pushes in pushes_to_end(room).items():
        counted = {position: 0}
        queue = deque([position])
        while queue and not is_solved(room, queue[0]):
            at = queue.popleft()
            for direction in DIRECTIONS:
                after = moved(room, at, direction)
                cost = counted[at] + int(after.boxes != at.boxes)
                if cost < counted.get(after, 1_000):
                    counted[after] = cost
                    (queue.append if after.boxes != at.boxes else queue.appendleft)(after)
        assert counted[queue[0]] == pushes


@pytest.mark.parametrize("kwargs", [{"size": 5}, {"size": 11}, {"boxes": 0}, {"size": 6, "boxes": 3}, {"boxes": 4}])
def test_rooms_that_hardly_any_level_fits_are_refused(kwargs):
    with pytest.raises(ValueError, match="expected"):
        SokobanEnv(**kwargs)


def test_rewards_are_those_of_gym_sokoban():
    env = SokobanEnv()
    env.reset(seed=1)
    env.room, env.position = read("######|#@$.*#|#    #|#    #|#    #|######")
    assert env.step(MOVES.index("up"))[1] == pytest.approx(-0.1)
    env.room, env.position = read("######|#@$. #|#.$  #|#    #|#    #|######")
    assert env.step(MOVES.index("right"))[1] == pytest.approx(0.9)
    assert env.step(MOVES.index("right"))[1] == pytest.approx(-1.1)
    env.room, env.position = read("######|#@$. #|#*   #|#    #|#    #|######")
    _, reward, terminated, truncated, info = env.step(MOVES.index("right"))
    assert (reward, terminated, truncated) == (pytest.approx(10.9), True, False)
    assert info == {"boxes_placed": 2, "is_success": True}


def test_restart_puts_all_back_and_the_solution_asks_for_it_where_a_box_is_stuck():
    env = SokobanEnv(size=6, boxes=1)
    begun = env.reset(seed=3)[0]
    for action in np.random.default_rng(0).integers(len(MOVES), size=60):
        if env.step(int(action))[4]["is_success"] or shortest(env.room, env.position) is None:
            break
    assert shortest(env.room, env.position) is None
    assert env.solution() == ("A box is stuck: begin anew.", RESTART)
    assert np.array_equal(env.step(RESTART)[0], begun)
    assert env.solution()[1] != RESTART


def test_an_episode_is_cut_off_in_the_end():
    env = SokobanEnv()
    env.reset(seed=2)
    ended = [env.step(RESTART)[2:4] for _ in range(MOST_STEPS)]
    assert ended == [(False, False)] * (MOST_STEPS - 1) + [(False, True)]


def test_every_cell_shows_what_stands_there():
    room, position = read("######|#@$.*#|#    #|#    #|#    #|######")
    picture = draw(room, position)
    assert picture.size == (6 * CELL, 6 * CELL)

    def tile(row, column):
        return picture.crop((column * CELL, row * CELL, (column + 1) * CELL, (row + 1) * CELL))

    kinds = [tile(0, 0), tile(1, 1), tile(1, 2), tile(1, 3), tile(1, 4), tile(2, 1)]
    assert len({kind.tobytes() for kind in kinds}) == len(kinds)
    assert tile(2, 1).tobytes() == tile(3, 2).tobytes()

    def has(image, colour):
        return Image.new("RGB", (1, 1), colour).getpixel((0, 0)) in {rgb for _, rgb in image.getcolors(CELL * CELL)}

    assert [has(kind, SPOT) for kind in kinds] == [False, False, False, True, False, False]
    assert [has(kind, DONE) for kind in kinds] == [False, False, False, False, True, False]
    standing = draw(*read("######|#+$ *#|#    #|#    #|#    #|######"))
    assert has(standing.crop((CELL, CELL, 2 * CELL, 2 * CELL)), SPOT)  # the spot is seen behind the player


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("task", [f"games.{name}" for name in SOKOBAN])
def test_the_solution_solves_bundled_levels_by_function_calls_mistakes_or_not(task, noise, tmp_path):
    env = make_env("gym", task=task)
    for seed in range(3):
        policy = scripted_policy("oracle", noise=noise)
        plan = EpisodePlan(out=tmp_path / str(seed), task=task, seed=seed)
        trajectory = run_episode(env, policy, plan, drive=drive_plainly)
        assert trajectory.header.outcome == "success"
        assert set(trajectory.header.tools) == {"up", "down", "left", "right", "restart"}


def test_chance_seldom_solves_it():
    env, solved = SokobanEnv(), 0
    for seed in range(10):
        env.reset(seed=seed)
        draw_action = np.random.default_rng(seed)
        over = False
        while not over:
            _, _, terminated, truncated, info = env.step(int(draw_action.integers(len(MOVES) + 1)))
            over = terminated or truncated
        solved += info["is_success"]
    assert solved <= 2
