"""Every wrong entry of a description is refused in one line that names file, table, key and remedy."""

from __future__ import annotations

from enum import Enum

import numpy as np
import pytest

from sim2real_cat.errors import PolicyError, StudyError, WorldError
from sim2real_cat.policies.policy import LinearPolicy
from sim2real_cat.study.description import read_description
from sim2real_cat.study.study import Study


class Missing(Enum):
    """A value whose name in a test's id is the same in every process."""

    KEY = "key"


GONE = Missing.KEY
ROBOT = ("robots", "pendulum")


def change(document, keys, value):
    """Set or remove an entry of nested tables."""
    *outer, last = keys
    for key in outer:
        document = document.setdefault(key, {})
    if value is GONE:
        del document[last]
    else:
        document[last] = value


def refusals(error, *rows):
    return [
        pytest.param(keys, value, error, parts, id=f"{'.'.join(keys)}={value!r}"[:60]) for keys, value, parts in rows
    ]


@pytest.mark.parametrize(
    ("keys", "value", "error", "parts"),
    [
        *refusals(
            StudyError,
            # unknown keys, in each table
            (["polices"], {}, ["unknown key 'polices'", "did you mean 'policies'?", "robots, study, versions"]),
            (["study", "sed"], 1, ["[study]", "unknown key 'sed'", "did you mean 'seed'?", "real_episodes"]),
            ([*ROBOT, "wrld"], "x", ["[robots.pendulum]", "unknown key 'wrld'", "did you mean 'world'?", "xml"]),
            ([*ROBOT, "task"], {}, ["[robots.pendulum]", "unknown key 'task'"]),
            ([*ROBOT, "control_period"], 0.1, ["[robots.pendulum]", "unknown key 'control_period'"]),
            ([*ROBOT, "training", "iters"], 3, ["[robots.pendulum.training]", "unknown key 'iters'", "iterations"]),
            (["policies", "wide", "member"], 3, ["[policies.wide]", "unknown key 'member'", "mean 'members'?"]),
            (["policies", "wide", "training"], {"tops": 3}, ["[policies.wide.training]", "unknown key 'tops'", "top"]),
            # unknown names
            (["policies", "plain", "robot"], "pendlum", ["[policies.plain]", "unknown robot", "mean 'pendulum'?"]),
            (
                ["policies", "plain", "randomization"],
                "wid",
                ["[policies.plain]", "unknown randomization", "none, wide"],
            ),
            (["study", "method"], "gauss", ["[study]", "unknown method 'gauss'", "auto, predictive, gaussian, knn"]),
            # missing
            (["study"], GONE, ["[study]", "name is missing"]),
            (["study", "name"], GONE, ["[study]", "name is missing"]),
            (["robots"], GONE, ["the study has no robot", "[robots.NAME]"]),
            (["policies"], GONE, ["the study has no policy", "[policies.NAME]"]),
            (["policies", "plain", "robot"], GONE, ["[policies.plain]", "robot is missing"]),
            ([*ROBOT, "world"], GONE, ["[robots.pendulum]", "give either world", "InvertedPendulum", "or xml"]),
            ([*ROBOT, "xml"], "a.xml", ["[robots.pendulum]", "give either world"]),
            # wrong types
            (["study"], 3, ["[study]", "needs to be a table, got 3"]),
            (["robots"], [], ["[robots]", "needs to be a table"]),
            (["robots", "pendulum"], "Hopper", ["[robots.pendulum]", "needs to be a table, got 'Hopper'"]),
            (["policies", "plain"], 1, ["[policies.plain]", "needs to be a table"]),
            (["study", "name"], 5, ["[study]", "name needs to be a text, got 5"]),
            (["study", "name"], "", ["[study]", "name needs to be a text, got ''"]),
            (["study", "seed"], "one", ["[study]", "seed needs to be a whole number >= 0, got 'one'"]),
            (["study", "seed"], True, ["[study]", "seed needs to be a whole number"]),
            (["study", "seed"], 1.0, ["[study]", "seed needs to be a whole number"]),
            (["study", "epsilon"], "0.1", ["[study]", "epsilon needs to be a number > 0"]),
            ([*ROBOT, "world"], 1, ["[robots.pendulum]", "world needs to be a text"]),
            ([*ROBOT, "steps"], 1.5, ["[robots.pendulum]", "steps needs to be a whole number >= 1"]),
            ([*ROBOT, "noise"], "much", ["[robots.pendulum]", "noise needs to be a number, got 'much'"]),
            (
                [*ROBOT, "noise"],
                {"*": "much"},
                ["[robots.pendulum.noise]", "'*': needs to be a finite number, or a"],
            ),
            ([*ROBOT, "reality"], 1.3, ["[robots.pendulum.reality]", "needs to be a table"]),
            ([*ROBOT, "randomizations"], [], ["[robots.pendulum.randomizations]", "needs to be a table"]),
            ([*ROBOT, "randomizations", "wide"], 2, ["[robots.pendulum.randomizations.wide]", "needs to be a table"]),
            ([*ROBOT, "training"], 2, ["[robots.pendulum.training]", "needs to be a table"]),
            ([*ROBOT, "training", "noise"], "a", ["[robots.pendulum.training]", "noise needs to be a number > 0"]),
            (["policies", "wide", "members"], "3", ["[policies.wide]", "members needs to be a whole number >= 1"]),
            (["policies", "plain", "weights"], 1, ["[policies.plain]", "weights needs to be a text"]),
            # out of range
            (["study", "seed"], -1, ["[study]", "seed needs to be a whole number >= 0, got -1"]),
            (["study", "epsilon"], 0.0, ["[study]", "epsilon needs to be a number > 0, got 0.0"]),
            (["study", "epsilon"], float("nan"), ["[study]", "epsilon needs to be a finite number > 0, got nan"]),
            (["study", "epsilon"], float("inf"), ["[study]", "epsilon needs to be a finite number > 0, got inf"]),
            (["study", "epsilon"], 10**400, ["[study]", "epsilon needs to be a number > 0"]),
            (["study", "confidence"], 1.0, ["[study]", "confidence needs to be under 1, got 1"]),
            (["study", "confidence"], 0, ["[study]", "confidence needs to be a number > 0"]),
            (["study", "real_episodes"], 1, ["[study]", "real_episodes needs to be a whole number >= 2"]),
            (["study", "sim_episodes"], 0, ["[study]", "sim_episodes needs to be a whole number >= 2"]),
            ([*ROBOT, "steps"], 0, ["[robots.pendulum]", "steps needs to be a whole number >= 1, got 0"]),
            ([*ROBOT, "training", "top"], 5, ["[robots.pendulum.training]", "top 5 of 4 directions"]),
            (
                [*ROBOT, "training", "step_size"],
                0,
                ["[robots.pendulum.training]", "step_size needs to be a number > 0"],
            ),
            (["policies", "wide", "training"], {"directions": 3}, ["[policies.wide.training]", "top 4 of 3"]),
            (["policies", "wide", "members"], 0, ["[policies.wide]", "members needs to be a whole number >= 1"]),
            # contradictory
            (["policies", "plain", "members"], 4, ["[policies.plain]", "without randomization", "leave members out"]),
            ([*ROBOT, "randomizations", "none"], {}, ["[robots.pendulum.randomizations.none]", "choose another"]),
            (["policies", "pendulum"], {"robot": "pendulum"}, ["pendulum names both a robot and a policy"]),
            (["policies", "a/b"], {"robot": "pendulum"}, ["the name 'a/b'", "letters, digits"]),
            (["policies", "../x"], {"robot": "pendulum"}, ["the name '../x'", "letters, digits"]),
            (["policies", ""], {"robot": "pendulum"}, ["the name ''"]),
            (["robots", "a b"], {"world": "Hopper"}, ["the name 'a b'", "letters, digits"]),
            (["study", "name"], "../up", ["[study]", "the name '../up'", "letters, digits"]),
        ),
        *refusals(
            WorldError,
            ([*ROBOT, "world"], "Hoper", ["[robots.pendulum]", "unknown Gymnasium world 'Hoper'", "Hopper"]),
            ([*ROBOT, "noise"], {"pole angel": 0.1}, ["[robots.pendulum]", "sensor 'pole angel'", "pole angle"]),
            ([*ROBOT, "noise"], -0.1, ["[robots.pendulum]", "needs to be >= 0, got -0.1"]),
            ([*ROBOT, "reality", "body_mass[pol]"], {"scale": 2.0}, ["[robots.pendulum.reality]", "pol", "pole"]),
            ([*ROBOT, "reality", "body_mas[pole]"], {"scale": 2.0}, ["[robots.pendulum.reality]", "body_mass"]),
            (
                [*ROBOT, "reality", "body_mass[pole]"],
                {"scale": [1, 2]},
                ["[robots.pendulum.reality]", "scale needs to be a number"],
            ),
            ([*ROBOT, "reality", "body_mass[pole]"], {"scael": 2.0}, ["[robots.pendulum.reality]", "exactly one of"]),
            ([*ROBOT, "reality", "body_mass[pole]"], {"scale": -1.0}, ["[robots.pendulum.reality]", "negative"]),
            ([*ROBOT, "reality", "dof_damping[hing]"], {"scale": 2.0}, ["[robots.pendulum.reality]", "hing"]),
            (
                [*ROBOT, "reality", "observation_bias[pole angel]"],
                {"set": 0.1},
                ["[robots.pendulum.reality]", "unknown sensor 'pole angel'", "pole angle"],
            ),
            (
                [*ROBOT, "randomizations", "wide", "body_mass[pol]"],
                {"scale": [0.9, 1.1]},
                ["[robots.pendulum.randomizations.wide]", "pole"],
            ),
            (
                [*ROBOT, "randomizations", "wide", "body_mass[pole]"],
                {"scale": [1.1, 0.9]},
                ["[robots.pendulum.randomizations.wide]", "'body_mass[pole]'", "low <= high"],
            ),
            (
                [*ROBOT, "randomizations", "wide", "body_mass[pole]"],
                {"scale": 1.1},
                ["[robots.pendulum.randomizations.wide]", "scale needs to be two finite numbers"],
            ),
            (
                [*ROBOT, "randomizations", "wide", "body_mass[pole]"],
                {"scale": [0.9, 1.1], "distribution": "unifrom"},
                ["[robots.pendulum.randomizations.wide]", "unknown distribution", "did you mean 'uniform'?"],
            ),
        ),
    ],
)
def test_a_wrong_entry_is_named(tiny_document, write_study, refused, keys, value, error, parts):
    change(tiny_document, keys, value)
    path = write_study(tiny_document)
    with refused(error, path, *parts):
        read_description(path)


