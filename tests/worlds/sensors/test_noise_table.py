from __future__ import annotations

import tomllib

import pytest

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.sensors.noise import (
    Drift,
    Dropout,
    EpisodeBias,
    GaussianNoise,
    NoiseChain,
    Quantisation,
    UniformNoise,
    noise_from_table,
)
from sim2real_cat.worlds.world import World


def read(text):
    return noise_from_table(tomllib.loads(f"noise = {text}")["noise"], "[robots.arm.noise]")


def test_every_model_has_a_name():
    chains = read(
        "{ a = { gaussian = 0.1 }, b = { uniform = 1 }, c = { bias = 0.2 }, d = { dropout = 0.5 }, "
        "e = { drift = { deviation = 0.1, time_constant = 5 } }, f = { quantisation = { step = 0.5 } } }"
    )
    models = [GaussianNoise(0.1), UniformNoise(1.0), EpisodeBias(0.2), Dropout(0.5), Drift(0.1, 5.0), Quantisation(0.5)]
    assert list(chains.values()) == [NoiseChain((model,)) for model in models]


def test_several_make_a_list_and_a_number_stays_one():
    chains = read('{ "*" = 0.01, hinge = [0.02, { quantisation = 0.001 }] }')
    assert chains == {"*": 0.01, "hinge": NoiseChain((GaussianNoise(0.02), Quantisation(0.001)))}


def test_without_a_table_it_is_for_all_sensors():
    assert read("0.5") == {"*": 0.5}
    assert read("[0.5, { bias = 0.1 }]") == {"*": NoiseChain((GaussianNoise(0.5), EpisodeBias(0.1)))}


def test_a_world_takes_it():
    world = World.gymnasium(
        "InvertedPendulum", read('{ "*" = 0.01, "pole angle" = [{ gaussian = 0.02 }, { bias = 1 }] }')
    )
    assert world.deviations().tolist() == [0.01, 0.02, 0.01, 0.01]
    assert world.noise_chains()[1] == NoiseChain((GaussianNoise(0.02), EpisodeBias(1.0)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{ a = { gausian = 0.1 } }", " 'a': unknown noise model 'gausian': did you mean 'gaussian'"),
        ('{ a = { gaussian = "x" } }', " 'a', 'gaussian': deviation needs to be a number, got 'x'"),
        ("{ a = { gaussian = true } }", " 'a', 'gaussian': deviation needs to be a number, got True"),
        ("{ a = { gaussian = nan } }", " 'a', 'gaussian': deviation needs to be a finite number, got nan"),
        ("{ a = { gaussian = -1 } }", " 'a', 'gaussian': deviation of GaussianNoise: needs to be >= 0, got -1.0"),
        ("{ a = { drift = 0.1 } }", " 'a': needs to be { drift = { deviation = ..., time_constant = ... } }, got"),
        ("{ a = { drift = { deviation = 0.1 } } }", " 'a', 'drift': time_constant is missing"),
        ("{ a = { drift = { deviation = 1, tau = 1 } } }", " 'a', 'drift': unknown key 'tau'"),
        ("{ a = { gaussian = 1, bias = 1 } }", " 'a': needs to be one model, one of gaussian"),
        ("{ a = {} }", " 'a': needs to be one model"),
        (
            '{ a = "much" }',
            " 'a': needs to be a finite number, or a model such as { gaussian = 0.1 }, or a list of",
        ),
        ("{ a = [[0.1]] }", " 'a': needs to be a finite number, or a model"),
        ("[-0.5]", ": needs to be >= 0, got -0.5"),
    ],
)
def test_tables_that_say_no_noise(text, message):
    with pytest.raises(WorldError) as caught:
        read(text)
    assert str(caught.value).startswith(f"[robots.arm.noise]{message}")
    assert "\n" not in str(caught.value)
