from __future__ import annotations

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomli_w
from arm import (
    MAPPING,
    PERIOD,
    ROS_MAPPING,
    columns,
    csv_files,
    lerobot,
    mcap,
    mcap_file,
    minari,
    npz,
    one_csv,
    parquet,
    write_csv,
)
from rig import equal

from sim2real_cat.errors import EngineError, ExchangeError, WorldError
from sim2real_cat.recordings.logs.mapping import LogMapping
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.world import World


def refused(error, path, table, world):
    """The message, which has to be one line."""
    with pytest.raises(error) as caught:
        read_log(path, LogMapping.from_table(table, world))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_world_reads_the_log_of_its_robot(tmp_path, world, done):
    """From a file, a table or a mapping that was read, even for another world."""
    paths, table = csv_files(tmp_path, done)
    toml = tmp_path / "log.toml"
    toml.write_bytes(tomli_w.dumps(table).encode())
    one_sensor = QuadraticTask(observe=("sensordata[encoder]",), steps=50)
    elsewhere = LogMapping.from_table(table, World.from_xml(world.path, one_sensor, PERIOD))
    expected = read_log(paths, LogMapping.from_table(table, world))
    for mapping in (toml, str(toml), table, elsewhere):
        assert equal(world.read_log(paths, mapping), expected)
    assert equal(world.read_log(paths, table, episodes=slice(1, 2)), expected.select(np.array([1])))
    with pytest.raises(WorldError, match=r"none\.toml: no such mapping"):
        world.read_log(paths, tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        ({}, ("", "")),
        ({"policy": "ppo"}, ("ppo", "ppo")),
        ({"policies": {"run_0*": "first", "*": "rest"}}, ("first", "rest")),
        ({"policy_column": "who"}, ("a", "a")),
    ],
)
def test_who_acted(tmp_path, world, done, policy, names):
    paths = []
    for i in range(2):
        path = write_csv(tmp_path / f"run_{i}.csv", columns(done, i))
        lines = path.read_text().splitlines()
        path.write_text("\n".join([f"{lines[0]},who", *(f"{line},a" for line in lines[1:])]))
        paths.append(path)
    log = read_log(paths, LogMapping.from_table(MAPPING | policy, world))
    assert log.policies == names


def test_who_acted_has_to_be_said_for_every_file(tmp_path, world, done):
    paths, table = csv_files(tmp_path, done)
    message = refused(WorldError, paths, table | {"policies": {"run_0*": "first"}}, world)
    assert "[policies]: unknown file 'run_1.csv'" in message


def test_two_policies_in_one_episode(tmp_path, world, done):
    table = {name: pa.array(values) for name, values in columns(done, 0).items()}
    pq.write_table(pa.table(table | {"who": ["a"] * 20 + ["b"] * 6}), tmp_path / "log.parquet")
    message = refused(WorldError, tmp_path / "log.parquet", MAPPING | {"policy_column": "who"}, world)
    assert "two policies act in one episode, 'a' and 'b'" in message


def test_an_episode_of_one_row(tmp_path, world, done):
    path, table = one_csv(tmp_path, done)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:28]))
    message = refused(WorldError, path, table, world)
    assert message == f"{path}: one row (line 28); an episode needs two rows or more"


def test_logs_of_one_file_only_have_no_time(tmp_path, world, done):
    path = write_csv(tmp_path / "log.csv", columns(done, 0))
    message = refused(WorldError, path, {k: v for k, v in MAPPING.items() if k != "time"}, world)
    assert message.endswith("nothing says when its rows were recorded; give column or period under [time]")


def test_files_of_different_periods(tmp_path, world, done):
    paths, table = csv_files(tmp_path, done)
    other = columns(done, 1)
    write_csv(paths[1], other | {"t": 2 * other["t"]})
    message = refused(WorldError, paths, table, world)
    assert "episodes of different periods, from 20 to 40 ms; give a control_period to resample to" in message


