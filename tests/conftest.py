"""What tests of several floors share: errors of one line, small instances, and one tiny study that was run."""

from __future__ import annotations

import os
import re
import tomllib

import pytest
import tomli_w
from hypothesis import HealthCheck, settings
from julia_stand_in import standing_in

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.study.study import Study
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.schema import SchTransferStudy

TINY = """
[study]
name = "tiny"
seed = 3
real_episodes = 4
sim_episodes = 2

[robots.pendulum]
world = "InvertedPendulum"
steps = 30
noise = 0.01
[robots.pendulum.reality]
"body_inertial[pole]" = { scale = 1.4 }
"actuator_delay" = { set = 0.02 }
[robots.pendulum.randomizations.wide]
"body_inertial[pole]" = { scale = [0.7, 1.6] }
[robots.pendulum.training]
iterations = 2
directions = 4

[policies.plain]
robot = "pendulum"
[policies.wide]
robot = "pendulum"
randomization = "wide"
members = 3
"""


settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", settings.get_profile("ci"), derandomize=False, max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
"""``HYPOTHESIS_PROFILE=nightly`` (or ``pytest --hypothesis-profile=nightly``) takes 10^4 new examples for each property
that does not say how many it needs; otherwise there are 100, the same ones every time."""

STAND_IN = "catlab over a stand-in"
CATLAB = [STAND_IN, pytest.param("catlab", marks=pytest.mark.catlab)]
"""The Catlab engine twice: its Python half over a stand-in for Julia, everywhere, and all of it where Julia is."""


def pytest_runtest_setup(item):
    """Tests that need Julia run where it is there, and say why they do not elsewhere."""
    if item.get_closest_marker("catlab") is not None:
        reason = julia.missing()
        if reason is not None:
            pytest.skip(reason)


@pytest.fixture(autouse=True)
def julia_or_its_stand_in(request, monkeypatch):
    """Only while a test asks for it is the stand-in Julia."""
    asked = getattr(request.node, "callspec", None)
    if asked is not None and any(isinstance(value, str) and value == STAND_IN for value in asked.params.values()):
        monkeypatch.setattr(julia, "_worker", standing_in())


@pytest.fixture(params=["embedded", *CATLAB], scope="session")
def engine(request):
    """Each engine by its name."""
    return "catlab" if request.param == STAND_IN else request.param


@pytest.fixture(params=CATLAB, scope="session")
def catlab_engine(request):
    """The name of the Catlab engine, over the stand-in and over Julia."""
    return "catlab"


@pytest.fixture(scope="session")
def refused():
    """Expect an error whose message is one line and contains all the parts."""

    def expect(error, *parts):
        wanted = "".join(f"(?=.*{re.escape(str(part))})" for part in parts)
        return pytest.raises(error, match=rf"\A{wanted}[^\n]*\Z")

    return expect


@pytest.fixture(scope="session")
def make_instance():
    """An instance of the study's schema from one dictionary of attributes and arrows for each policy."""

    def make(*policies, robots=1):
        acset = ACSet(SchTransferStudy)
        acset.add_parts("Observation", robots + 1, observation_name=[f"seen {i}" for i in range(robots + 1)])
        acset.add_parts("RealEnv", robots, real_name=[f"robot{i}" for i in range(robots)], observe_real=range(robots))
        acset.add_parts("Policy", len(policies))
        for policy, row in enumerate(policies):
            acset.set("Policy", policy, **{"deploy": 0, "policy_name": f"policy{policy}"} | row)
            acset.add("SimEnv", sim_name=f"policy{policy}/0", train=policy, observe_sim=robots, sim_weight=1.0)
        return TransferInstance(acset)

    return make


@pytest.fixture
def tiny_document():
    """The tiny study as a TOML document of its own for every test."""
    return tomllib.loads(TINY)


@pytest.fixture
def write_study(tmp_path):
    """Write a TOML document to a file and return its path."""

    def write(document, name="described.toml"):
        path = tmp_path / name
        path.write_text(tomli_w.dumps(document), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """The folder and the result of the tiny study, run once for all tests that only read."""
    home = tmp_path_factory.mktemp("tiny")
    (home / "described.toml").write_text(TINY, encoding="utf-8")
    result = Study.from_toml(home / "described.toml").run(home / "out", threads=1)
    return home / "out", result
