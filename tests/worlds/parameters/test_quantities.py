"""Parameters in words mean what the brackets mean."""

from __future__ import annotations

import pytest
from everything import everything

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.parameters.fields import QUANTITIES, resolve, split
from sim2real_cat.worlds.parameters.physical import TOGETHER, targets

MODEL = everything()


@pytest.mark.parametrize(
    ("words", "brackets"),
    [
        ("joint damping of left shoulder", "dof_damping[left shoulder]"),
        ("joint damping of * shoulder", "dof_damping[* shoulder]"),
        ("joint damping", "dof_damping"),
        (" joint zero position of left shoulder ", "qpos0[left shoulder]"),
        ("joint upper limit of left shoulder", "jnt_range[left shoulder, 1]"),
        ("geom friction of floor", "geom_friction[floor]"),
        ("geom sliding friction of left hand", "geom_friction[left hand, 0]"),
        ("body mass of trunk", "body_mass[trunk]"),
        ("body centre of mass of trunk", "body_ipos[trunk]"),
        ("actuator gain of hold", "actuator_gainprm[hold, 0]"),
        ("actuator gear", "actuator_gear[:, 0]"),
        ("tendon friction loss of cord", "tendon_frictionloss[cord]"),
    ],
)
def test_words_are_brackets(words, brackets):
    assert resolve(MODEL, words) == resolve(MODEL, brackets)


def test_a_name_in_words_may_hold_what_brackets_cannot():
    assert split("joint damping of a, b") == ("dof_damping", ["a, b"])
    assert split("joint damping of head of state") == ("dof_damping", ["head of state"])
    assert split("sensor bias of pole angle") == ("observation_bias", ["pole angle"])


@pytest.mark.parametrize(("kind", "quantity"), [(kind, q) for kind in QUANTITIES for q in QUANTITIES[kind]])
def test_every_quantity_is_there(kind, quantity):
    if kind != "sensor":
        mode = "scale" if QUANTITIES[kind][quantity][0] in TOGETHER else "shift"
        rows = {"joint": "left shoulder", "body": "trunk", "geom": "hull", "actuator": "hold", "tendon": "cord"}
        target = targets(MODEL, f"{kind} {quantity} of {rows.get(kind, 'imu')}", mode)
        assert all(field.elements for field in target)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("joint dampign of left shoulder", "unknown quantity of a joint 'dampign': did you mean 'damping'"),
        ("joitn damping", "unknown object 'joitn': did you mean 'joint'"),
        ("joint damping of shoulder", "unknown joint 'shoulder': did you mean 'left shoulder'"),
        ("body friction of trunk", "unknown quantity of a body 'friction'.*Valid: mass, inertia"),
        ("Joint damping", "is no parameter"),
        ("joint damping of", "unknown quantity of a joint 'damping of'"),
    ],
)
def test_words_that_mean_nothing(words, message):
    with pytest.raises(WorldError, match=message) as caught:
        resolve(MODEL, words)
    assert str(caught.value).startswith(f"'{words}'")
    assert "\n" not in str(caught.value)
