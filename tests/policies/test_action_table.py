from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from rig import Constant, Scripted, equal, rig_world
from stair import stairs

from sim2real_cat.errors import PolicyError
from sim2real_cat.policies.files import ActionTable, load_policy
from sim2real_cat.recordings.parquet import write_log
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.world import World

ACTIONS = np.random.default_rng(0).uniform(-1, 1, (3, 20, 2))


def test_one_table_for_all_and_one_for_each(rig):
    assert equal(
        rollout(rig, ActionTable(ACTIONS), rng=0, episodes=3), rollout(rig, Scripted(ACTIONS), rng=0, episodes=3)
    )
    shared = rollout(rig, ActionTable(ACTIONS[0]), rng=0, episodes=3)
    assert equal(shared, rollout(rig, Scripted(np.stack([ACTIONS[0]] * 3)), rng=0, episodes=3))


def test_past_the_end(rig):
    with pytest.raises(PolicyError, match="the table has actions for 20 control steps, step 20 was asked for"):
        rollout(rig, ActionTable(ACTIONS), rng=0, episodes=3, steps=21)
    short = ACTIONS.copy()
    short[1, 7:] = np.nan
    with pytest.raises(PolicyError, match="for 7 control steps of episode 1, step 7 was asked for"):
        rollout(rig, ActionTable(short), rng=0, episodes=3)
    assert rollout(rig, ActionTable(short), rng=0, episodes=3, steps=7).lengths.tolist() == [7] * 3


def test_another_number_of_episodes(rig):
    with pytest.raises(PolicyError, match="actions for 3 episodes, the rollout has 2"):
        rollout(rig, ActionTable(ACTIONS), rng=0, episodes=2)


def test_another_number_of_actuators(rig):
    with pytest.raises(
        PolicyError, match=r"reads any number of observations and answers 3 actions, .* 4 sensors .* 2 act"
    ):
        rollout(rig, ActionTable(np.zeros((20, 3))), rng=0)


@pytest.mark.parametrize(
    ("actions", "actuators", "message"),
    [
        (np.zeros(3), (), r"needs shape \(T, nu\) or \(n, T, nu\), got \(3,\)"),
        (np.zeros((0, 2)), (), r"got \(0, 2\)"),
        (np.zeros((4, 2)), ("a",), "2 actions per step has 1 names of actuators: a"),
        (np.array([[np.nan], [1.0]]), (), "finite numbers"),
        (np.array([[1.0], [np.nan], [1.0]]), (), "finite numbers"),
        (np.array([[1.0, 1.0], [np.nan, 1.0]]), (), "finite numbers"),
        (np.array([[1.0], [np.inf]]), (), "finite numbers"),
    ],
)
def test_what_is_no_table(actions, actuators, message):
    with pytest.raises(PolicyError, match=message):
        ActionTable(actions, actuators)


@pytest.mark.parametrize("actions", [ACTIONS, ACTIONS[0]], ids=["each", "all"])
def test_save_and_load(tmp_path, actions):
    table = ActionTable(actions, ("push", "twist"))
    table.save(tmp_path / "table.npz")
    for loaded in (ActionTable.load(tmp_path / "table.npz"), load_policy(tmp_path / "table.npz")):
        np.testing.assert_array_equal(loaded.actions, actions)
        assert (loaded.actuators, loaded.digest) == (("push", "twist"), table.digest)


def test_an_archive_of_somebody_else(tmp_path):
    np.savez(tmp_path / "table.npz", actions=ACTIONS)
    assert load_policy(tmp_path / "table.npz").digest == ActionTable(ACTIONS).digest
    np.savez(tmp_path / "table.npz", actions=ACTIONS, digest="0" * 64)
    with pytest.raises(PolicyError, match="do not match their digest"):
        load_policy(tmp_path / "table.npz")


def columns(actions):
    """A table of three episodes as columns, the frames of each in disorder."""
    order = np.random.default_rng(0).permutation(60)
    episode, frame = np.divmod(np.arange(60), 20)
    rows = actions.reshape(60, 2)
    return {
        "episode_index": episode[order],
        "frame_index": frame[order],
        "twist": rows[order, 1],
        "push": rows[order, 0],
    }