def test_missing_empty_and_unknown_files(tmp_path, world):
    assert refused(ExchangeError, tmp_path / "none.csv", MAPPING, world).endswith("none.csv: no such log")
    (tmp_path / "empty.csv").touch()
    assert "empty.csv: an empty log, the file has no bytes" in refused(
        ExchangeError, tmp_path / "empty.csv", MAPPING, world
    )
    (tmp_path / "log.bag").write_bytes(b"#ROSBAG")
    assert "unknown format of log '.bag'" in refused(ExchangeError, tmp_path / "log.bag", MAPPING, world)
    (tmp_path / "folder").mkdir()
    assert "a folder without a log; LeRobot has meta/info.json" in refused(
        ExchangeError, tmp_path / "folder", MAPPING, world
    )


def test_several_logs_need_a_mapping(tmp_path):
    with pytest.raises(ExchangeError, match="with a mapping only"):
        read_log([tmp_path / "a.parquet"])


@pytest.mark.parametrize("part", [0.01, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("writer", [parquet, npz, minari, mcap])
def test_a_file_cut_short(tmp_path, world, done, writer, part):
    path, table = writer(tmp_path, done)
    file = path[0] if isinstance(path, list) else path / "data/main_data.hdf5" if path.is_dir() else path
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * part)])
    assert "not a whole" in refused(ExchangeError, path, table, world)


def test_a_lerobot_file_cut_short(tmp_path, world, done):
    root, table = lerobot(tmp_path, done)
    file = root / "data/chunk-000/file-001.parquet"
    content = file.read_bytes()
    file.write_bytes(content[:-100])
    assert "file-001.parquet: not a whole Parquet file" in refused(ExchangeError, root, table, world)
    file.unlink()
    message = refused(ExchangeError, root, table, world)
    assert "26 frames in its 1 files, meta/info.json says 52; copy it again" in message
    (root / "data/chunk-000/file-000.parquet").unlink()
    assert "its data are missing" in refused(ExchangeError, root, table, world)


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"codebase_version": "v2.1"}, "LeRobot v2.1, this package reads v3; convert it with LeRobot's own script"),
        ({"fps": 0}, "not the description of a LeRobot data set"),
        ({"fps": "fast"}, "not the description of a LeRobot data set"),
        ({"features": None}, "not the description of a LeRobot data set"),
        (None, "not the description of a LeRobot data set"),
    ],
)
def test_another_lerobot(tmp_path, world, done, info, message):
    root, table = lerobot(tmp_path, done)
    path = root / "meta/info.json"
    path.write_text("{" if info is None else json.dumps(json.loads(path.read_text()) | info))
    assert message in refused(ExchangeError, root, table, world)


def test_lerobot_as_it_is_written_with_single_precision(tmp_path, world, done):
    """Timestamps and values in float32: still on the control steps, values as good as they were written."""
    root, table = lerobot(tmp_path, done)
    for file in root.glob("data/*/*.parquet"):
        frames = pq.read_table(file)
        for name, width in (("observation.state", 4), ("action", 2)):
            flat = frames[name].combine_chunks().flatten().cast(pa.float32())
            column = pa.FixedSizeListArray.from_arrays(flat, width)
            frames = frames.set_column(frames.schema.get_field_index(name), name, column)
        pq.write_table(frames, file)
    log = read_log(root, LogMapping.from_table(table | {"control_period": 0.02}, world))
    np.testing.assert_array_equal(log.qpos, done.qpos.astype(np.float32))
    assert not any("resampled" in note for note in log.notes)


def test_a_lerobot_folder_has_the_period_that_it_says(tmp_path, done):
    """Its timestamps are in single precision, 50 frames a second are exact."""
    root, _ = lerobot(tmp_path, done)
    mapping = LogMapping.from_table({"observation": {"angle": "observation.state[hinge.pos]"}})
    assert read_log(root, mapping).control_period == 0.02


def test_names_that_a_lerobot_feature_does_not_have(tmp_path, world, done):
    root, table = lerobot(tmp_path, done)
    table["action"] = {"shoulder": "action[sholder]", "wrist": "action[1]"}
    message = refused(WorldError, root, table, world)
    assert "unknown component of column 'action' 'sholder': did you mean 'shoulder'?" in message


def test_an_hdf5_file_without_episodes(tmp_path, world, done):
    h5py = pytest.importorskip("h5py", reason="needs the extra 'logs'")
    h5py.File(tmp_path / "log.hdf5", "w").close()
    assert "no Minari data set, it has no group 'episode_0'" in refused(
        ExchangeError, tmp_path / "log.hdf5", MAPPING, world
    )


