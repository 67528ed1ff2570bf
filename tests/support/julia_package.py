"""The Julia package as it is written: its files, the names that they may use, and the calls that Python makes of it."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from julia_names import Definition, JuliaFile, Use, normalized, read_julia
from places import ROOT


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


FOLDER = ROOT / "julia"
MODULE = "Sim2RealCat.jl"
CALLING = (ROOT / "sim2real_cat" / "acsets" / "catlab", ROOT / "tests" / "support")
"""The folders of the Python modules that call Julia; of the tests', to compare Catlab's own ways with ours."""


CORE = words(
    """
    : => AbstractFloat AbstractString Any ArgumentError Bool ErrorException Exception Expr Float64 Function IO Int Int64
    Integer NamedTuple Nothing Number Real String Symbol Tuple Type UndefVarError Union include isa isdefined nothing
    throw tuple typeof
    """
)
"""Names that stay where the language puts them: those of Core, the two operators that the grammar itself needs, and
`include`, of which each module has its own. No package of ours exports another by these names."""

PACKAGES: dict[str, frozenset[str]] = {
    "ACSets": words(
        """
        ACSets AnonACSet AttrVar BasicSchema DynamicACSet acset_schema add_parts! attrs attrtypes cascading_rem_parts!
        clear_subpart! copy_parts! disjoint_union generate_json_acset homs incident nparts parse_json_acset_schema parts
        read_json_acset rem_parts! set_subpart! subpart
        """
    ),
    "Catlab": words(
        """
        @acset_type @present @withmodel ACSetCategory ACSetTransformation Catlab DeltaMigration FinCat
        FinFunction FinFunctor FreeSchema LooseACSetCat Path Presentation SigmaMigrationFunctor SkelFinSet
        Subobject VarACSetCat codom coequalizer coproduct dom equalizer generator hom homomorphism homomorphisms incl
        legs migrate! ob product proj1 proj2 pullback pushout query
        """
    ),
    "JSON3": words("JSON3"),
}
"""Names that the module has of the packages it uses as a whole, by the package that exports them."""

QUALIFIED = words(
    """
    ACSets.DenseACSets.attr_type
    Catlab.Programs.RelationalPrograms.parse_relation_diagram
    Iterators.flatten JSON3.read JSON3.write
    """
)
"""Names that are used through their module. Each has been seen in that module's source."""


@cache
def files() -> dict[str, JuliaFile]:
    """Read every file of the module, by its name."""
    text = (FOLDER / MODULE).read_text(encoding="utf-8")
    names = [MODULE, *re.findall(r'^include\("(.*)"\)$', text, re.MULTILINE)]
    return {name: read_julia((FOLDER / name).read_text(encoding="utf-8")) for name in names}


def imported() -> dict[str, tuple[str, ...]]:
    """Return the names that the module imports one by one, by the module that has them."""
    return dict(files()[MODULE].imported)


def definitions(read: Mapping[str, JuliaFile] | None = None) -> dict[str, list[tuple[str, Definition]]]:
    """Return every definition with its file, by its name; a function has one for each method.

    Args:
        read: files of another package, by name; those of ours where none are given.
    """
    found: dict[str, list[tuple[str, Definition]]] = {}
    for file, one in (read or files()).items():
        for definition in one.definitions:
            found.setdefault(definition.name, []).append((file, definition))
    return found


def functions() -> dict[str, list[tuple[str, Definition]]]:
    """Return the definitions that are functions."""
    return {
        name: methods for name, methods in definitions().items() if all(one.arity is not None for _, one in methods)
    }


def strangers() -> dict[str, list[tuple[str, Use]]]:
    """Return every name that the module uses and does not define, with the places."""
    own = set(definitions())
    found: dict[str, list[tuple[str, Use]]] = {}
    for file, read in files().items():
        for use in read.uses:
            if use.name not in own:
                found.setdefault(use.name, []).append((file, use))
    return found


def reached_from(name: str, read: Mapping[str, JuliaFile] | None = None) -> set[str]:
    """Return the definitions of the module that a definition uses, itself and what these use included."""
    known, reached, waiting = definitions(read), set(), [name]
    while waiting:
        one = waiting.pop()
        if one in known and one not in reached:
            reached.add(one)
            waiting += [use.name for _, definition in known[one] for use in definition.uses]
    return reached


def digest(name: str, read: Mapping[str, JuliaFile] | None = None) -> str:
    """Return eight digits that change with the text of a function, or of anything of the module that it reaches."""
    known = definitions(read)
    texts = [normalized(one.text) for used in sorted(reached_from(name, read)) for _, one in known[used]]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Call:
    """A place in Python at which a function of the Julia module is called.

    Attributes:
        place: the file, and the line.
        caller: the Python function that calls.
        names: the names that the call may have; more than one where an expression chooses.
        number: the positional arguments that are written out.
        open: whether there are more, unpacked from a sequence.
    """

    place: str
    caller: str
    names: tuple[str, ...]
    number: int
    open: bool


@cache
def python_calls() -> tuple[Call, ...]:
    """Read every `julia.call("name", ...)` of the package and of what tests share."""
    return tuple(
        call
        for folder in CALLING
        for path in sorted(folder.glob("*.py"))
        for call in calls_in(path.read_text(encoding="utf-8"), path.name)
    )


def calls_in(text: str, file: str) -> Iterator[Call]:
    """Yield the calls of Julia in the text of a Python module.

    Where the name is a parameter of the function that calls, it may be any that the module hands over.
    """
    tree = ast.parse(text)

    def visit(node: ast.AST, caller: ast.FunctionDef | None) -> Iterator[Call]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call) and ast.unparse(child.func) == "julia.call":
                name, *arguments = child.args
                starred = sum(isinstance(argument, ast.Starred) for argument in arguments)
                yield Call(
                    f"{file}:{child.lineno}",
                    caller.name if caller else "",
                    _texts(name) or _handed_over(tree, name, caller),
                    len(arguments) - starred,
                    starred > 0,
                )
            yield from visit(child, child if isinstance(child, ast.FunctionDef) and caller is None else caller)

    yield from visit(tree, None)


def _texts(node: ast.AST) -> tuple[str, ...]:
    found = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
    return tuple(value for value in found if isinstance(value, str))


def _handed_over(tree: ast.AST, name: ast.expr, caller: ast.FunctionDef | None) -> tuple[str, ...]:
    """Return the texts that a module gives for the parameter `name` of one of its functions."""
    parameters = [] if caller is None else [argument.arg for argument in caller.args.args]
    if caller is None or not isinstance(name, ast.Name) or name.id not in parameters:
        return ()
    position = parameters.index(name.id)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == caller.name]
    return tuple(text for node in calls if len(node.args) > position for text in _texts(node.args[position]))
