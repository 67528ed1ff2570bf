"""The command line: what it prints, what it writes, and its exit codes 0, 1 and 2."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

import sim2real_cat
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.cli import InstalledEngine, installed_engines, main
from sim2real_cat.errors import EngineError, GapError
from sim2real_cat.gaps.kl_gap import gap
from sim2real_cat.predictive.gap import predictive_gap
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.parquet import write_log
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws import DEFAULT_EPSILON

COMMANDS = ["demo", "run", "gap", "rank", "check", "query", "report", "engines"]


def tree(folder):
    """Every file under a folder with its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def say(capsys):
    """Run a command; its exit code, what it printed and the lines it complained."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err.splitlines()

    return run


@pytest.fixture
def refuse(say, tmp_path):
    """Expect exit code 2, one line of error with the given parts, nothing printed and nothing written."""

    def run(*arguments, parts):
        before = tree(tmp_path)
        code, out, err = say(*arguments)
        assert (code, out, len(err)) == (2, "", 1), err
        assert err[0].startswith("error: ")
        for part in parts:
            assert str(part) in err[0]
        assert tree(tmp_path) == before

    return run


@pytest.fixture
def study_copy(tiny_run, tmp_path):
    """The tiny study's folder, to be changed."""
    shutil.copytree(tiny_run[0], tmp_path / "study")
    return tmp_path / "study"


@pytest.fixture
def write_instance(make_instance, tmp_path):
    """Write an instance of policies that keep, leave open or violate a law."""
    policies = {
        "holds": {"kl_gap": 0.01, "transfer": 0},
        "undecided": {"kl_gap": 0.01, "gap_low": 0.0, "transfer": 0},
        "violated": {"kl_gap": 0.01},
    }

    def write(verdict):
        make_instance(policies[verdict]).write(tmp_path / f"{verdict}.json")
        return tmp_path / f"{verdict}.json"

    return write


# run


def test_run_writes_a_study_and_says_what_it_found(say, tiny_document, write_study, tiny_run, tmp_path):
    path = write_study(tiny_document)
    code, out, err = say("run", path, "--threads", 1)
    assert (code, err) == (0, [])
    written = tree(tmp_path / "tiny_study")
    assert {name: content for name, content in written.items() if name != "report.html"} == tree(tiny_run[0])
    assert b"Study tiny" in written["report.html"]
    for part in ("plain", "wide", "pendulum", "transfer-identity", "written to tiny_study/"):
        assert part in out


def test_the_report_written_again_is_the_same(say, tiny_document, write_study, tmp_path):
    say("run", write_study(tiny_document), "--out", "a", "--threads", 1)
    before = tree(tmp_path / "a")
    (tmp_path / "a" / "report.html").unlink()
    assert say("report", "a") == (0, "written: a/report.html\n", [])
    assert tree(tmp_path / "a") == before


def test_demo_runs_the_study_of_the_package(say, monkeypatch, tiny_document, write_study, tmp_path):
    tiny = sim2real_cat.Study.from_toml(write_study(tiny_document))
    monkeypatch.setattr("sim2real_cat.study.study.Study.demo", lambda: tiny)
    code, out, err = say("demo", "--out", "somewhere", "--threads", 1)
    assert (code, err) == (0, [])
    assert "written to somewhere/" in out
    assert (tmp_path / "somewhere" / "report.html").is_file()


def test_diverged_episodes_are_counted(say, tiny_document, write_study):
    tiny_document["robots"]["pendulum"]["reality"] = {"opt.gravity[2]": {"set": -1e12}}
    code, out, _ = say("run", write_study(tiny_document), "--threads", 1)
    assert code == 0
    assert "8 episodes diverged" in out
    assert "not measured" in out


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda document: document["study"].update(sed=1), "unknown key 'sed'"),
        (lambda document: document["robots"]["pendulum"].update(world="Hoper"), "did you mean 'Hopper'?"),
        (lambda document: document["policies"]["plain"].update(weights="no.npz"), "no such policy file"),
    ],
)
def test_a_wrong_study_is_refused(refuse, tiny_document, write_study, change, part):
    change(tiny_document)
    path = write_study(tiny_document)
    refuse("run", path, parts=[path, part])


def test_a_missing_study_is_refused(refuse):
    refuse("run", "no.toml", parts=["no.toml: no such study"])