@pytest.mark.parametrize(
    ("keys", "value", "error", "parts"),
    [
        *refusals(
            StudyError,
            (["control_period"], GONE, ["[robots.cart]", "control_period is missing"]),
            (["control_period"], 0, ["[robots.cart]", "control_period needs to be a number > 0"]),
            (["task", "observe"], GONE, ["[robots.cart.task]", "observe is missing"]),
            (["task", "observe"], "qpos[rail]", ["[robots.cart.task]", "observe needs to be a list of texts"]),
            (["task", "observe"], [1], ["[robots.cart.task]", "observe needs to be a list of texts, got [1]"]),
            (
                ["task", "healthy"],
                {"qpos[rail]": 1.0},
                ["[robots.cart.task.healthy]", "needs to be two finite numbers"],
            ),
            (
                ["task", "healthy"],
                {"qpos[rail]": [0, 1, 2]},
                ["[robots.cart.task.healthy]", "needs to be two finite numbers"],
            ),
            (["task", "cost"], {"qpos[rail]": "a"}, ["[robots.cart.task.cost]", "qpos[rail] needs to be a number"]),
            (["task", "steps"], 0, ["[robots.cart.task]", "steps needs to be a whole number >= 1"]),
            (["task", "allive"], 1.0, ["[robots.cart.task]", "unknown key 'allive'", "did you mean 'alive'?"]),
            (["world"], "Hopper", ["[robots.cart]", "give either world"]),
        ),
        *refusals(
            WorldError,
            (["xml"], "models/none.xml", ["[robots.cart]", "none.xml: no such model file"]),
            (["xml"], "models", ["[robots.cart]", "no such model file"]),
            (["control_period"], 0.015, ["[robots.cart]", "not a whole multiple"]),
            (["task", "observe"], [], ["[robots.cart]", "observes nothing"]),
            (["task", "observe"], ["qpos[rial]"], ["[robots.cart]", "qpos[rial]", "rail"]),
            (["task", "observe"], ["sensordata[x]"], ["[robots.cart]", "no sensor 'x'", "encoder"]),
            (["task", "observe"], ["position"], ["[robots.cart]", "channel 'position'"]),
            (["task", "cost"], {"qvel[wheel]": 1.0}, ["[robots.cart]", "qvel[wheel]", "rail"]),
            (["task", "target"], {"qvel[rail]": 1.0}, ["[robots.cart]", "target 'qvel[rail]' has no cost"]),
            (["task", "healthy"], {"qpos[rail]": [1, 0]}, ["[robots.cart]", "needs low < high"]),
            (["task", "start_noise"], -1.0, ["[robots.cart]", "start_noise >= 0"]),
        ),
    ],
)
def test_a_wrong_entry_of_one_s_own_model_is_named(cart_document, write_study, refused, keys, value, error, parts):
    change(cart_document, ["robots", "cart", *keys], value)
    path = write_study(cart_document)
    with refused(error, path, *parts):
        read_description(path)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"[study\n", ["not valid TOML", "line 1"]),
        (b"a = 1\na = 2\n", ["not valid TOML"]),
        (b"\xff\xfe", ["cannot be read as text"]),
        (b"", ["the study has no robot"]),
        (b"a = " + 6000 * b"9", ["not valid TOML"]),
        (b"a = " + 5000 * b"[", ["not valid TOML"]),
    ],
)
def test_what_is_no_toml_is_refused(tmp_path, refused, content, parts):
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with refused(StudyError, path, *parts):
        Study.from_toml(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path, refused):
    with refused(StudyError, tmp_path / "no.toml", "no such study"):
        Study.from_toml(tmp_path / "no.toml")
    with refused(StudyError, tmp_path, "cannot be read as text"):
        Study.from_toml(str(tmp_path))


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda path: None, ["no such policy file"]),
        (lambda path: path.write_bytes(b"PK"), ["not a policy written by sim2real_cat"]),
        (
            lambda path: LinearPolicy(np.zeros((3, 11)), np.zeros(11), np.ones(11)).save(path),
            ["reads 11 observations and answers 3 actions, but world 'InvertedPendulum' has 4 sensors"],
        ),
    ],
)
def test_weights_that_cannot_be_deployed_are_refused(tiny_document, write_study, tmp_path, refused, make, parts):
    make(tmp_path / "saved.npz")
    tiny_document["policies"]["plain"]["weights"] = "saved.npz"
    path = write_study(tiny_document)
    with refused(PolicyError, f"{path} [policies.plain]", tmp_path / "saved.npz", *parts):
        read_description(path)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "saved.zip",
            ["holds pickles, which can run any code, and a study opens none; export its policy to ONNX"],
        ),
        ("saved.pt", ["a policy is read from", "not from '.pt'"]),
    ],
)
def test_weights_of_other_kinds_are_refused(tiny_document, write_study, tmp_path, refused, name, parts):
    (tmp_path / name).write_bytes(b"PK")
    tiny_document["policies"]["plain"]["weights"] = name
    path = write_study(tiny_document)
    with refused(PolicyError, f"{path} [policies.plain]", tmp_path / name, *parts):
        read_description(path)


