"""Noise models and random latency in a study: read, run twice to the same bytes, refused with their place."""

from __future__ import annotations

import pytest

from sim2real_cat.errors import StudyError, WorldError
from sim2real_cat.study.description import read_description
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