def test_a_folder_of_something_else_is_refused(refuse, tiny_document, write_study, tmp_path):
    path = write_study(tiny_document)
    refuse("run", path, "--out", tmp_path, parts=["holds files but no study"])
    refuse("run", path, "--out", path, parts=["is a file"])
    refuse("run", path, "--out", path / "in", parts=["is a file"])


def test_an_interrupt_is_one_line(say, monkeypatch, tiny_document, write_study):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sim2real_cat.study.study._deploy", interrupted)
    assert say("run", write_study(tiny_document)) == (
        130,
        "",
        ["error: interrupted; files already written are whole"],
    )


# check


@pytest.mark.parametrize(("verdict", "code"), [("holds", 0), ("undecided", 0), ("violated", 1)])
def test_check_tells_by_its_exit_code(say, write_instance, verdict, code):
    path = write_instance(verdict)
    found, out, err = say("check", path)
    assert (found, err) == (code, [])
    assert ("some laws are undecided" in out) == (verdict == "undecided")
    assert "transfer-identity" in out
    found, out, err = say("check", path, "--json")
    assert (found, err) == (code, [])
    assert json.loads(out) == TransferInstance.read(path).check().to_table()
    assert json.loads(out)["verdict"] == verdict


def test_check_takes_laws_and_epsilon(say, write_instance):
    path = write_instance("violated")
    assert say("check", path, "--laws", "functor, gap-valid")[0] == 0
    assert say("check", path, "--epsilon", 0.005)[0] == 0
    code, out, _ = say("check", path, "--json", "--laws", "gap-valid", "--epsilon", 0.25)
    table = json.loads(out)
    assert (code, table["epsilon"], [law["name"] for law in table["laws"]]) == (0, 0.25, ["gap-valid"])


def test_check_takes_the_epsilon_of_the_study_beside(say, write_instance, tmp_path):
    path = write_instance("holds")
    assert json.loads(say("check", path, "--json")[1])["epsilon"] == DEFAULT_EPSILON
    (tmp_path / "study.toml").write_text("[study]\nepsilon = 0.001\n")
    code, out, _ = say("check", path, "--json")
    assert (code, json.loads(out)["epsilon"]) == (1, 0.001)
    assert say("check", path, "--epsilon", 0.1)[0] == 0


def test_check_says_what_how_much_and_how_many_more(say, make_instance, tmp_path):
    open_ = {"kl_gap": 0.4, "gap_low": 0.2, "gap_high": 0.6, "transfer": 0, "gap_episodes": 20}
    make_instance(open_, {"kl_gap": 0.9, "transfer": 1}).write(tmp_path / "two.json")
    code, out, _ = say("check", tmp_path / "two.json")
    assert code == 1
    assert "policy0: the interval [0.2, 0.6] of kl_gap straddles 0.5; some 60 more real episodes" in out
    assert "policy1: kl_gap 0.9 >= 0.5, but transfer is the identity" in out
    assert [line.split()[:3] for line in out.splitlines() if "not asked" in line] == [
        [name, "not", "asked"] for name in ("fibre-bound", "square", "gap-recomputes")
    ]
    _, out, _ = say("check", tmp_path / "two.json", "--json", "--laws", "transfer-identity")
    (law,) = json.loads(out)["laws"]
    assert [(w["id"], w["excess"], w["more_episodes"]) for w in law["witnesses"]] == [
        (1, pytest.approx(0.4), None),
        (0, pytest.approx(0.1), 60),
    ]


def test_check_measures_again_what_lies_in_its_study(say, study_copy):
    path = study_copy / "instance.json"
    code, out, _ = say("check", path, "--json", "--laws", "gap-recomputes, functor")
    assert code == 0
    assert [(law["name"], law["verdict"], law["asked"]) for law in json.loads(out)["laws"]] == [
        ("gap-recomputes", "holds", True),
        ("functor", "holds", True),
    ]
    (study_copy / "trajectories" / "real_pendulum.parquet").unlink()
    code, out, _ = say("check", path, "--recompute")
    assert code == 0
    assert out.count("cannot be measured again: ") == 2
    assert "some laws are undecided" in out


