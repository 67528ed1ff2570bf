"""What is compiled ahead in Julia, read as Python and run over the stand-in: each call is one that Julia will take.

There a workload that raises is only warned of, so that a mistake in it would go unseen.
"""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from julia_package import FOLDER
from julia_stand_in import StandIn

from sim2real_cat.transfer.laws import ALL

TEXT = (FOLDER / "precompile.jl").read_text(encoding="utf-8").partition("@setup_workload")[0]


def as_python(text: str) -> str:
    """Translate plain Julia: functions, `for` on one line, calls and literals."""
    text = re.sub(r"^( *)const ", r"\1", text, flags=re.M).replace("Int[", "[")
    text = re.sub(r"^( *)function (.*)$", r"\1def \2:", text, flags=re.M)
    text = re.sub(r"^( *for .*)$", r"\1:", text, flags=re.M)
    return re.sub(r"^ *end$", "", text, flags=re.M)


def as_array(values):
    return np.array(values) if values else np.zeros(0, np.int64)


@pytest.fixture(scope="module")
def julia_names():
    """The names of the file, with the stand-in's functions under them."""
    worker, called = StandIn(), set()

    def asked(name):
        def ask(*arguments):
            called.add(name)
            return worker.answer(name, [as_array(a) if isinstance(a, list) else a for a in arguments], 1.0)

        return ask

    names = {name: asked(name) for name in dir(StandIn) if not name.startswith("_")}
    names |= {"true": True, "false": False, "nothing": None, "NaN": math.nan, "VALUE": -1, "NOTHING": 0}
    names |= {"keys": list, "LAWS": [law.name for law in ALL if not law.python_only]}
    exec(as_python(TEXT), names)
    # Python sends schemas without line breaks, which the stand-in compares.
    names["GRAPH_JSON"] = json.dumps(json.loads(names["GRAPH_JSON"]), separators=(",", ":"))
    return names | {"called": called}


def test_every_workload_of_the_file_is_run(julia_names):
    assert [one.__name__ for one in julia_names["WORKLOADS"]] == re.findall(r"^function (workload_\w+)", TEXT, re.M)


@pytest.mark.parametrize("name", re.findall(r"^function (workload_\w+)", TEXT, re.M))
def test_a_workload_runs(julia_names, name):
    julia_names["called"].clear()
    julia_names[name]()
    assert julia_names["called"] - {"empty_instance", "add_sizes", "set_hom", "set_attr"}
