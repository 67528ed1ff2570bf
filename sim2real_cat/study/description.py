"""The description of a study, read from TOML: robots, how reality differs, randomizations and policies."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sim2real_cat.errors import PolicyError, StudyError, WorldError, listed, unknown_name
from sim2real_cat.policies.files import load_policy
from sim2real_cat.policies.policy import Policy
from sim2real_cat.predictive.estimate import GAPS_OF, GapOf
from sim2real_cat.toml_table import TomlTable
from sim2real_cat.training.random_search import RandomSearch
from sim2real_cat.transfer.laws.law import DEFAULT_EPSILON
from sim2real_cat.transfer.measurement import MEASURE_METHODS, MeasureMethod
from sim2real_cat.worlds.parameters.apply import check_parameters
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.sensors.noise import noise_from_table
from sim2real_cat.worlds.tasks.gymnasium import MODELS
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.world import Noise, World

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_NAME_NEEDS = "names files: make it of letters, digits, '_', '.' and '-', a letter or digit first"


@dataclass(frozen=True)
class Robot:
    """A robot: its simulated world, and how the real one differs.

    Attributes:
        name: its name in the description.
        world: the nominal simulated world.
        reality: an ensemble of one, the real world.
        steps: control steps of an episode.
        randomizations: the randomizations by name; ``none`` is always among them.
        training: settings of its policies' training where they have none of their own, as in the study's document.
    """

    name: str
    world: World
    reality: Ensemble
    steps: int
    randomizations: Mapping[str, Randomization]
    training: Mapping[str, Any]


@dataclass(frozen=True)
class Weights:
    """A saved policy.

    Attributes:
        policy: the policy.
        content: the bytes of its file, which the folder of the study keeps.
        suffix: the ending of its file, which says what kind it is.
    """

    policy: Policy
    content: bytes
    suffix: str


@dataclass(frozen=True)
class Candidate:
    """A policy of a study.

    Attributes:
        name: its name in the description.
        robot: the robot it is for.
        randomization: the randomization from which its fibre is drawn.
        members: number of worlds of its fibre.
        training: settings of its training.
        weights: a saved policy that is deployed instead of training one; None to train.
    """

    name: str
    robot: Robot
    randomization: Randomization
    members: int
    training: RandomSearch
    weights: Weights | None

    @property
    def varying(self) -> Randomization | None:
        """Return the randomization; None where nothing varies in it."""
        return self.randomization if self.randomization.changes else None


@dataclass(frozen=True)
class Description:
    """A study as described.

    Attributes:
        name: its name, also that of its folder.
        seed: all randomness of the study comes from it.
        epsilon: nats per control step under which a policy transfers.
        method: the method by which `measure` measures gaps.
        gap_of: the worlds of a predictive gap: the randomization of a policy, or its finite fibre.
        confidence: nominal coverage of the intervals.
        real_episodes: episodes of each policy on its robot.
        sim_episodes: episodes of each policy in each world of its fibre.
        candidates: the policies.
        source: the TOML document it was read from.
        folder: the folder that the document's relative paths start from.
    """

    name: str
    seed: int
    epsilon: float
    method: MeasureMethod
    gap_of: GapOf
    confidence: float
    real_episodes: int
    sim_episodes: int
    candidates: tuple[Candidate, ...]
    source: Mapping[str, Any]
    folder: Path


def read_description(path: Path) -> Description:
    """Read a study from a TOML file and check every entry against the models that it names.

    Raises:
        StudyError: the file is missing, is not TOML, or has a wrong, missing or unknown entry.
        WorldError: a model, sensor or parameter that does not exist.
        PolicyError: saved weights that are missing, damaged or made for another robot.
    """
    root = TomlTable.read(path, "study", StudyError)
    place, folder = root.place, path.parent
    head = root.table("study")
    robots_table, policies_table = root.table("robots"), root.table("policies")
    root.raw("versions")
    root.close()
    robots = {name: _robot(name, robots_table.table(name), folder) for name in robots_table.values}
    if not robots:
        raise StudyError(f"{place}: the study has no robot; add a table [robots.NAME]")
    candidates = tuple(_candidate(name, policies_table.table(name), robots, folder) for name in policies_table.values)
    if not candidates:
        raise StudyError(f"{place}: the study has no policy; add a table [policies.NAME]")
    for name in (*robots, *(candidate.name for candidate in candidates)):
        if not _NAME.fullmatch(name):
            raise StudyError(f"{place}: the name '{name}' {_NAME_NEEDS}")
    clash = sorted(set(robots) & {candidate.name for candidate in candidates})
    if clash:
        raise StudyError(f"{place}: {listed(clash)} names both a robot and a policy; rename one")
    if not _NAME.fullmatch(head.text("name")):
        raise StudyError(f"{head.place}: the name '{head.text('name')}' {_NAME_NEEDS}")
    method = head.text("method", "auto")
    if method not in MEASURE_METHODS:
        raise StudyError(f"{head.place}: " + unknown_name("method", method, MEASURE_METHODS))
    gap_of = head.text("gap_of", "randomization")
    if gap_of not in GAPS_OF:
        raise StudyError(f"{head.place}: " + unknown_name("gap_of", gap_of, GAPS_OF))
    confidence = head.number("confidence", 0.95, above=0.0)
    if confidence >= 1:
        raise StudyError(f"{head.place}: confidence needs to be under 1, got {confidence:g}")
    description = Description(
        name=head.text("name"),
        seed=head.integer("seed", 0, least=0),
        epsilon=head.number("epsilon", DEFAULT_EPSILON, above=0.0),
        method=method,
        gap_of=gap_of,
        confidence=confidence,
        real_episodes=head.integer("real_episodes", 24, least=2),
        sim_episodes=head.integer("sim_episodes", 4, least=2),
        candidates=candidates,
        source=root.values,
        folder=folder,
    )
    head.close()
    return description


def _robot(name: str, table: TomlTable, folder: Path) -> Robot:
    """Return the robot of a table ``[robots.NAME]``."""
    world = _world(name, table, folder)
    steps = table.integer("steps", world.task.steps)
    place = f"{table.place[:-1]}.reality]"
    reality = Ensemble.single(table.table("reality").values, place)
    with _named_in_errors(place):
        check_parameters(world, reality)
    randomizations = {"none": Randomization()}
    entries = table.table("randomizations")
    for key in entries.values:
        entry = entries.table(key)
        if key in randomizations:
            raise StudyError(f"{entry.place}: '{key}' always means no randomization; choose another name")
        randomization = Randomization.from_table(entry.values, entry.place)
        with _named_in_errors(entry.place):
            randomizations[key] = randomization.bind(world)
            check_parameters(world, randomizations[key].extremes())
    training = table.table("training")
    _training(TomlTable({"steps": steps, **training.values}, training.place, StudyError))
    table.close()
    return Robot(name, world, reality, steps, randomizations, training.values)


@contextmanager
def _named_in_errors(place: str) -> Iterator[None]:
    """Put the place of an entry before the errors that its world raises."""
    try:
        yield
    except WorldError as error:
        raise WorldError(f"{place}: {error}") from None


def _world(name: str, table: TomlTable, folder: Path) -> World:
    """Return the world of a robot: one of Gymnasium's, or your own model with a declared task."""
    noise = _noise(table)
    known, xml = table.optional_text("world"), table.optional_text("xml")
    if (known is None) == (xml is None):
        raise StudyError(f"{table.place}: give either world, one of {listed(MODELS)}, or xml, the path of a model")
    with _named_in_errors(table.place):
        if known is not None:
            return World.gymnasium(known, noise)
        period, task = table.number("control_period", above=0.0), _task(table.table("task"))
        return World.from_xml(folder / str(xml), task, period, name=name, noise=noise)