def test_check_measures_nothing_again_that_it_was_not_asked_to(say, study_copy, monkeypatch):
    def never(*_):
        raise GapError("measured")

    monkeypatch.setattr("sim2real_cat.study.folder.recompute_gaps", never)
    assert say("check", study_copy / "instance.json")[0] == 0
    assert say("check", study_copy / "instance.json", "--recompute")[0] == 2


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[study\n", "not valid TOML"),
        ("", "the table [study] is missing; write the description again"),
        ("study = 3\n", "[study]: needs to be a table, got 3"),
        ("[study]\nepsilon = 'a'\n", "epsilon needs to be a number, got 'a'"),
        ("[study]\nepsilon = true\n", "epsilon needs to be a number, got True"),
        ("[study]\nepsilon = -1\n", "epsilon must be a positive number"),
    ],
)
def test_a_damaged_study_beside_is_refused(refuse, write_instance, tmp_path, text, part):
    path = write_instance("holds")
    (tmp_path / "study.toml").write_text(text)
    refuse("check", path, parts=[part])


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--laws", "functr"], "unknown law 'functr': did you mean 'functor'?"),
        (["--laws", ""], "unknown law ''"),
        (["--epsilon", "0"], "epsilon must be a positive number"),
        (["--epsilon", "nan"], "epsilon must be a positive number"),
    ],
)
def test_check_refuses_wrong_options(refuse, write_instance, options, part):
    refuse("check", write_instance("holds"), *options, parts=[part])


# query


def test_query_reads_along_paths(say, study_copy):
    path = study_copy / "instance.json"
    code, out, err = say("query", path, "policy_name, deploy.real_name, weights_digest, birth_digest")
    instance = TransferInstance.read(path)
    assert (code, err) == (0, [])
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["id", "policy_name", "deploy.real_name", "weights_digest", "birth_digest"]
    columns = instance.along(["weights_digest", "birth_digest"])
    assert rows[1] == ["0", "plain", "pendulum", columns["weights_digest"][0], columns["birth_digest"][0]]
    code, out, _ = say("query", path, "sim_name,sim_weight", "--json")
    assert json.loads(out)[1] == {"id": 1, "sim_name": "wide/0", "sim_weight": 1 / 3}


def test_query_answers_atoms(say, study_copy):
    path = study_copy / "instance.json"
    body = "SimEnv(_id=e, train=p), Policy(_id=p, policy_name=name, kl_gap=g)"
    code, out, err = say("query", path, body, "--where", "g >= 0", "--out", "name,e", "--json")
    assert (code, err) == (0, [])
    instance = TransferInstance.read(path)
    measured = [
        name
        for name, gap in zip(*list(instance.along(["policy_name", "kl_gap"]).values())[1:], strict=True)
        if gap is not None
    ]
    assert [row["name"] for row in json.loads(out)] == [name for name in measured for _ in instance.fibre(name)]
    code, out, _ = say("query", path, body, "--out", "name", "--distinct")
    assert code == 0
    assert out.split() == ["name", *measured]


@pytest.mark.parametrize(
    "asked",
    [
        ["kl_gap", "--where", "g > 0"],
        ["kl_gap", "--out", "g"],
        ["kl_gap", "--explain"],
        ["Policy(_id=", "--out", "g"],
        ["Policy(_id=", "--explain"],
    ],
)
def test_query_refuses_what_is_no_query(refuse, write_instance, asked):
    refuse("query", write_instance("holds"), *asked, parts=[])


@pytest.mark.parametrize(
    ("paths", "part"),
    [
        ("polcy_name", "policy_name"),
        ("", "error: "),
        ("deploy.policy_name", "deploy.policy_name"),
        ("policy_name,real_name", "'policy_name' at Policy, 'real_name' at RealEnv"),
    ],
)
def test_query_refuses_paths_that_are_none(refuse, write_instance, paths, part):
    refuse("query", write_instance("holds"), paths, parts=[part])


# instances that are none, for every command that reads one


@pytest.mark.parametrize("command", [["check"], ["query", "kl_gap"], ["report"]])
@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (lambda path: path.unlink(), "no such instance"),
        (lambda path: path.write_text(path.read_text()[:700]), "cut short"),
        (lambda path: path.write_text(path.read_text().replace('"deploy":1', '"deploy":9')), "points to RealEnv 9"),
        (lambda path: path.write_text("{}"), "is missing"),
    ],
)
def test_a_damaged_instance_is_refused(refuse, study_copy, command, damage, part):
    path = study_copy / "instance.json"
    damage(path)
    name, *more = command
    refuse(name, study_copy if name == "report" else path, *more, parts=[path, part])


