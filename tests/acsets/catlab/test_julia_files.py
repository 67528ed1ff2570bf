"""The files of the Julia package, read without a Julia: they parse, and every name is one that the module has.

From Julia 1.12.5 on a name that two used modules export is undefined, and Catlab 0.17.4 exports a `collect` of its own.
So each name of Base is imported one by one, which goes before all that packages export.
"""

from __future__ import annotations

import inspect
import re

import pytest
from julia_names import read_julia
from julia_package import (
    CALLING,
    CORE,
    FOLDER,
    MODULE,
    PACKAGES,
    QUALIFIED,
    calls_in,
    definitions,
    files,
    functions,
    imported,
    python_calls,
    reached_from,
    strangers,
)
from julia_stand_in import StandIn

HERE = "tests/support/julia_package.py"
PARSERS = {"ws", "eq", "lparen", "rparen", "comma", "EOL", "colon", "ident", "expr", "parse_identifier", "collect"}
"""Names that `Catlab.Parsers` exports, and so Catlab."""

SCRIPTS = sorted(FOLDER.rglob("*.jl"))
AHEAD = {name for name, ((file, _), *_) in definitions().items() if file == "precompile.jl"}
OF_PACKAGES = {name: package for package, names in PACKAGES.items() for name in names}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_it_parses(path):
    assert read_julia(path.read_text(encoding="utf-8")).errors == ()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_names_what_the_module_has(path):
    """What tests and examples write as `S.name` or `Sim2RealCat.name` is there."""
    used = set(re.findall(r"\b(?:S|Sim2RealCat)\.(\w+!?)", path.read_text(encoding="utf-8")))
    assert used <= set(definitions())
    assert used or path.name != "runtests.jl"


def test_every_name_is_defined_imported_or_known_of_a_package():
    known = CORE | OF_PACKAGES.keys() | {name for names in imported().values() for name in names}
    unknown = {name: f"{uses[0][0]}:{uses[0][1].line}" for name, uses in strangers().items() if name not in known}
    assert unknown == {}, f"import those of Base in julia/{MODULE}, and write others in PACKAGES of {HERE}"


def test_names_of_base_are_imported_once_each_in_order():
    names = imported()["Base"]
    assert list(names) == sorted(set(names))


def test_an_imported_name_is_used():
    used = strangers()
    assert [name for names in imported().values() for name in names if name not in used] == []


def test_a_listed_name_is_used_and_stands_once():
    used = strangers()
    assert [name for name in OF_PACKAGES if name not in used] == [], f"take it out of PACKAGES of {HERE}"
    assert sum(map(len, PACKAGES.values())) == len(OF_PACKAGES)
    assert OF_PACKAGES.keys() & (CORE | set(imported()["Base"])) == set()


def test_nothing_is_defined_over_a_name_of_others():
    """A function by the name of an imported one would be a method of that one, for all of Julia."""
    others = {*OF_PACKAGES, *PARSERS, *(name for names in imported().values() for name in names), *CORE}
    assert {name: places[0][0] for name, places in definitions().items() if name in others} == {}


def test_packages_used_as_a_whole_are_the_listed_ones():
    used = {module.split(".")[0] for module in files()[MODULE].modules}
    assert used == set(PACKAGES)


def test_names_inside_a_module_are_known():
    found = {
        use.written: f"{file}:{use.line}"
        for uses in strangers().values()
        for file, use in uses
        if "." in use.written.strip(".") and use.written[0].isalpha()
    }
    unknown = {written: place for written, place in found.items() if written not in QUALIFIED}
    assert unknown == {}, f"look them up in that module's source, and write them in QUALIFIED of {HERE}"
    assert sorted(QUALIFIED - set(found)) == []


# Python's calls


def test_python_calls_functions_that_are_there_with_the_arguments_they_take():
    known = functions()
    for call in python_calls():
        assert call.names, f"{call.place}: write the name of the function there, as a text"
        for name in call.names:
            assert name in known, f"{call.place} calls {name}, which no file of julia/ defines"
            fits = [
                one for _, one in known[name] if one.takes(call.number) or (call.open and one.arity[0] > call.number)
            ]
            assert fits, f"{call.place} calls {name} with {call.number} arguments, it takes {known[name][0][1].arity}"


def test_there_are_calls():
    """The reader of Python's calls sees them."""
    assert {"empty_instance", "set_hom", "attr_values", "law_rows"} <= {
        n for call in python_calls() for n in call.names
    }


def test_no_julia_code_is_dead():
    """Every function is called by Python, exported, or used by one that is; a workload to precompile does not count."""
    roots = {name for call in python_calls() for name in call.names} | set(files()[MODULE].exported) | AHEAD
    reached = {one for root in roots for one in reached_from(root)}
    assert sorted(set(definitions()) - reached) == []


def test_every_function_that_python_calls_is_compiled_ahead():
    """Its first call would wait for the compiler."""
    calls = [call for path in CALLING[0].glob("*.py") for call in calls_in(path.read_text(encoding="utf-8"), path.name)]
    called = {name for call in calls for name in call.names}
    assert sorted(called - reached_from("WORKLOADS")) == [], "call it in a workload of julia/precompile.jl"


def test_what_is_exported_is_there():
    assert [name for name in files()[MODULE].exported if name not in definitions()] == []


def test_the_stand_in_answers_every_call_with_as_many_arguments():
    known = functions()
    for call in python_calls():
        for name in call.names:
            answer = getattr(StandIn, name, None)
            assert answer is not None, f"add {name} to tests/support/julia_stand_in.py, {call.place} calls it"
            _, *taken = inspect.signature(answer).parameters.values()
            rest = [argument for argument in taken if argument.kind is argument.VAR_POSITIONAL]
            definition, number = known[name][0][1], len(taken) - len(rest)
            assert definition.takes(number) or (rest and definition.arity[0] >= number), f"{name} takes {taken}"


def test_docstrings_stand_before_what_the_python_side_calls():
    """Each function that crosses says in a docstring what it takes."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.jl"))
    for name in {name for call in python_calls() for name in call.names}:
        assert re.search(rf'"""\n(?:function )?{name}\(', text), f"{name} has no docstring"
