"""What no world can be made of, and what cannot be played in one, is refused in one line."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv
from rig import Constant, equal
from stair import Stair, climb, stairs

from sim2real_cat.errors import PolicyError, WorldError
from sim2real_cat.policies.files import load_policy
from sim2real_cat.policies.policy import LinearPolicy
from sim2real_cat.training.random_search import RandomSearch, train
from sim2real_cat.worlds.external.gymnasium import GymnasiumWorld
from sim2real_cat.worlds.sensors.noise import EpisodeBias, GaussianNoise
from sim2real_cat.worlds.simulation.prediction import predict_steps
from sim2real_cat.worlds.simulation.replay import replay
from sim2real_cat.worlds.simulation.rollout import rollout, rollout_to_parquet


def test_spaces_that_are_no_columns():
    box = gymnasium.spaces.Box(0, 1, (2,))
    for space, name in ((gymnasium.spaces.Dict(a=box), "Dict"), (gymnasium.spaces.Tuple([box]), "Tuple")):
        with pytest.raises(WorldError, match=rf"observation space {name}\(.*need a Box: wrap .*FlattenObservation"):
            GymnasiumWorld(lambda space=space: Stair(observation=space), name="stair", control_period=1.0)
        with pytest.raises(
            WorldError, match=rf"'stair' has the action space {name}\(.*needs a Box or a Discrete space"
        ):
            GymnasiumWorld(lambda space=space: Stair(action=space), name="stair", control_period=1.0)


def test_a_flattened_dictionary_is_fine():
    class Sighted(Stair):
        def _seen(self):
            return {"where": super()._seen(), "blind": np.zeros(1)}

    spaces = {
        "where": gymnasium.spaces.Box(-9, 9, (2,), np.float64),
        "blind": gymnasium.spaces.Box(0, 1, (1,), np.float64),
    }
    world = GymnasiumWorld(
        lambda: gymnasium.wrappers.FlattenObservation(Sighted(observation=gymnasium.spaces.Dict(spaces))),
        control_period=0.1,
        steps=2,
    )
    assert world.name == "Sighted"
    assert climb(world).observations.shape == (4, 3, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ("CartPoll-v1", r"world 'CartPoll-v1' cannot be made: NameNotFound: .*CartPoll.*Did you mean: `CartPole`"),
        ("CartPole-v99", r"cannot be made: VersionNotFound: "),
        ("no_such_module:Env-v0", r"cannot be made: ModuleNotFoundError: .*no_such_module"),
        (lambda: 1 / 0, r"cannot be made: ZeroDivisionError"),
        (lambda: 3, r"the function made a int, which is neither a gymnasium.Env nor"),
        (Stair(), r"needs a function that makes an environment, .*got a Stair; write lambda"),
    ],
)
def test_environments_that_do_not_exist(make, message):
    with pytest.raises(WorldError, match=message) as caught:
        GymnasiumWorld(make)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sensors": ["height"]}, "world 'stair' has 2 sensors, got 1 names: height"),
        ({"sensors": ["height", "height"]}, "sensor names are taken twice: height"),
        ({"actuators": ["a", "b", "c"]}, "has 2 actuators, got 3 names: a, b, c"),
        ({"noise": {"observation[2]": 1.0}}, r"unknown sensor 'observation\[2\]': did you mean 'observation"),
        ({"noise": -1.0}, r"sensor '\*': needs to be >= 0, got -1.0"),
        ({"noise": [GaussianNoise(0.1)]}, r"'stair', sensor '\*': another simulator takes one .* got \[GaussianNoise"),
        (
            {"noise": EpisodeBias(0.1)},
            r"one standard deviation per sensor, got EpisodeBias\(deviation=0.1\); noise mod",
        ),
        ({"noise": "loud"}, r"sensor '\*': another simulator takes one standard deviation per sensor, got 'loud'"),
        ({"noise": {"observation[1]": "0.1"}}, r"sensor 'observation\[1\]': another simulator takes one .* got '0.1'"),
        ({"noise": {"*": None}}, "one standard deviation per sensor, got None"),
        ({"control_period": 0.0}, "the control period needs to be > 0 seconds, got 0.0"),
        ({"control_period": None}, "does not say how long a step takes: give its control_period"),
        ({"environments": 0}, "needs at least one environment, got 0"),
        ({"configure": print}, "parameters and configure go together; give parameters with their nominal values"),
        ({"parameters": {"m": 1.0}}, "parameters and configure go together; give a function configure as well"),
        ({"parameters": {"m": np.nan}, "configure": print}, "'m': needs a finite nominal value, got nan"),
    ],
)
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(WorldError, match=message):
        stairs(**settings)


def test_gaussian_noise_is_its_deviation():
    assert stairs(noise=GaussianNoise(0.5)).deviations().tolist() == [0.5, 0.5]
    assert stairs(noise={"*": 1, "observation[0]": GaussianNoise(0.5)}).deviations().tolist() == [0.5, 1.0]


@pytest.mark.parametrize("missing", ["observation_space", "action_space"])
def test_an_environment_without_a_space(missing):
    class Spaceless(Stair):
        def __init__(self):
            super().__init__()
            delattr(self, missing)

    with pytest.raises(WorldError, match=rf"its environment, a Spaceless, has no {missing}; set self.{missing} = gym"):
        GymnasiumWorld(Spaceless, control_period=0.1)


def test_one_environment_is_no_two_lanes():
    one = Stair()
    for make in (lambda: one, lambda: gymnasium.wrappers.ClipAction(one)):
        world = GymnasiumWorld(make, name="stair", control_period=0.1, steps=2)
        with pytest.raises(
            WorldError, match=r"'stair': the function that makes an environment gave the same one twice"
        ):
            climb(world)
        alone = GymnasiumWorld(make, name="stair", control_period=0.1, steps=2, environments=1)
        assert equal(climb(alone), climb(stairs(steps=2)))
    several = GymnasiumWorld(lambda: SyncVectorEnv([lambda: one] * 2), name="stair", control_period=0.1, steps=2)
    with pytest.raises(WorldError, match="gave the same one twice"):
        climb(several)


@pytest.mark.parametrize(
    ("world", "settings", "message"),
    [
        ({"steps": None}, {}, "has no time limit of its own: say how many steps"),
        ({}, {"episodes": 0}, "at least one episode and one step, got 0 and 6"),
        ({}, {"steps": 0}, "got 4 and 0"),
        ({}, {"until_terminated": False}, "until_terminated must be true"),
    ],
)
def test_rollouts_that_cannot_be(world, settings, message):
    with pytest.raises(WorldError, match=message):
        climb(stairs(**world), **settings)


@pytest.mark.parametrize(
    ("make", "answer", "message"),
    [
        (None, (1.0,), r"'stair' expects actions of shape \(4, 2\), the policy answered \(4, 1\)"),
        ("CartPole-v1", (1.0,) * 3, r"expects actions of shape \(4, 1\) or \(4, 2\), the policy answered \(4, 3\)"),
        (None, (0.0, np.nan), "answered nan in column 1 in episode 0, control step 0, of world 'stair'; check its"),
    ],
)
def test_policies_that_do_not_fit(make, answer, message):
    with pytest.raises(PolicyError, match=message):
        climb(stairs() if make is None else GymnasiumWorld(make), answer)


def linear(nu, d):
    return LinearPolicy(np.zeros((nu, d)), np.zeros(d), np.ones(d))


@pytest.mark.parametrize(
    ("make", "policy", "message"),
    [
        (None, linear(2, 3), r"reads 3 observations and answers 2 actions, but world 'stair' has 2 sensors \(obs"),
        (None, linear(3, 2), r"and 2 actuators \(action\[0\], action\[1\]\)$"),
        ("CartPole-v1", linear(3, 4), r"1 actuators \(choice\), for which it takes 2 scores too$"),
    ],
)
def test_policies_of_other_widths_are_refused_before_anything_runs(make, policy, message, tmp_path):
    world = stairs() if make is None else GymnasiumWorld(make)
    with pytest.raises(PolicyError, match=message):
        rollout(world, policy, rng=0, steps=2)
    policy.save(tmp_path / "policy.npz")
    with pytest.raises(PolicyError, match=rf"policy\.npz: .*{message}"):
        load_policy(tmp_path / "policy.npz", world=world)


@pytest.mark.parametrize("nu", [1, 2])
def test_a_policy_is_loaded_for_a_choice_or_for_scores(nu, tmp_path):
    linear(nu, 4).save(tmp_path / "policy.npz")
    world = GymnasiumWorld("CartPole-v1")
    policy = load_policy(tmp_path / "policy.npz", world=world)
    assert rollout(world, policy, rng=0, steps=2).actions.shape == (1, 2, 1)


def test_whole_numbers_for_a_box_of_integers():
    space = gymnasium.spaces.Box(0, 5, (1,), np.int32)
    world = GymnasiumWorld(lambda: Stair(action=space), name="stair", control_period=0.1, steps=2)
    assert climb(world, (2.0,)).observations[0, :, 0].tolist() == [0.0, 2.0, 4.0]
    with pytest.raises(PolicyError, match=r"answered 0.5 for 'action\[0\]' in episode 0, .*whole numbers \(int32\)"):
        climb(world, (0.5,))


def test_a_vector_with_one_seed_for_all_is_refused():
    world = GymnasiumWorld(lambda: gymnasium.make_vec("CartPole-v1", 3, vectorization_mode="vector_entry_point"))
    with pytest.raises(WorldError, match=r"VectorEnv failed in reset .* it must take a list of seeds"):
        climb(world, (1.0,))


def test_a_vector_that_does_not_say_how_episodes_end_is_refused():
    def make():
        environments = SyncVectorEnv([lambda: Stair()] * 2)
        del environments.metadata["autoreset_mode"]
        return environments

    with pytest.raises(WorldError, match="its VectorEnv has no metadata 'autoreset_mode'"):
        climb(GymnasiumWorld(make, name="stairs", control_period=0.1, steps=2))


def test_what_needs_a_model_is_refused(rig, tmp_path):
    world, policy = stairs(), Constant(np.zeros(2))
    recorded = rollout(rig, policy, rng=0, steps=2)
    for ask in (
        lambda: train(world, RandomSearch(), rng=0),
        lambda: replay(world, recorded),
        lambda: predict_steps(world, recorded),
        lambda: rollout_to_parquet(tmp_path / "log.parquet", world, policy, rng=0),
    ):
        with pytest.raises(WorldError, match=r"^world 'stair.*' is computed by another simulator and can only be"):
            ask()
    assert not list(tmp_path.glob("*.parquet"))
