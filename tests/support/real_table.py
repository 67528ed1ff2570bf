"""The table of tests/acsets/catlab/REAL.md: which functions of the Julia package ran on the real Catlab.

``python tests/support/real_table.py`` brings its rows up to date with the code: new functions are added, those that are
gone are taken out, and one whose text changed since it ran is no longer called run. No row is ever made to say that
something ran: that is written by hand, by the one who saw it, with the digits that ``digest`` gives.

``python tests/support/real_table.py --try > try.jl`` writes the calls to try as a script for Julia, which says of each
whether it gave what the page says, and the digits of the text that it ran.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from julia_package import MODULE, digest, files, functions, python_calls
from places import ROOT

FILE = ROOT / "tests" / "acsets" / "catlab" / "REAL.md"
COMMAND = "python tests/support/real_table.py"
DATE = r"\d{4}-\d{2}-\d{2}"
NEVER, NO_TEXT = "not yet run", "-"
HEAD = "| function | file | called by | ran | text that ran | to try |\n| --- | --- | --- | --- | --- | --- |\n"


@dataclass(frozen=True)
class Row:
    """One function.

    Attributes:
        function: its name.
        file: the file of julia/ that defines it.
        caller: the Python modules that call it, or Julia where it is exported.
        ran: the date of the run, or that there was none since it was written or changed.
        text: the digits of the text that ran.
        call: a call to try, in Julia.
    """

    function: str
    file: str
    caller: str
    ran: str
    text: str
    call: str

    @property
    def is_run(self) -> bool:
        """Whether it is said to have run as it stands."""
        return re.fullmatch(DATE, self.ran) is not None

    def __str__(self) -> str:
        return f"| `{self.function}` | {self.file} | {self.caller} | {self.ran} | {self.text} | `{self.call}` |\n"


def rows(text: str) -> list[Row]:
    """Read the rows of the page."""
    found = re.findall(r"^\| `(.*?)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \| `(.*)` \|$", text, re.MULTILINE)
    return [Row(*cells) for cells in found]


def callers() -> dict[str, str]:
    """Return the functions that Python calls and those that are exported, with the callers, by file and name."""
    found: dict[str, set[str]] = {}
    known = functions()
    calls = [(name, call.place.partition(":")[0]) for call in python_calls() for name in call.names]
    for name, caller in [*calls, *((name, "Julia") for name in files()[MODULE].exported)]:
        if name in known:
            found.setdefault(name, set()).add(caller)
    return {name: ", ".join(sorted(found[name])) for name in sorted(found, key=lambda name: (known[name][0][0], name))}


def current(old: Mapping[str, Row]) -> list[Row]:
    """Return a row for every function that is called, as the code stands now."""
    table, known = [], functions()
    for name, caller in callers().items():
        file, definition = known[name][0]
        row = old.get(name)
        if row is None:
            call = "Sim2RealCat." + re.match(r"(?:function )?(\S+?\(.*?\))", definition.text)[1]
            row = Row(name, file, caller, NEVER, NO_TEXT, call)
        elif row.is_run and row.text != digest(name):
            row = replace(row, ran=f"changed since {row.ran}, not run")
        table.append(replace(row, file=file, caller=caller))
    return table


def refreshed(text: str) -> str:
    """Return the page with its table brought up to date."""
    table = "".join(map(str, current({row.function: row for row in rows(text)})))
    before, _, after = text.partition(HEAD)
    return before + HEAD + table + re.sub(r"\A(?:\|.*\n)*", "", after)


def script(text: str) -> str:
    """Return the calls to try of the page as a script for Julia."""
    lines = re.findall(r"```julia\n(.*?)```", text.partition("## Functions")[2], re.DOTALL)
    for row in rows(text):
        lines += [
            "try",
            f'  println(({row.call}) === false ? "WRONG" : "ran  ", " {row.function} {digest(row.function)}")',
            "catch error",
            f'  println("FAILS {row.function}: ", sprint(showerror, error))',
            "end",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--try"]:
        print(script(FILE.read_text(encoding="utf-8")), end="")
    else:
        path = Path(*sys.argv[1:] or [FILE])
        path.write_text(refreshed(path.read_text(encoding="utf-8")), encoding="utf-8")
