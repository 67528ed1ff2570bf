"""The main road: instances of the project's own schemas are built in Catlab, and both engines answer alike."""

from __future__ import annotations

import pytest

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.errors import EngineError
from sim2real_cat.study.study import Study
from sim2real_cat.transfer.build import build_instance
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy


@pytest.fixture
def no_moving(monkeypatch):
    """Refuse to move an instance from one engine to another."""

    def refuse(*_):
        pytest.fail("the instance was built elsewhere and moved")

    monkeypatch.setattr(ACSet, "to_engine", refuse)


@pytest.fixture(scope="session")
def deployments(make_deployment):
    """Two policies on one robot, and one on another that nothing can replace."""
    return [make_deployment("plain"), make_deployment("wide", returns=(2.0,)), make_deployment("lone", robot="other")]


# An instance is built in Catlab from the start


def test_deployments_become_an_instance_in_catlab(catlab_engine, deployments, make_gap, no_moving):
    gaps = [make_gap(0.9), make_gap(0.1), make_gap(None, note="no noise")]
    there = build_instance(deployments, gaps, engine=catlab_engine)
    assert there.acset.engine == "catlab"
    assert there == build_instance(deployments, gaps)
    assert there.acset.subpart("transfer.policy_name").tolist() == ["wide", "wide", None]


def test_an_unknown_engine_is_refused_before_anything_is_measured(deployments, monkeypatch):
    monkeypatch.setattr("sim2real_cat.transfer.build.measure", lambda *_, **__: pytest.fail("measured"))
    with pytest.raises(EngineError, match="unknown engine 'catlb'"):
        build_instance(deployments, engine="catlb")


def test_a_study_builds_its_instance_in_catlab(catlab_engine, tiny_document, write_study, tiny_run, no_moving):
    result = Study.from_toml(write_study(tiny_document)).run(threads=1, engine=catlab_engine)
    assert result.instance.acset.engine == "catlab"
    assert result.report == Study.from_toml(write_study(tiny_document)).run(threads=1).report


@pytest.mark.parametrize("schema", [SchTransferStudy, None])
def test_a_file_is_read_into_catlab(catlab_engine, tiny_run, no_moving, schema):
    there = TransferInstance.read(tiny_run[0] / "instance.json", schema, engine=catlab_engine)
    assert there.acset.engine == "catlab"
    assert there == tiny_run[1].instance
    assert there.acset.to_json() == tiny_run[1].instance.acset.to_json()


def test_json_and_rows_make_an_instance_in_catlab(catlab_engine, no_moving):
    there = ACSet(SchSim2RealTransfer, engine=catlab_engine)
    there.add_parts("Observation", 2)
    there.add("RealEnv", observe_real=0)
    there.add_parts("Policy", 2, deploy=0, kl_gap=[0.9, None])
    there.add_parts("SimEnv", 3, train=[0, 0, 1], observe_sim=1)
    assert there.subpart("train.kl_gap").tolist() == [0.9, 0.9, None]
    again = ACSet.from_json(SchSim2RealTransfer, there.to_json(), engine=catlab_engine)
    assert (again.engine, again) == ("catlab", there)
