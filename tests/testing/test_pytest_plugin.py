"""The pytest plugin: a fixture that asserts laws, and that loading it costs nothing."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib

from places import ROOT

pytest_plugins = ["pytester"]


def test_the_fixture_in_a_project_of_one_s_own(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(
        """
        import sim2real_cat as s2r

        def instance(gap):
            x = s2r.ACSet(s2r.SchSim2RealTransfer)
            x.add("Observation")
            x.add("RealEnv", observe_real=0)
            x.add("Policy", deploy=0, kl_gap=gap, transfer=None)
            x.set("Policy", 0, transfer=0)
            return s2r.TransferInstance(x)

        def test_good(assert_laws):
            assert_laws(instance(0.1), epsilon=0.5)

        def test_bad(assert_laws):
            assert_laws(instance(0.7), epsilon=0.5)
        """
    )
    done = pytester.runpytest_subprocess("-p", "sim2real_cat.testing.pytest_plugin", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*Policy 0: kl_gap 0.7 >= 0.5, but transfer is the identity*"])
    assert "assertions.py" not in "\n".join(done.outlines), "the helper hides itself from the traceback"


def test_it_is_an_entry_point_that_loads_nothing_heavy():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (module,) = project["entry-points"]["pytest11"].values()
    assert importlib.import_module(module).__doc__
    code = f"import pytest; import sys; before = set(sys.modules); import {module}; print(set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    assert {name.split(".")[0] for name in eval(done.stdout)} == {"lazy_loader", "sim2real_cat"}
