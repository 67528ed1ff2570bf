"""An arm with a hinge and a slide, what it recorded, and the same recording in every format that is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rig import Scripted

from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.world import World

PERIOD = 0.02

ARM = """
<mujoco model="arm">
  <option timestep="0.005"/>
  <worldbody>
    <body name="upper">
      <joint name="hinge" axis="0 1 0" damping="0.05"/>
      <geom type="capsule" size="0.02" fromto="0 0 0 0 0 -0.5" mass="0.5"/>
      <body name="tip" pos="0 0 -0.5">
        <joint name="slide" type="slide" axis="0 0 1" stiffness="40" damping="0.5"/>
        <geom type="sphere" size="0.05" mass="0.2"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name="shoulder" joint="hinge" ctrlrange="-5 5" ctrllimited="true"/>
    <motor name="wrist" joint="slide"/>
  </actuator>
  <sensor><jointpos name="encoder" joint="hinge"/></sensor>
</mujoco>
"""

OBSERVED = ("qpos[hinge]", "qpos[slide]", "qvel[hinge]", "qvel[slide]", "sensordata[encoder]")
JOINTS = ("hinge", "slide")


def arm_world(folder: Path) -> World:
    path = folder / "arm.xml"
    path.write_text(ARM, encoding="utf-8")
    return World.from_xml(path, QuadraticTask(observe=OBSERVED, steps=50, start_noise=0.3), PERIOD, name="arm")


def recorded(world: World, episodes: int = 2, steps: int = 25, seed: int = 0) -> Trajectories:
    """Noiseless episodes of the arm under random actions; every number is one that float32 holds, rewards apart."""
    actions = np.random.default_rng(seed).uniform(-1, 1, (episodes, steps, 2))
    return rollout(world, Scripted(actions), rng=seed, episodes=episodes, steps=steps)


def columns(done: Trajectories, episode: int) -> dict[str, np.ndarray]:
    """One episode as the columns of a log; the last row has no action."""
    frames = int(done.lengths[episode]) + 1
    action = np.concatenate([done.actions[episode, : frames - 1], np.full((1, 2), np.nan)])
    return {
        "t": PERIOD * np.arange(frames),
        "angle": done.qpos[episode, :frames, 0],
        "reach": done.qpos[episode, :frames, 1],
        "spin": done.qvel[episode, :frames, 0],
        "speed": done.qvel[episode, :frames, 1],
        "encoder": done.observations[episode, :frames, 4],
        "torque": action[:, 0],
        "force": action[:, 1],
    }


MAPPING = {
    "time": {"column": "t"},
    "state": {"qpos[hinge]": "angle", "qpos[slide]": "reach", "qvel[hinge]": "spin", "qvel[slide]": "speed"},
    "observation": {"sensordata[encoder]": "encoder"},
    "action": {"shoulder": "torque", "wrist": "force"},
}
"""What the columns mean."""


def write_csv(path: Path, table: dict[str, np.ndarray], delimiter: str = ",") -> Path:
    names = list(table)
    lines = [delimiter.join(names)]
    for row in zip(*table.values(), strict=True):
        lines.append(delimiter.join("" if value != value else repr(value.item()) for value in row))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def csv_files(folder: Path, done: Trajectories):
    return [write_csv(folder / f"run_{i}.csv", columns(done, i)) for i in range(len(done))], MAPPING


def one_csv(folder: Path, done: Trajectories):
    parts = [columns(done, i) | {"run": np.full(int(done.lengths[i]) + 1, 7 - i)} for i in range(len(done))]
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return write_csv(folder / "all.csv", table), MAPPING | {"episode_column": "run"}


def parquet(folder: Path, done: Trajectories):
    parts = [columns(done, i) | {"run": np.array([f"run {i}"] * (int(done.lengths[i]) + 1))} for i in range(len(done))]
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    pq.write_table(pa.table(table), folder / "all.parquet")
    return folder / "all.parquet", MAPPING | {"episode_column": "run"}


def npz(folder: Path, done: Trajectories):
    arrays = {}
    for i in range(len(done)):
        frames = int(done.lengths[i]) + 1
        arrays[f"x_{i}"] = np.concatenate([done.qpos[i, :frames], done.qvel[i, :frames]], axis=1)
        arrays[f"u_{i}"] = done.actions[i, : frames - 1]
    np.savez(folder / "all.npz", **arrays)
    return folder / "all.npz", {
        "time": {"period": PERIOD},
        "state": {
            "qpos[hinge]": "x_*[:, 0]",
            "qpos[slide]": "x_*[:, 1]",
            "qvel[hinge]": "x_*[2]",
            "qvel[slide]": "x_*[3]",
        },
        "observation": {"sensordata[encoder]": "x_*[:, 0]"},
        "action": {"shoulder": "u_*[:, 0]", "wrist": "u_*[:, 1]"},
    }


def lerobot(folder: Path, done: Trajectories, *, version: str = "v3.0", frames_said: int | None = None):
    """The layout that LeRobot 0.4 writes, in two data files; frame counts and names as in its info.json."""
    root = folder / "lerobot"
    total = 0
    for i in range(len(done)):
        table = columns(done, i)
        rows = len(table["t"])
        state = np.stack([table[name] for name in ("angle", "reach", "spin", "speed")], axis=1)
        action = np.nan_to_num(np.stack([table["torque"], table["force"]], axis=1))
        path = root / f"data/chunk-000/file-{i:03d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            pa.table(
                {
                    "observation.state": pa.FixedSizeListArray.from_arrays(pa.array(state.ravel(), pa.float64()), 4),
                    "action": pa.FixedSizeListArray.from_arrays(pa.array(action.ravel(), pa.float64()), 2),
                    "timestamp": pa.array(PERIOD * np.arange(rows), pa.float32()),
                    "frame_index": pa.array(np.arange(rows)),
                    "episode_index": pa.array(np.full(rows, i)),
                    "index": pa.array(total + np.arange(rows)),
                    "task_index": pa.array(np.zeros(rows, dtype=np.int64)),
                }
            ),
            path,
        )
        total += rows
    names = ["hinge.pos", "slide.pos", "hinge.vel", "slide.vel"]
    scalar = {"shape": [1], "names": None}
    info = {
        "codebase_version": version,
        "robot_type": "arm",
        "total_episodes": len(done),
        "total_frames": total if frames_said is None else frames_said,
        "total_tasks": 1,
        "chunks_size": 1000,
        "fps": 50,
        "splits": {"train": f"0:{len(done)}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": None,
        "features": {
            "observation.state": {"dtype": "float32", "shape": [4], "names": names},
            "action": {"dtype": "float32", "shape": [2], "names": {"motors": ["shoulder", "wrist"]}},
            "timestamp": {"dtype": "float32", **scalar},
            "frame_index": {"dtype": "int64", **scalar},
            "episode_index": {"dtype": "int64", **scalar},
            "index": {"dtype": "int64", **scalar},
            "task_index": {"dtype": "int64", **scalar},
        },
    }
    (root / "meta").mkdir(exist_ok=True)
    (root / "meta/info.json").write_text(json.dumps(info), encoding="utf-8")
    return root, {
        "state": {
            "qpos[hinge]": "observation.state[hinge.pos]",
            "qpos[slide]": "observation.state[1]",
            "qvel[hinge]": "observation.state[hinge.vel]",
            "qvel[slide]": "observation.state[:, 3]",
        },
        "observation": {"sensordata[encoder]": "observation.state[hinge.pos]"},
        "action": {"shoulder": "action[shoulder]", "wrist": "action[wrist]"},
    }


def minari(folder: Path, done: Trajectories):
    """The layout that Minari 0.5.4 writes."""
    h5py = pytest.importorskip("h5py", reason="needs the extra 'logs'")
    path = folder / "arm-v0" / "data"
    path.mkdir(parents=True)
    with h5py.File(path / "main_data.hdf5", "w", track_order=True) as file:
        for i in range(len(done)):
            frames = int(done.lengths[i]) + 1
            group = file.create_group(f"episode_{i}")
            group.attrs.update({"id": i, "seed": i, "total_steps": frames - 1})
            group.create_dataset("observations", data=done.observations[i, :frames])
            group.create_dataset("actions", data=done.actions[i, : frames - 1])
            group.create_dataset("rewards", data=done.rewards[i, : frames - 1])
            group.create_dataset("terminations", data=np.arange(1, frames) == (frames - 1) * bool(done.terminated[i]))
            group.create_dataset("truncations", data=np.zeros(frames - 1, dtype=bool))
            infos = group.create_group("infos")
            infos.create_dataset("qpos", data=done.qpos[i, :frames])
            infos.create_dataset("qvel", data=done.qvel[i, :frames])
    return folder / "arm-v0", {
        "time": {"period": PERIOD},
        "state": {
            "qpos[hinge]": "infos/qpos[0]",
            "qpos[slide]": "infos/qpos[1]",
            "qvel[hinge]": "infos/qvel[0]",
            "qvel[slide]": "infos/qvel[1]",
        },
        "observation": {"sensordata[encoder]": "observations[4]"},
        "action": {"shoulder": "actions[0]", "wrist": "actions[1]"},
        "reward": "rewards",
        "terminated": "terminations",
    }


JOINT_STATE = """std_msgs/Header header
string[] name
float64[] position
float64[] velocity
float64[] effort
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec"""

COMMAND = """MultiArrayLayout layout
float64[] data
================================================================================
MSG: std_msgs/MultiArrayLayout
MultiArrayDimension[] dim
uint32 data_offset
================================================================================
MSG: std_msgs/MultiArrayDimension
string label
uint32 size
uint32 stride"""

EPOCH = 1_790_000_000 * 10**9
"""ns since 1970: more digits than a float holds."""


def mcap_file(path: Path, done: Trajectories, episode: int, *, late: int = 0):
    """Joint states in changing order with stamps, and commands without: what the mcap writer makes of a robot's topics.

    `late` ns pass between a measurement and its reception.
    """
    pytest.importorskip("rosbags", reason="needs the extra 'logs'")
    writing = pytest.importorskip("mcap_ros2.writer", reason="needs mcap-ros2-support to write a file")
    with path.open("wb") as file:
        writer = writing.Writer(file)
        states = writer.register_msgdef("sensor_msgs/msg/JointState", JOINT_STATE)
        commands = writer.register_msgdef("std_msgs/msg/Float64MultiArray", COMMAND)
        for row in range(int(done.lengths[episode]) + 1):
            stamp = EPOCH + round(row * PERIOD * 1e9)
            order = [0, 1] if row % 3 else [1, 0]
            message = {
                "header": {"stamp": {"sec": stamp // 10**9, "nanosec": stamp % 10**9}, "frame_id": ""},
                "name": [JOINTS[i] for i in order],
                "position": done.qpos[episode, row, order].tolist(),
                "velocity": done.qvel[episode, row, order].tolist(),
                "effort": [],
            }
            writer.write_message("/joint_states", states, message, log_time=stamp + late, publish_time=stamp)
            if row < done.lengths[episode]:
                data = {"layout": {"dim": [], "data_offset": 0}, "data": done.actions[episode, row].tolist()}
                writer.write_message("/effort/commands", commands, data, log_time=stamp, publish_time=stamp)
        writer.finish()
    return path


ROS_MAPPING = {
    "state": {
        f"{q}[{j}]": f"/joint_states.{f}[{j}]" for q, f in (("qpos", "position"), ("qvel", "velocity")) for j in JOINTS
    },
    "observation": {"sensordata[encoder]": "/joint_states.position[hinge]"},
    "action": {"shoulder": "/effort/commands.data[0]", "wrist": "/effort/commands.data[1]"},
}


def mcap(folder: Path, done: Trajectories):
    return [mcap_file(folder / f"run_{i}.mcap", done, i) for i in range(len(done))], ROS_MAPPING


def bag(folder: Path, done: Trajectories):
    """The folder of a ROS 2 bag in SQLite, as rosbags writes it."""
    writing = pytest.importorskip("rosbags.rosbag2", reason="needs the extra 'logs'")
    from rosbags.typesys import Stores, get_typestore

    types = get_typestore(Stores.ROS2_HUMBLE)
    paths = []
    for i in range(len(done)):
        paths.append(folder / f"bag_{i}")
        with writing.Writer(paths[-1], version=9) as writer:
            states = writer.add_connection("/joint_states", "sensor_msgs/msg/JointState", typestore=types)
            commands = writer.add_connection("/effort/commands", "std_msgs/msg/Float64MultiArray", typestore=types)
            for row in range(int(done.lengths[i]) + 1):
                stamp = EPOCH + round(row * PERIOD * 1e9)
                time = types.types["builtin_interfaces/msg/Time"](stamp // 10**9, stamp % 10**9)
                state = types.types[states.msgtype](
                    header=types.types["std_msgs/msg/Header"](time, ""),
                    name=list(JOINTS),
                    position=done.qpos[i, row],
                    velocity=done.qvel[i, row],
                    effort=np.zeros(0),
                )
                writer.write(states, stamp, types.serialize_cdr(state, states.msgtype))
                if row < done.lengths[i]:
                    layout = types.types["std_msgs/msg/MultiArrayLayout"]([], 0)
                    command = types.types[commands.msgtype](layout, done.actions[i, row])
                    writer.write(commands, stamp, types.serialize_cdr(command, commands.msgtype))
    return paths, ROS_MAPPING


FORMATS = {
    "csv files": csv_files,
    "one csv": one_csv,
    "parquet": parquet,
    "npz": npz,
    "lerobot": lerobot,
    "minari": minari,
    "mcap": mcap,
    "ros 2 bag": bag,
}
"""Writers of a recording: what they wrote and its mapping."""
