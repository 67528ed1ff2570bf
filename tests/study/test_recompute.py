"""A study's gaps measured again from its folder: the same numbers, and what stands in the way."""

from __future__ import annotations

import json
import shutil

import pytest

from sim2real_cat.study import folder as folder_module
from sim2real_cat.study.description import generator
from sim2real_cat.study.folder import recompute_gaps
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.measurement import measure_again


@pytest.fixture
def folder(tiny_run, tmp_path):
    """The tiny study's folder, to be changed."""
    shutil.copytree(tiny_run[0], tmp_path / "study")
    return tmp_path / "study"


def again(folder):
    instance = TransferInstance.read(folder / "instance.json")
    return instance.check(0.5, ["gap-recomputes"], recompute=recompute_gaps(folder, threads=1))["gap-recomputes"]


def said(result):
    return [(w.verdict, w.id, w.message) for w in result.witnesses]


def rewrite(folder, change):
    """Change the rows of a table of instance.json."""
    tables = json.loads((folder / "instance.json").read_text())
    change(tables)
    (folder / "instance.json").write_text(json.dumps(tables))


def test_the_same_numbers_to_the_last_digit(tiny_run):
    folder, result = tiny_run
    recompute = recompute_gaps(folder, threads=1)
    for policy, gap in enumerate(result.gaps):
        found = recompute(result.instance.acset, policy)
        assert (found.value, found.low, found.high) == (gap.transition.value, gap.transition.low, gap.transition.high)
        assert (found.reason, found.broken, found.note) == ("", "", "")
    assert again(folder).verdict == "holds"


def test_it_draws_from_the_stream_that_measured(folder, monkeypatch):
    drawn = {}

    def watched(deployment, *, rng, **options):
        drawn[deployment.policy] = rng.random()
        return measure_again(deployment, rng=rng, **options)

    monkeypatch.setattr(folder_module, "measure_again", watched)
    again(folder)
    assert drawn == {name: generator(3, "gap", name).random() for name in ("plain", "wide")}


def test_a_gap_that_was_written_by_hand_is_found(folder):
    rewrite(folder, lambda tables: tables["Policy"][1].update(kl_gap=0.125))
    ((verdict, policy, message),) = said(again(folder))
    assert (verdict, policy) == ("violated", 1)
    assert message.startswith("kl_gap is 0.125, but measured again it is ")
    (witness,) = again(folder).witnesses
    assert witness.excess == pytest.approx(abs(0.125 - float(message.split()[-1])), rel=1e-6)


def test_a_draw_that_was_changed_is_found(folder):
    rewrite(folder, lambda tables: tables["Draw"][0].update(drawn_value=tables["Draw"][0]["drawn_value"] + 0.1))
    assert {(verdict, policy) for verdict, policy, _ in said(again(folder))} == {("violated", 1)}


def test_a_recording_that_was_changed_is_found(folder):
    path = folder / "trajectories" / "sim_wide.parquet"
    shutil.copy(folder / "trajectories" / "sim_plain.parquet", path)
    ((verdict, policy, message),) = said(again(folder))
    assert (verdict, policy) == ("violated", 1)
    assert "trajectories/sim_wide.parquet is not the recording that was measured: its SHA-256 is" in message


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda folder: (folder / "study.toml").unlink(), "no such study"),
        (lambda folder: (folder / "study.toml").write_text("[study]\nname = 'x'\n"), "the study has no robot"),
        (lambda folder: (folder / "trajectories" / "real_pendulum.parquet").unlink(), "No such file"),
        (lambda folder: rewrite(folder, lambda t: t["Observation"][0].pop("recording_digest")), "names no recording"),
        (
            lambda folder: rewrite(folder, lambda t: t["Policy"][0].update(policy_name="plane")),
            "unknown policy 'plane'",
        ),
        (lambda folder: rewrite(folder, lambda t: t["SimEnv"][0].pop("train")), "name 0 recordings"),
    ],
)
def test_what_stands_in_the_way_leaves_the_law_open(folder, change, part):
    change(folder)
    result = again(folder)
    assert result.verdict == "undecided"
    verdict, policy, message = said(result)[0]
    assert (verdict, policy) == ("undecided", 0)
    assert message.startswith("cannot be measured again: ")
    assert part in message
    assert "\n" not in message


def test_other_versions_explain_a_difference(folder):
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(text.replace("[versions]\n", '[versions]\nnothing-of-this-name = "1.0"\n'))
    assert again(folder).verdict == "holds"
    rewrite(folder, lambda tables: tables["Policy"][0].update(kl_gap=0.125))
    ((_, _, message),) = said(again(folder))
    assert message.endswith("(measured with nothing-of-this-name 1.0, here missing)")


def test_a_gap_that_cannot_be_had_again_is_said(folder):
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(
        text.replace("noise = 0.01\n", "").replace('method = "auto"', 'method = "predictive"')
    )
    ((verdict, _, message), *_) = said(again(folder))
    assert verdict == "violated"
    assert "but there is none again (predictive: sensors without noise have no density" in message
