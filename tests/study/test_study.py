"""A study from end to end: the same bytes again, on any number of threads, from the resolved description too."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import StudyError
from sim2real_cat.policies.mlp import MlpPolicy
from sim2real_cat.policies.policy import LinearPolicy
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.study import study as study_module
from sim2real_cat.study.study import Study
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.measurement import measure
from sim2real_cat.transfer.schema import SchTransferStudy

FILES = [
    "events.parquet",
    "instance.json",
    "laws.json",
    "policies/plain.npz",
    "policies/wide.npz",
    "proof.json",
    "schema.json",
    "study.toml",
    "trajectories/real_pendulum.parquet",
    "trajectories/sim_plain.parquet",
    "trajectories/sim_wide.parquet",
]


def contents(folder):
    """The bytes of every file under a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


# the folder


def test_a_folder_holds_a_whole_study(tiny_run):
    folder, result = tiny_run
    assert list(contents(folder)) == FILES
    assert TransferInstance.read(folder / "instance.json") == result.instance
    types = SchTransferStudy.attrtypes
    assert Schema.from_json((folder / "schema.json").read_text(), types) == SchTransferStudy
    assert json.loads((folder / "laws.json").read_text()) == result.report.to_table()
    assert result.report == result.instance.check(result.description.epsilon)


def test_recordings_are_those_that_the_instance_refers_to(tiny_run):
    folder, result = tiny_run
    seen = result.instance.along(["observation_name", "recording", "recording_digest", "episodes", "frames"])
    assert seen["observation_name"] == ["pendulum (real)", "plain/0", "wide/0", "wide/1", "wide/2"]
    for path, digest in zip(seen["recording"], seen["recording_digest"], strict=True):
        assert hashlib.sha256((folder / path).read_bytes()).hexdigest() == digest
    logs = {path: read_log(folder / path) for path in set(seen["recording"])}
    assert sum(seen["episodes"]) == sum(len(log) for log in logs.values()) == 2 * 4 + 4 + 3 * 2
    assert sum(seen["frames"]) == sum(pq.read_metadata(folder / path).num_rows for path in logs)
    assert logs["trajectories/real_pendulum.parquet"].policies == ("plain",) * 4 + ("wide",) * 4


def test_a_policy_is_deployed_not_trained_again(tiny_run):
    folder, result = tiny_run
    digests = result.instance.along(["policy_name", "weights_digest", "birth_digest"])
    for policy, name in enumerate(["plain", "wide"]):
        saved = LinearPolicy.load(folder / "policies" / f"{name}.npz")
        assert digests["weights_digest"][policy] == saved.digest == result.policies[name].digest
        assert digests["birth_digest"][policy] not in (None, saved.digest)
        deployment = result.deployments[policy]
        assert set(deployment.sim.policies) == set(deployment.real.policies) == {name}
        for seen in (deployment.sim, deployment.real):
            acted = np.isfinite(seen.actions[..., 0])
            shown = seen.observations[:, :-1][acted]
            np.testing.assert_allclose(saved.act(shown, np.arange(len(shown)), 0), seen.actions[acted], rtol=1e-12)


# the same bytes


def test_the_same_study_gives_the_same_bytes_on_any_threads(tiny_run, tiny_document, run):
    folder, _ = tiny_run
    for threads in (1, 2):
        again, _ = run(tiny_document, f"threads{threads}", threads=threads)
        assert contents(again) == contents(folder)


def test_another_seed_gives_another_instance(tiny_run, tiny_document, run):
    folder, _ = tiny_run
    tiny_document["study"]["seed"] = 4
    other, _ = run(tiny_document)
    assert (other / "instance.json").read_bytes() != (folder / "instance.json").read_bytes()


def test_a_policy_more_changes_no_other(tiny_run, tiny_document, run):
    _, before = tiny_run
    tiny_document["policies"] = {"first": {"robot": "pendulum"}} | tiny_document["policies"]
    _, after = run(tiny_document)
    for name in ("plain", "wide"):
        assert after.policies[name].digest == before.policies[name].digest
    assert after.gaps[1:] == before.gaps


def test_the_resolved_study_runs_again(tiny_run, tmp_path):
    folder, _ = tiny_run
    Study.from_toml(folder / "study.toml").run(tmp_path / "again", threads=1)
    assert contents(tmp_path / "again") == contents(folder)


def test_a_run_into_its_own_folder_overwrites_it(tiny_run, tmp_path):
    folder, _ = tiny_run
    shutil.copytree(folder, tmp_path / "copy")
    Study.from_toml(tmp_path / "copy" / "study.toml").run(tmp_path / "copy", threads=1)
    assert contents(tmp_path / "copy") == contents(folder)