def test_weights_are_not_trained(tiny_document, write_study, refused):
    tiny_document["policies"]["plain"] |= {"weights": "saved.npz", "training": {"iterations": 3}}
    with refused(StudyError, "[policies.plain]", "weights are deployed as they are"):
        read_description(write_study(tiny_document))


def test_what_is_read(tiny_document, write_study, tmp_path):
    tiny_document["policies"]["wide"]["training"] = {"iterations": 7, "steps": 11}
    found = read_description(write_study(tiny_document))
    assert (found.name, found.seed, found.method, found.confidence) == ("tiny", 3, "auto", 0.95)
    assert (found.real_episodes, found.sim_episodes, found.folder) == (4, 2, tmp_path)
    plain, wide = found.candidates
    assert (plain.name, plain.members, plain.randomization.changes, plain.weights) == ("plain", 1, {}, None)
    assert (wide.name, wide.members, list(wide.randomization.changes)) == ("wide", 3, ["body_inertial[pole]"])
    assert plain.robot is wide.robot
    assert (plain.robot.steps, plain.robot.world.noise) == (30, {"*": 0.01})
    assert plain.robot.reality.row(0) == {"body_inertial[pole]": 1.4, "actuator_delay": 0.02}
    assert (plain.training.iterations, plain.training.steps, plain.training.directions) == (2, 30, 4)
    assert (wide.training.iterations, wide.training.steps, wide.training.directions) == (7, 11, 4)


def test_the_demo_is_a_valid_study():
    found = Study.demo().description
    assert found.name == "demo"
    assert len(found.candidates) == 6