def _noise(table: TomlTable) -> float | Mapping[str, Noise]:
    """Return the noise of a robot's sensors: one number for all, or a table or list of models."""
    if not isinstance(table.values.get("noise"), Mapping | list):
        return table.number("noise", 0.0)
    try:
        return noise_from_table(table.raw("noise"), f"{table.place[:-1]}.noise]")
    except WorldError as error:
        raise StudyError(str(error)) from None


def _task(table: TomlTable) -> QuadraticTask:
    """Return the task that a robot's table declares."""
    task = QuadraticTask(
        observe=table.texts("observe"),
        steps=table.integer("steps", 1000),
        alive=table.number("alive", 0.0),
        forward=table.numbers_by_name("forward"),
        cost=table.numbers_by_name("cost"),
        target=table.numbers_by_name("target"),
        action_cost=table.number("action_cost", 0.0),
        healthy=table.ranges_by_name("healthy"),
        start_noise=table.number("start_noise", 0.01),
    )
    table.close()
    return task


def _candidate(name: str, table: TomlTable, robots: Mapping[str, Robot], folder: Path) -> Candidate:
    """Return the policy of a table ``[policies.NAME]``."""
    robot_name = table.text("robot")
    if robot_name not in robots:
        raise StudyError(f"{table.place}: " + unknown_name("robot", robot_name, robots))
    robot = robots[robot_name]
    randomization = table.text("randomization", "none")
    if randomization not in robot.randomizations:
        raise StudyError(f"{table.place}: " + unknown_name("randomization", randomization, robot.randomizations))
    members = table.integer("members", 1 if randomization == "none" else 8)
    if randomization == "none" and members != 1:
        raise StudyError(f"{table.place}: without randomization all worlds are the same; leave members out")
    own = table.table("training")
    training = _training(TomlTable({"steps": robot.steps, **robot.training, **own.values}, own.place, StudyError))
    weights = table.optional_text("weights")
    if weights is not None and own.values:
        raise StudyError(f"{table.place}: weights are deployed as they are; leave either weights or training out")
    table.close()
    return Candidate(
        name,
        robot,
        robot.randomizations[randomization],
        members,
        training,
        None if weights is None else _weights(folder / weights, robot.world, table.place),
    )


def _weights(path: Path, world: World, place: str) -> Weights:
    """Return a saved policy, which must fit the world."""
    if path.suffix.lower() == ".zip":
        raise PolicyError(
            f"{place}: {path}: a zip of Stable-Baselines3 holds pickles, which can run any code, and a study opens "
            "none; export its policy to ONNX"
        )
    try:
        return Weights(load_policy(path, world=world), path.read_bytes(), path.suffix.lower())
    except PolicyError as error:
        raise PolicyError(f"{place}: {error}") from None


def _training(table: TomlTable) -> RandomSearch:
    """Return the settings of a table ``[training]``."""
    default = RandomSearch()
    try:
        settings = RandomSearch(
            iterations=table.integer("iterations", default.iterations),
            directions=table.integer("directions", default.directions),
            top=table.integer("top", default.top),
            step_size=table.number("step_size", default.step_size, above=0.0),
            noise=table.number("noise", default.noise, above=0.0),
            steps=table.integer("steps", default.steps),
            reward_shift=table.number("reward_shift", default.reward_shift),
        )
    except PolicyError as error:
        raise StudyError(f"{table.place}: {error}") from None
    table.close()
    return settings


def generator(seed: int, purpose: str, name: str) -> np.random.Generator:
    """Return the random stream of a purpose and a name, so that adding a policy changes no other."""
    label = hashlib.sha256(f"{purpose}:{name}".encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(label[:8], "little")])