def test_nothing_is_written_without_a_folder(tiny_run, tiny_document, write_study, tmp_path):
    _, before = tiny_run
    result = Study.from_toml(write_study(tiny_document)).run(threads=1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["described.toml"]
    assert result.report == before.report
    assert result.instance.along(["kl_gap"]) == before.instance.along(["kl_gap"])


def test_gaps_are_measured_with_a_stream_of_their_own(tiny_document, write_study, monkeypatch):
    drawn = []

    def watched(deployment, *, rng, **options):
        drawn.append(rng.random())
        return measure(deployment, rng=rng, **options)

    monkeypatch.setattr(study_module, "measure", watched)
    study = Study.from_toml(write_study(tiny_document))
    for _ in range(2):
        study.run(threads=1)
    assert drawn[:2] == drawn[2:]
    assert drawn[0] != drawn[1]


# robots


def test_a_robot_that_is_its_simulation_has_no_dynamics_error(tiny_document, run):
    del tiny_document["robots"]["pendulum"]["reality"]
    _, result = run(tiny_document)
    for log in result.events:
        assert log.dynamics_error.max() < 1e-9
        assert 0 < log.observation_error.max() < 0.1
        assert set(log.latency_delta) == {0.0}


def test_every_robot_has_its_own_recording(tiny_document, run):
    tiny_document["robots"]["twin"] = tiny_document["robots"]["pendulum"]
    tiny_document["policies"]["wide"]["robot"] = "twin"
    folder, result = run(tiny_document)
    for robot, policy in [("pendulum", "plain"), ("twin", "wide")]:
        assert read_log(folder / "trajectories" / f"real_{robot}.parquet").policies == (policy,) * 4
    places = result.instance.along(["policy_name", "deploy.real_name", "deploy.observe_real.episodes"])
    assert places["deploy.real_name"] == ["pendulum", "twin"]
    assert places["deploy.observe_real.episodes"] == [4, 4]


# one's own model and weights


def test_one_s_own_model_and_saved_weights(cart_document, run, tmp_path):
    saved = LinearPolicy(np.array([[-2.0, -1.0]]), np.array([0.5, 0.0]), np.ones(2))
    saved.save(tmp_path / "saved.npz")
    cart_document["policies"]["mine"] = {"robot": "cart", "weights": "saved.npz"}
    folder, result = run(cart_document, "deep/er/out")
    digests = result.instance.along(["weights_digest", "birth_digest", "trainer"])
    assert digests["weights_digest"][2] == saved.digest
    assert digests["trainer"] == ["random-search"] * 2 + [None]
    assert (digests["birth_digest"][0] is None, digests["birth_digest"][2]) == (False, None)
    assert result.deployments[2].real.actions.shape == (4, 12, 1)
    assert [gap.transition is not None for gap in result.gaps] == [True] * 3
    again = Study.from_toml(folder / "study.toml").run(tmp_path / "elsewhere", threads=1)
    assert (tmp_path / "elsewhere" / "instance.json").read_bytes() == (folder / "instance.json").read_bytes()
    assert again.policies["mine"].digest == saved.digest


def test_a_network_and_a_table_of_actions(cart_document, run, tmp_path):
    rng = np.random.default_rng(0)
    layers = (rng.normal(size=(3, 2)), rng.normal(size=(1, 3)))
    network = MlpPolicy(layers, (np.zeros(3), np.zeros(1)), np.zeros(2), np.ones(2), -np.ones(1), np.ones(1))
    network.save(tmp_path / "net.npz")
    table = "\n".join(["push", *(f"{number:.3f}" for number in rng.uniform(-1, 1, 12))])
    (tmp_path / "pushes.csv").write_text(table + "\n")
    cart_document["policies"] |= {
        "network": {"robot": "cart", "weights": "net.npz"},
        "table": {"robot": "cart", "weights": "pushes.csv"},
    }
    folder, result = run(cart_document)
    assert result.instance.acset.column("weights_digest").tolist()[2] == network.digest
    assert (folder / "policies" / "table.csv").read_text() == table + "\n"
    assert 'weights = "policies/table.csv"' in (folder / "study.toml").read_text()
    Study.from_toml(folder / "study.toml").run(tmp_path / "elsewhere", threads=1)
    assert (tmp_path / "elsewhere" / "instance.json").read_bytes() == (folder / "instance.json").read_bytes()


def test_the_resolved_study_finds_its_files_from_its_own_folder(cart_document, run, tmp_path, monkeypatch):
    LinearPolicy(np.zeros((1, 2)), np.zeros(2), np.ones(2)).save(tmp_path / "saved.npz")
    cart_document["policies"]["two"] = {"robot": "cart", "weights": "saved.npz"}
    folder, _ = run(cart_document)
    text = (folder / "study.toml").read_text()
    assert 'xml = "../models/cart.xml"' in text
    assert 'weights = "policies/two.npz"' in text
    assert str(tmp_path) not in text
    (tmp_path / "saved.npz").unlink()
    monkeypatch.chdir(folder)
    assert len(Study.from_toml("study.toml").description.candidates) == 2


# what can go wrong on the way


def test_a_gap_that_cannot_be_measured_leaves_a_note(tiny_document, run):
    tiny_document["study"]["method"] = "gaussian"
    tiny_document["robots"]["pendulum"]["steps"] = 1
    folder, result = run(tiny_document)
    assert [gap.transition for gap in result.gaps] == [None, None]
    assert (result.events, result.proofs) == ((), {})
    assert pq.read_table(folder / "events.parquet").num_rows == 0
    assert json.loads((folder / "proof.json").read_text()) == {}
    notes = result.instance.along(["gap_note", "kl_gap", "transfer"])
    assert all(note.startswith("transition: ") for note in notes["gap_note"])
    assert notes["kl_gap"] == notes["transfer"] == [None, None]
    assert result.report.verdict == "holds"


def test_without_noise_there_is_no_predictive_density(tiny_document, run):
    del tiny_document["robots"]["pendulum"]["noise"]
    _, result = run(tiny_document)
    assert not any(gap.transition and gap.transition.method == "predictive" for gap in result.gaps)
    assert all("predictive: sensors without noise have no density: cart position, " in gap.note for gap in result.gaps)
    tiny_document["study"]["method"] = "predictive"
    _, result = run(tiny_document)
    assert [gap.transition for gap in result.gaps] == [None, None]


def test_neighbours_measure_what_has_no_gaussian_events(tiny_document, run):
    """A member with too few transitions for a covariance, but with neighbours."""
    tiny_document["study"] |= {"method": "knn", "real_episodes": 12}
    tiny_document["robots"]["pendulum"]["steps"] = 4
    _, result = run(tiny_document)
    plain, wide = result.gaps
    assert "events" not in plain.note
    assert wide.transition is not None
    assert wide.transition.method == "knn"
    assert "events: the transitions of simulated member" in wide.note
    assert [log.policy for log in result.events] == ["plain"]
    assert list(result.proofs) == ["plain"]


def test_a_run_that_fails_leaves_nothing(tiny_document, write_study, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise StudyError("on purpose")

    monkeypatch.setattr(study_module, "verify_transfer_success", fails)
    with pytest.raises(StudyError, match="on purpose"):
        Study.from_toml(write_study(tiny_document)).run(tmp_path / "out", threads=1)
    assert not (tmp_path / "out").exists()


def test_progress_counts_up_to_the_whole(tiny_document, write_study):
    shown = []
    Study.from_toml(write_study(tiny_document)).run(progress=lambda *step: shown.append(step), threads=1)
    last = {doing: (done, total) for doing, done, total in shown}
    sides = {f"{verb} {name}" for verb in ("training", "simulating", "deploying") for name in ("plain", "wide")}
    assert set(last) == sides | {"measuring gaps"}
    assert (last["training wide"], last["measuring gaps"]) == ((2, 2), (2, 2))


# the folder is nobody else's


def test_what_is_no_study_is_not_overwritten(tiny_document, write_study, tmp_path, refused):
    study = Study.from_toml(write_study(tiny_document))
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.tex").write_text("x")
    file = tmp_path / "file"
    file.write_text("x")
    for out, part in [
        (other, "holds files but no study"),
        (file, "is a file; name a folder"),
        (file / "in" / "it", f"{file}: is a file"),
        (tmp_path, "holds files but no study"),
    ]:
        with refused(StudyError, part):
            study.run(out, threads=1)
    write_study(tiny_document, "study.toml")
    with refused(StudyError, tmp_path, "study.toml that was not written by a run"):
        study.run(tmp_path, threads=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["described.toml", "file", "study.toml", "thesis"]


def test_an_interrupted_run_may_be_run_again(tiny_run, tmp_path):
    folder, _ = tiny_run
    left = tmp_path / "left"
    shutil.copytree(folder / "trajectories", left / "trajectories")
    Study.from_toml(folder / "study.toml").run(left, threads=1)
    assert contents(left) == contents(folder)


def test_an_empty_folder_is_filled(tiny_run, tmp_path):
    folder, _ = tiny_run
    Study.from_toml(folder / "study.toml").run(tmp_path, threads=1)
    assert contents(tmp_path) == contents(folder)


def test_events_that_no_single_state_predicts_leave_a_note(cart_document, run, tmp_path):
    """Of a sensor that the model itself delays; the gap is measured all the same."""
    model = tmp_path / "models" / "cart.xml"
    late = 'name="encoder" joint="rail" nsample="2" delay="0.02"'
    model.write_text(model.read_text().replace('name="encoder" joint="rail"', late))
    cart_document["robots"]["cart"]["task"]["observe"] = ["qpos[rail]", "sensordata[encoder]"]
    _, result = run(cart_document)
    assert [gap.transition is not None for gap in result.gaps] == [True, True]
    assert all("events: world 'cart': its model delays sensors" in gap.note for gap in result.gaps)
    assert result.events == ()
