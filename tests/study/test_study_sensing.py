"""Noise models and random latency in a study: read, run twice to the same bytes, refused with their place."""

from __future__ import annotations

import pytest

from sim2real_cat.errors import StudyError, WorldError
from sim2real_cat.study.description import read_description
from sim2real_cat.study.folder import recompute_gaps
from sim2real_cat.worlds.sensors.noise import Drift, GaussianNoise, NoiseChain, Quantisation

NOISE = {
    "*": [{"gaussian": 0.01}, {"drift": {"deviation": 0.02, "time_constant": 0.5}}],
    "qvel[rail]": [0.05, {"quantisation": 0.001}],
}


def test_models_are_read_by_sensor(cart_document, write_study):
    cart_document["robots"]["cart"]["noise"] = NOISE
    world = read_description(write_study(cart_document)).candidates[0].robot.world
    assert world.noise_chains() == (
        NoiseChain((GaussianNoise(0.01), Drift(0.02, 0.5))),
        NoiseChain((GaussianNoise(0.05), Quantisation(0.001))),
    )


def test_a_list_is_for_all_sensors(cart_document, write_study):
    cart_document["robots"]["cart"]["noise"] = [0.1, {"quantisation": 0.5}]
    world = read_description(write_study(cart_document)).candidates[0].robot.world
    assert world.noise_chains() == (NoiseChain((GaussianNoise(0.1), Quantisation(0.5))),) * 2


def test_a_study_of_a_noisy_and_unreliable_robot_runs_to_the_same_bytes(cart_document, run):
    cart = cart_document["robots"]["cart"]
    cart["noise"] = NOISE
    cart["task"]["observe"] = ["qpos[rail]", "qvel[rail]", "sensordata[encoder]"]
    cart["reality"] |= {"action_drop": {"set": 0.2}, "observation_delay[qpos[rail]]": {"set": 0.02}}
    cart["randomizations"]["wide"] |= {"action_jitter": {"set": [0.0, 0.02]}, "sensor_delay": {"set": [0.0, 0.03]}}
    (one, _), (two, result) = run(cart_document, "one"), run(cart_document, "two", threads=2)
    for name in ("instance.json", "events.parquet", "trajectories/sim_two.parquet", "trajectories/real_cart.parquet"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    again, _ = run(result.description.source, "again")
    assert (again / "instance.json").read_bytes() == (one / "instance.json").read_bytes()


def test_a_study_of_a_faulty_robot_measures_its_gap(cart_document, run):
    """Faults of the robot, of its loop too, and flags among the worlds that trained."""
    cart = cart_document["robots"]["cart"]
    cart["noise"] = 0.05
    cart["reality"] |= {
        "observation_gain[qpos[rail]]": {"set": 1.5},
        "action_backlash": {"set": 0.1},
        "joint_load_friction[rail]": {"set": 0.2},
        "control_period": {"scale": 2.0},
    }
    cart["randomizations"]["wide"] |= {
        "observation_swap[qpos[rail], qvel[rail]]": {"set": [0, 1], "distribution": "discrete"},
        "action_gain": {"set": [0.8, 1.2]},
        "joint_stribeck[rail]": {"set": [0.0, 0.1]},
    }
    folder, result = run(cart_document, "faulty")
    notes = result.instance.along(["gap_note", "kl_gap"])
    assert not any("control period" in str(note) for note in notes["gap_note"])
    assert all(gap > 0 for gap in notes["kl_gap"])
    recompute = recompute_gaps(folder, threads=1)
    law = result.instance.check(0.5, ["gap-recomputes"], recompute=recompute)["gap-recomputes"]
    assert law.verdict == "holds"


@pytest.mark.parametrize(
    ("noise", "error", "parts"),
    [
        ({"*": {"gausian": 0.1}}, StudyError, ["[robots.cart.noise] '*': unknown noise model 'gausian'"]),
        (
            [{"dropout": 2.0}],
            StudyError,
            ["[robots.cart.noise] 'dropout': probability of Dropout: needs to be <= 1"],
        ),
        ({"qpos[rial]": [{"bias": 0.1}]}, WorldError, ["[robots.cart]", "unknown sensor 'qpos[rial]'"]),
        ({"*": -1.0}, WorldError, ["[robots.cart]", "sensor '*': needs to be >= 0, got -1.0"]),
    ],
)
def test_noise_that_is_none_says_where(cart_document, write_study, refused, noise, error, parts):
    cart_document["robots"]["cart"]["noise"] = noise
    with refused(error, *parts):
        read_description(write_study(cart_document))