def write(path, content):
    table = pa.table(content)
    if path.suffix == ".csv":
        pa.csv.write_csv(table, path)
    else:
        pq.write_table(table, path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_by_name(tmp_path, suffix):
    """The columns come in another order than the actuators; the world puts them right."""
    path = write(tmp_path / f"table{suffix}", columns(ACTIONS))
    assert load_policy(path).actuators == ("twist", "push")
    np.testing.assert_array_equal(load_policy(path, world=rig_world(tmp_path)).actions, ACTIONS)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_alone_are_the_steps(tmp_path, suffix):
    path = write(tmp_path / f"table{suffix}", {"push": ACTIONS[0, :, 0], "twist": ACTIONS[0, :, 1]})
    np.testing.assert_array_equal(load_policy(path).actions, ACTIONS[0])


def test_the_actions_of_a_log_play_the_log_again(tmp_path):
    """Episodes of different lengths, closed by a frame without action; the starts are those of the seed."""
    world = World.gymnasium("InvertedPendulum")
    done = rollout(world, Constant(np.array([0.02])), rng=5, episodes=4)
    write_log(tmp_path / "log.parquet", done)
    table = load_policy(tmp_path / "log.parquet", world=world)
    np.testing.assert_array_equal(table.actions, done.actions)
    assert len(set(done.lengths.tolist())) > 1
    again = rollout(world, table, rng=5, episodes=4)
    np.testing.assert_array_equal(again.qpos, done.qpos)


def test_other_actuators_than_the_worlds(tmp_path):
    path = write(tmp_path / "table.csv", {"push": [0.1], "twsit": [0.2]})
    with pytest.raises(
        PolicyError,
        match=r"table\.csv: the table drives push, twsit, but world 'rig' has the actuators push, twist; if they are",
    ):
        load_policy(path, world=rig_world(tmp_path))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("twist", "push"), r"in the order twist, push, world 'rig' has them in the order push, twist: call \.ordered"),
        (("push", "foo"), r"the table drives push, foo, but world 'rig' has the actuators push, twist; if .* without"),
    ],
)
def test_a_rollout_minds_the_names_of_the_columns(rig, names, message):
    with pytest.raises(PolicyError, match=message):
        rollout(rig, ActionTable(ACTIONS, names), rng=0, episodes=3)


def test_an_ordered_table_plays(rig):
    swapped = ActionTable(ACTIONS[..., ::-1], ["twist", "push"]).ordered(("push", "twist"))
    done = rollout(rig, swapped, rng=0, episodes=3)
    assert equal(done, rollout(rig, ActionTable(ACTIONS, ("push", "twist")), rng=0, episodes=3))


def test_another_simulator_minds_the_names_of_the_columns():
    world, table = stairs(actuators=["a", "c"]), ActionTable(np.array([[0.25, 0.5]] * 6), ("c", "a"))
    with pytest.raises(PolicyError, match=r"world 'stair' has them in the order a, c: call \.ordered"):
        rollout(world, table, rng=0)
    assert rollout(world, table.ordered(("a", "c")), rng=0).actions[0, 0].tolist() == [0.5, 0.25]
    with pytest.raises(PolicyError, match="the table drives foo, bar, but world 'stair' has the actuators a, c"):
        rollout(world, ActionTable(table.actions, ("foo", "bar")), rng=0)


def test_a_log_says_whose_actions_it_holds(tmp_path):
    """A world with the same actuators in another order plays the log as it was."""
    other = stairs(actuators=["a", "c"])
    write_log(tmp_path / "log.parquet", rollout(other, Constant(np.array([0.25, 0.5])), rng=0, episodes=2))
    assert load_policy(tmp_path / "log.parquet").actuators == ("a", "c")
    world = stairs(actuators=["c", "a"])
    table = load_policy(tmp_path / "log.parquet", world=world)
    assert table.actuators == ("c", "a")
    assert rollout(world, table, rng=0, episodes=2).actions[0, 0].tolist() == [0.5, 0.25]


@pytest.mark.parametrize("head", [b"junk", b"[]", b"{}", b'{"actuators": 3}'])
def test_a_log_of_somebody_else_has_no_names(tmp_path, head):
    table = pa.table({"action": [[0.1], [0.2]]}).replace_schema_metadata({b"sim2real_cat": head})
    pq.write_table(table, tmp_path / "log.parquet")
    assert load_policy(tmp_path / "log.parquet").actuators == ()


def test_the_digest_is_of_names_and_numbers():
    unnamed, named = ActionTable(ACTIONS), ActionTable(ACTIONS, ("push", "twist"))
    assert len({unnamed.digest, named.digest, ActionTable(ACTIONS, ("twist", "push")).digest}) == 3
    assert named.ordered(("twist", "push")).digest == named.digest  # the same actions for the same actuators


def test_a_table_of_lists_and_of_text():
    assert ActionTable([[1, 2]], ["push", "twist"]).actions.dtype == np.float64
    for bad in ([["fast"]], [[1.0], [1.0, 2.0]], None):
        with pytest.raises(PolicyError, match="a table of actions needs numbers"):
            ActionTable(bad)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"push": ["fast", "slow"]}, "column 'push' holds object, not numbers"),
        ({"push": [0.1, 0.2], "frame_index": [0, 0]}, "frame_index do not follow one another"),
        ({"push": [0.1, 0.2], "frame_index": [0, 2]}, "frame_index do not follow one another"),
        ({"frame_index": [0, 1]}, "not a table of actions"),
        ({"action": [[0.1], [0.1, 0.2]]}, "not a table of actions"),
        ({"push": pa.array([], pa.float64())}, "no rows of actions"),
    ],
)
def test_tables_that_are_none(tmp_path, content, message):
    path = write(tmp_path / "table.parquet", content)
    with pytest.raises(PolicyError, match=message) as caught:
        load_policy(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_files_that_are_none(tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    with pytest.raises(PolicyError, match="no such policy file"):
        load_policy(path)
    path.write_bytes(b"")
    with pytest.raises(PolicyError, match="not a "):
        load_policy(path)
    path.write_bytes(b"\x00\xff\xfe junk \n 1,2,3")
    with pytest.raises(PolicyError, match="not a "):
        load_policy(path)