def test_rewards_and_ends_of_minari(tmp_path, world, done):
    path, table = minari(tmp_path, done)
    log = read_log(path, LogMapping.from_table(table, world))
    np.testing.assert_array_equal(log.rewards, done.rewards)
    np.testing.assert_array_equal(log.terminated, done.terminated)


def test_a_topic_that_a_bag_does_not_have(tmp_path, world, done):
    paths, table = mcap(tmp_path, done)
    table = table | {"action": {"shoulder": "/effort/comands.data[0]", "wrist": "/effort/commands.data[1]"}}
    message = refused(ExchangeError, paths, table, world)
    assert "unknown topic '/effort/comands': did you mean '/effort/commands'?" in message
    table["action"]["shoulder"] = "/effort/commands.data[7]"
    message = refused(WorldError, paths, table, world)
    assert "column '/effort/commands.data' has components 0..1" in message


def test_a_bag_goes_by_when_things_were_measured(tmp_path, world, done):
    """Received 5 ms after they were measured; the stamps count, and the two clocks can be compared."""
    path = mcap_file(tmp_path / "late.mcap", done, 0, late=5_000_000)
    table = ROS_MAPPING | {"time": {"second_clock": "/joint_states.log_time"}}
    log = read_log(path, LogMapping.from_table(table, world))
    np.testing.assert_array_equal(log.qpos, done.qpos[:1])
    assert any("against '/joint_states.header.stamp': offset 0.005 s, drift" in note for note in log.notes)


@pytest.mark.parametrize(("writer", "package"), [(minari, "h5py"), (mcap, "rosbags")])
def test_what_needs_an_extra_says_so(tmp_path, world, done, monkeypatch, writer, package):
    path, table = writer(tmp_path, done)
    for name in (package, f"{package}.highlevel"):
        monkeypatch.setitem(sys.modules, name, None)
    message = refused(EngineError, path, table, world)
    assert message.endswith(f"need {package}: pip install 'sim2real-cat[logs]'")


def test_arrays_that_an_npz_does_not_have(tmp_path, world, done):
    path, table = npz(tmp_path, done)
    assert "unknown array 'y_*'" in refused(ExchangeError, path, {"observation": {"qpos[hinge]": "y_*[0]"}}, world)
    with np.load(path) as content:
        np.savez(path, **{name: content[name] for name in content.files if name != "u_1"})
    assert "unknown array 'u_1': did you mean" in refused(ExchangeError, path, table, world)


def test_an_npz_of_plain_arrays_is_one_episode(tmp_path, world, done):
    np.savez(tmp_path / "one.npz", **columns(done, 0))
    log = read_log(tmp_path / "one.npz", LogMapping.from_table(MAPPING, world))
    np.testing.assert_array_equal(log.qpos, done.qpos[:1])


def test_columns_of_different_length(tmp_path, world, done):
    table = columns(done, 0)
    np.savez(tmp_path / "one.npz", **(table | {"spin": table["spin"][:20]}))
    message = refused(WorldError, tmp_path / "one.npz", MAPPING, world)
    assert "'spin' has 20 rows, its timestamps 26" in message


def test_a_column_of_another_width(tmp_path, world, done):
    table = columns(done, 0)
    np.savez(tmp_path / "one.npz", **(table | {"spin": np.ones((26, 2))}))
    message = refused(WorldError, tmp_path / "one.npz", MAPPING, world)
    assert "'qvel[hinge]' has 1 numbers a row, spin 2" in message


def test_a_log_without_a_world(tmp_path, done):
    path = write_csv(tmp_path / "log.csv", columns(done, 0))
    table = {"time": {"column": "t"}, "observation": {"angle": "angle"}, "action": {"u": "torque"}}
    log = read_log(path, LogMapping.from_table(table))
    assert (log.sensors, log.actuators, log.qpos.shape) == (("angle",), ("u",), (1, 26, 0))


def test_the_same_log_is_the_same_bytes(tmp_path, world, done):
    """Reading does not depend on anything but the files and the mapping; sources are noted by name and digest."""
    paths, table = csv_files(tmp_path, done)
    mapping = LogMapping.from_table(table, world)
    assert read_log(paths, mapping).notes == read_log(paths, mapping).notes
    assert read_log(paths, mapping).notes[0].startswith("read from run_0.csv (sha256 ")
