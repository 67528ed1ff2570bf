"""Importing the package is quick: nothing heavy is loaded before it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import sim2real_cat

HEAVY = ["mujoco", "gymnasium", "juliacall", "juliapkg", "hypothesis", "duckdb"]
UNNEEDED = ["email", "numpy", "scipy", "matplotlib", "pyarrow", "networkx", "rich"]
FLOORS = {path.parent.name for path in Path(sim2real_cat.__file__).parent.glob("*/__init__.py")}
NAMESPACES = {"acsets", "errors", "laws", "logs", "noise", "policies", "strategies"}
PROMISED = {
    "ACSet",
    "Deployment",
    "Estimate",
    "EventLog",
    "ExternalWorld",
    "Policy",
    "ProofBundle",
    "Randomization",
    "SchSim2RealTransfer",
    "SchTransferStudy",
    "Schema",
    "Sim2RealError",
    "Sim2RealNaryaEvent",
    "Study",
    "StudyResult",
    "Task",
    "Trajectories",
    "TransferDelta",
    "TransferInstance",
    "World",
    "build_instance",
    "delta",
    "deploy",
    "equalizer",
    "gap",
    "homomorphisms",
    "is_isomorphic",
    "measure",
    "predictive_gap",
    "pullback",
    "pushout",
    "rank",
    "read_log",
    "rollout",
    "sigma",
    "verify_transfer_success",
}
"""What section 5 of the design promises and this version has."""


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh Python has loaded after running some code."""
    report = "\nimport json, sys\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_loads_nothing_heavy():
    assert loaded_after("import sim2real_cat, sim2real_cat.errors").isdisjoint([*HEAVY, *UNNEEDED])


def test_help_of_the_command_line_needs_no_arrays():
    assert loaded_after("import sim2real_cat.cli").isdisjoint([*HEAVY, *UNNEEDED])


def test_checking_laws_needs_no_physics(make_instance, tmp_path):
    path = tmp_path / "instance.json"
    make_instance({"kl_gap": 0.01, "transfer": 0}).write(path)
    code = f"from sim2real_cat.cli import main\nassert main(['check', {str(path)!r}, '--json']) == 0"
    assert loaded_after(code).isdisjoint([*HEAVY, "scipy", "matplotlib", "pyarrow"])


@pytest.mark.parametrize("name", sim2real_cat.__all__)
def test_every_public_name_resolves(name):
    found = getattr(sim2real_cat, name)
    assert name in dir(sim2real_cat)
    if not isinstance(found, ModuleType) and hasattr(found, "__name__"):
        assert found.__name__ == name


def test_promised_names_are_there():
    assert set(sim2real_cat.__all__) >= PROMISED | FLOORS | NAMESPACES
    assert len(set(sim2real_cat.__all__)) == len(sim2real_cat.__all__)


def test_the_top_holds_the_main_job_only():
    """Some 50 names that are no modules; the rest stands on the floors and in namespaces."""
    names = [name for name in sim2real_cat.__all__ if name not in FLOORS | NAMESPACES | {"__version__"}]
    assert len(names) <= 55


def test_every_name_can_be_looked_up_without_the_extra_rl():
    """As `help`, completion and ``import *`` do; those of the other extras are imported when called."""
    packages = ["sim2real_cat", *(f"sim2real_cat.{floor}" for floor in sorted(FLOORS))]
    lines = [f"from {package} import *" for package in packages]
    loaded_after("\n".join(["import sys", "sys.modules['stable_baselines3'] = None", *lines]))


def test_laws_are_a_module():
    assert sim2real_cat.laws is sys.modules["sim2real_cat.transfer.laws"]
    assert [law.name for law in sim2real_cat.laws.ALL]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'sim2real_cat' has no attribute 'Wrold'$"):
        _ = sim2real_cat.Wrold
    with pytest.raises(ImportError, match="cannot import name 'Wrold'"):
        from sim2real_cat import Wrold  # noqa: F401