def test_a_report_needs_a_study(refuse, tmp_path):
    refuse("report", tmp_path / "nowhere", parts=["instance.json: no such instance"])


# gap


def test_gap_of_two_recordings(say, study_copy, tiny_run):
    real = study_copy / "trajectories" / "real_pendulum.parquet"
    sim = study_copy / "trajectories" / "sim_plain.parquet"
    code, out, err = say("gap", real, sim, "--policy", "plain")
    assert (code, err) == (0, [])
    deployment = tiny_run[1].deployments[0]
    assert out.splitlines()[0] == str(gap(deployment.real, deployment.sim))
    assert say("gap", real, sim, "--level", "occupancy")[1].count("nats per observation") == 1
    assert "(knn, transition" in say("gap", real, sim, "--method", "knn")[1]


def test_gap_of_a_recording_and_the_worlds_of_a_study(say, study_copy, tiny_run):
    real, study = study_copy / "trajectories" / "real_pendulum.parquet", study_copy / "study.toml"
    code, out, err = say("gap", real, "--study", study, "--policy", "wide")
    assert (code, err) == (0, [])
    deployment = tiny_run[1].deployments[1]
    found = predictive_gap(deployment.world, deployment.real, randomization=deployment.randomization)
    assert out.splitlines()[0] == str(found.estimate)
    assert out.splitlines()[1].startswith("gap of the randomization, integrated: rate ")
    assert "p-value of a robot that is one of the worlds: " in out
    assert "by sensor: cart position " in out
    assert "body_inertial[pole]: " in out
    assert "note: noise as given" in out


def test_gap_of_the_worlds_that_were_drawn(say, study_copy, tiny_run):
    real, study = study_copy / "trajectories" / "real_pendulum.parquet", study_copy / "study.toml"
    code, out, err = say("gap", real, "--study", study, "--policy", "wide", "--gap-of", "fibre")
    assert (code, err) == (0, [])
    deployment = tiny_run[1].deployments[1]
    found = predictive_gap(deployment.world, deployment.real, fibre=deployment.fibre)
    assert out.splitlines()[0] == str(found.estimate)
    assert f"gap of a fibre of {len(deployment.fibre)} worlds: rate " in out
    assert f"nearest of {len(deployment.fibre)} worlds: {found.members.best}, probability " in out


def test_gap_of_another_randomization(say, refuse, study_copy, tiny_run):
    real, study = study_copy / "trajectories" / "real_pendulum.parquet", study_copy / "study.toml"
    own = study_copy / "own.toml"
    own.write_text('"dof_damping[slider]" = { scale = [0.5, 5.0] }\n', encoding="utf-8")
    asked = ["gap", real, "--study", study, "--policy", "wide", "--randomization", own]
    code, out, _ = say(*asked)
    assert code == 0
    assert "dof_damping[slider]: " in out
    refuse(*asked, "--gap-of", "fibre", parts=["--randomization does not go with --gap-of fibre"])


def test_gap_of_a_recording_and_a_study_refuses(refuse, say, study_copy):
    real, study = study_copy / "trajectories" / "real_pendulum.parquet", study_copy / "study.toml"
    refuse("gap", real, parts=["give either SIM.parquet or --study"])
    refuse("gap", real, real, "--study", study, parts=["give either SIM.parquet or --study"])
    refuse("gap", real, "--study", study, parts=["holds several policies: choose one of plain, wide with --policy"])
    refuse("gap", real, "--study", study, "--policy", "plain", "--noise", "some", parts=["noise is 'some'"])
    refuse("gap", real, "--study", study, "--method", "knn", parts=["--method does not go with --study"])
    refuse("gap", real, real, "--state-deviation", "1", parts=["--state-deviation does not go with SIM.parquet"])
    unnamed = study_copy / "unnamed.parquet"
    write_log(unnamed, replace(read_log(real).of_policy("wide"), policies=("",) * 4))
    refuse("gap", unnamed, "--study", study, parts=["does not name its policy: say with --policy"])
    assert say("gap", unnamed, "--study", study, "--policy", "wide")[0] == 0
    study.write_text(study.read_text().replace("[policies.wide]", "[policies.broad]"))
    refuse("gap", real, "--study", study, "--policy", "wide", parts=["study 'tiny': unknown policy 'wide'", "broad"])


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--policy", "plan"], "unknown policy 'plan': did you mean 'plain'? Valid: plain, wide"),
        (["--method", "gauss"], "unknown method 'gauss'"),
        (["--level", "steps"], "unknown level 'steps'"),
    ],
)
def test_gap_refuses_wrong_options(refuse, study_copy, options, part):
    folder = study_copy / "trajectories"
    refuse("gap", folder / "real_pendulum.parquet", folder / "sim_plain.parquet", *options, parts=[part])


def test_gap_refuses_files_that_are_no_recordings(refuse, study_copy):
    real = study_copy / "trajectories" / "real_pendulum.parquet"
    refuse("gap", real, "no.parquet", parts=["no.parquet: no such log"])
    refuse("gap", study_copy / "instance.json", real, parts=["instance.json: a .json log needs a mapping"])
    refuse("gap", study_copy / "events.parquet", real, parts=["events.parquet: not a log written by sim2real_cat"])


# rank

COUNTS = """policy,real_successes,real_trials,sim_successes,sim_trials
a,18,20,90,100
b,12,20,70,100
c,9,20,75,100
d,6,20,30,100
e,1,20,10,100
"""


@pytest.fixture
def policies_file(tmp_path):
    path = tmp_path / "policies.csv"
    path.write_text(COUNTS)
    return path


def test_rank_prints_scores_statistics_and_doubts(say, policies_file):
    code, out, err = say("rank", policies_file)
    assert (code, err) == (0, [])
    rows = [line.split() for line in out.splitlines()]
    found = sim2real_cat.rank(sim2real_cat.ranking.read_policy_table(policies_file))
    assert rows[1] == ["a", "0.900", "[0.683,", "0.988]", "0.900", "[0.824,", "0.951]"]
    for statistic in found.statistics:
        row = next(row for row in rows if row[:1] == [statistic.name])
        assert row[1] == f"{statistic.value:.3f}"
        assert row[-2:] == [found.carrier(statistic.name)[0], f"{found.carrier(statistic.name)[1]:.3f}"]
    assert "most costly mistake: 'b' is better than 'c', simulation does not say so" in out
    assert f"note: {found.why[0]}" in out
    code, out, _ = say("rank", policies_file, "--json")
    assert (code, json.loads(out)) == (0, found.to_table() | {"left_out": []})
    wider = json.loads(say("rank", policies_file, "--json", "--confidence", 0.99)[1])
    assert wider["policies"][0]["real_low"] < found.policies[0].real_low


def test_rank_says_where_a_panel_is_too_small(say, policies_file):
    policies_file.write_text("policy,real_score,sim_score\na,1,2\nb,3,3\n")
    code, out, err = say("rank", policies_file)
    assert (code, err) == (0, [])
    assert "unreliable: 2 policies are too few" in out
    assert "note: plain scores say nothing about their own noise" in out
    assert json.loads(say("rank", policies_file, "--json")[1])["statistics"][0]["low"] is None


def test_rank_the_returns_of_an_instance(say, refuse, make_instance, tmp_path):
    returns = [(1.0, 2.0), (3.0, 9.0), (5.0, 11.0), (4.0, 10.0), (8.0, 12.0)]
    rows = [{"return_real": real, "return_sim": sim} for real, sim in returns]
    make_instance(*rows, {"return_sim": 3.0}).write(tmp_path / "instance.json")
    code, out, err = say("rank", "instance.json")
    assert (code, err) == (0, [])
    assert "left out, for want of a return: policy5" in out
    assert json.loads(say("rank", "instance.json", "--robot", "robot0", "--json")[1])["statistics"][-1]["value"] == 1.0
    refuse("rank", "instance.json", "--robot", "robot1", parts=["unknown robot 'robot1': did you mean 'robot0'?"])


def test_rank_refuses_wrong_input(refuse, policies_file):
    refuse("rank", "no.csv", parts=["no.csv: no such file"])
    refuse("rank", "no.json", parts=["no.json: no such instance"])
    refuse("rank", policies_file, "--robot", "a", parts=["--robot goes with an instance"])
    refuse("rank", policies_file, "--confidence", "95", parts=["confidence is 95.0: give a number between 0 and 1"])
    policies_file.write_text(COUNTS.replace("12,20", "22,20"))
    refuse("rank", policies_file, parts=[policies_file, "line 3", "real_successes is 22 of 20"])


# engines, help and arguments


def test_engines_lists_each_on_a_line(say, monkeypatch):
    monkeypatch.setattr(julia, "missing", lambda: "it is not here")
    code, out, err = say("engines")
    assert (code, err) == (0, [])
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["embedded", "here"],
        ["mujoco", "here"],
        ["catlab", "missing"],
    ]


def test_engines_are_named_with_what_is_missing(monkeypatch):
    monkeypatch.setattr(julia, "missing", lambda: "install it")
    embedded, mujoco, catlab = installed_engines()
    assert (embedded.name, embedded.here, mujoco.name, mujoco.here) == ("embedded", True, "mujoco", True)
    assert catlab == InstalledEngine("catlab", False, "install it")
    monkeypatch.setattr(julia, "is_compiled", lambda: True)
    monkeypatch.setattr(julia, "missing", lambda: None)
    monkeypatch.setattr(julia, "found", lambda: "/opt/julia")
    assert installed_engines()[2] == InstalledEngine(
        "catlab", True, "Catlab by Julia: /opt/julia; compiled, it starts in some 10 s"
    )
    monkeypatch.setattr("sim2real_cat.cli._version", lambda package: None)
    assert [engine.here for engine in installed_engines()] == [False, False, True]
    assert all("pip install" in engine.detail for engine in installed_engines()[:2])


def test_engines_says_how_to_get_what_is_missing(say, monkeypatch):
    monkeypatch.setattr(julia, "missing", lambda: "the Catlab engine is not installed: do this")
    assert say("engines")[1].splitlines()[2] == "catlab     missing  the Catlab engine is not installed: do this"
    monkeypatch.setattr(julia, "missing", lambda: None)
    monkeypatch.setattr(julia, "found", lambda: "/opt/julia")
    assert say("engines")[1].splitlines()[2].startswith("catlab     here     Catlab by Julia: /opt/julia")


def test_engines_installs_catlab(say, refuse, monkeypatch):
    monkeypatch.setattr(julia, "install", lambda show: show("installed"))
    code, out, err = say("engines", "--install", "catlab")
    assert (code, err) == (0, ["installed"])
    assert "catlab" in out

    def fail(_):
        raise EngineError("Catlab could not be installed: no network")

    monkeypatch.setattr(julia, "install", fail)
    refuse("engines", "--install", "catlab", parts=["Catlab could not be installed: no network"])


# --engine


def test_a_missing_engine_is_refused(refuse, monkeypatch, write_instance, tiny_document, write_study):
    monkeypatch.setattr(julia, "_worker", None)
    monkeypatch.setattr(julia, "missing", lambda: "the Catlab engine is not installed: do this")
    path = write_instance("holds")
    for command in (["check", path], ["query", path, "kl_gap"], ["run", write_study(tiny_document)]):
        refuse(*command, "--engine", "catlab", parts=["the Catlab engine is not installed: do this"])
    refuse("check", path, "--engine", "both", parts=["the Catlab engine is not installed: do this"])


@pytest.mark.parametrize(("verdict", "code"), [("holds", 0), ("undecided", 0), ("violated", 1)])
def test_check_on_either_engine_or_both(say, write_instance, catlab_engine, verdict, code):
    path = write_instance(verdict)
    here = say("check", path)
    assert here[0] == code
    assert say("check", path, "--engine", catlab_engine) == here
    assert say("check", path, "--engine", "both") == here


def test_engines_that_differ_are_an_error(refuse, write_instance, catlab_engine, monkeypatch):
    monkeypatch.setattr("sim2real_cat.acsets.catlab.instances.law_rows", lambda *_: [("violated", "Policy", 0)])
    refuse("check", write_instance("holds"), "--engine", "both", parts=["the engines differ on law 'functor'"])


def test_an_engine_that_fails_is_told_in_one_line(refuse, write_instance, catlab_engine, monkeypatch):
    path = write_instance("holds")
    monkeypatch.setenv(julia.SECONDS, "soon")
    for command in (["check", path], ["query", path, "kl_gap"], ["query", path, "Policy(_id=p)"]):
        refuse(*command, "--engine", catlab_engine, parts=[f"{julia.SECONDS}=soon is not a positive number of seconds"])
    refuse("check", path, "--engine", "both", parts=[julia.SECONDS])

    def fail(*_):
        raise EngineError("Catlab did not answer within 600 s (law_rows) and was stopped: ask the embedded engine")

    monkeypatch.setattr("sim2real_cat.acsets.catlab.instances.law_rows", fail)
    monkeypatch.delenv(julia.SECONDS)
    refuse("check", path, "--engine", catlab_engine, parts=["did not answer within 600 s (law_rows)"])


def test_query_on_either_engine(say, study_copy, catlab_engine):
    path = study_copy / "instance.json"
    for asked in ("policy_name, deploy.real_name", "SimEnv(_id=e, train=p), Policy(_id=p, policy_name=n)"):
        assert say("query", path, asked, "--engine", catlab_engine) == say("query", path, asked)


def test_a_query_is_explained_without_julia(say, study_copy, monkeypatch):
    monkeypatch.setattr(julia, "missing", lambda: "there is no Julia")
    path = study_copy / "instance.json"
    asked = ("query", path, "SimEnv(_id=e, train=p), Policy(_id=p, policy_name=n)", "--out", "e,n", "--explain")
    for engine, said in (("embedded", "numpy answers"), ("catlab", "Catlab answers, asked for by name, by a plan")):
        code, out, err = say(*asked, "--engine", engine)
        assert (code, err, len(out.splitlines())) == (0, [], 4)
        assert out.startswith(said)


def test_a_study_in_catlab_writes_the_same_bytes(say, tiny_document, write_study, tmp_path, catlab_engine):
    study, folders = write_study(tiny_document), {}
    for name in ("embedded", catlab_engine):
        code, out, _ = say("run", study, "--threads", 1, "--engine", name, "--out", name)
        assert code == 0
        assert "transfer-identity" in out
        folders[name] = tree(tmp_path / name)
    assert folders[catlab_engine] == folders["embedded"]


@pytest.mark.parametrize("arguments", [["--help"], *([command, "--help"] for command in COMMANDS), ["--version"]])
def test_help(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert "sim2real-cat" in out
    assert arguments != ["--help"] or all(command in out for command in COMMANDS)
    assert arguments != ["--version"] or sim2real_cat.__version__ in out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "COMMAND"),
        (["chek", "x"], "invalid choice: 'chek'"),
        (["run"], "STUDY.toml"),
        (["run", "a.toml", "--threads", "0"], "needs to be a whole number >= 1, got '0'"),
        (["run", "a.toml", "--threads", "-2"], "needs to be a whole number >= 1, got '-2'"),
        (["run", "a.toml", "--threads", "two"], "needs to be a whole number >= 1, got 'two'"),
        (["check", "a.json", "--epsilon", "small"], "invalid float value: 'small'"),
        (["check", "a.json", "--jsno"], "unrecognized arguments: --jsno"),
    ],
)
def test_wrong_arguments_exit_with_2(capsys, arguments, part):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert part in capsys.readouterr().err


# as a program


def program(*arguments, **options):
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-W", "error", "-m", "sim2real_cat.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False, **options)


def test_the_program_exits_with_the_codes(write_instance, tmp_path):
    violated = program("check", write_instance("violated"))
    assert (violated.returncode, violated.stderr) == (1, b"")
    missing = program("check", tmp_path / "no.json")
    assert (missing.returncode, missing.stdout, missing.stderr.count(b"\n")) == (2, b"", 1)
    assert missing.stderr.startswith(b"error: ")


def test_a_terminal_without_unicode_gets_what_it_can_show(make_instance, tmp_path):
    make_instance({"kl_gap": 0.01, "policy_name": "naïve"}).write(tmp_path / "instance.json")
    found = program("check", tmp_path / "instance.json")
    assert (found.returncode, found.stderr) == (1, b"")
    assert b"na?ve" in found.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
def test_a_broken_pipe_is_no_violated_law(write_instance):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        command = [sys.executable, "-m", "sim2real_cat.cli", "check", str(write_instance("holds"))]
        found = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (found.returncode, found.stderr) == (141, b"")
