"""Read Julia files without a Julia: what they define and import, and the free names of their functions.

The grammar is tree-sitter's. A name is free where nothing binds it: no argument, no assignment of an enclosing
function, loop, comprehension, `let` or `do`, no `where`. Names of fields and keyword arguments, and quoted symbols, do
not count. Operators and macros are names like all others: `x += 1` uses `+`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import tree_sitter
import tree_sitter_julia
from tree_sitter import Node

SYNTAX = frozenset(["=", "->", "&&", "||", "::", "<:", "===", "!==", "begin", "end"])
"""Operators and words of the language itself, which no module can define anew."""
IDENTIFIERS = {"⊤": "ᐪ", "⊥": "ᐩ"}
"""Letters for Julia, signs for the grammar: they are read as other letters."""
SCOPES = frozenset(
    [
        "function_definition",
        "macro_definition",
        "arrow_function_expression",
        "do_clause",
        "for_statement",
        "while_statement",
        "let_statement",
        "catch_clause",
        "quote_expression",
    ]
)
"""What has variables of its own."""
STATEMENTS = frozenset(["using_statement", "import_statement", "export_statement"])
GENERATORS = frozenset(["comprehension_expression", "parenthesized_expression", "argument_list"])
NUMBERS = frozenset(["integer_literal", "float_literal"])


@dataclass(frozen=True)
class Use:
    """A name that is used where nothing binds it; `written` is the whole, `A.B.f` of the name `A`."""

    name: str
    line: int
    written: str


@dataclass(frozen=True)
class Definition:
    """A name that a file defines: one method of a function, or a constant, type or schema.

    Attributes:
        name: the name.
        line: where it begins, from 1.
        text: its source.
        uses: the free names in it.
        arity: the least and the largest number of positional arguments, None where there is no bound; None instead of
            both where the definition is no function.
    """

    name: str
    line: int
    text: str
    uses: tuple[Use, ...]
    arity: tuple[int, int | None] | None = None

    def takes(self, number: int) -> bool:
        """Return whether it is a method that can be called with so many positional arguments."""
        return self.arity is not None and self.arity[0] <= number and (self.arity[1] is None or number <= self.arity[1])


@dataclass(frozen=True)
class JuliaFile:
    """One file as it was read.

    Attributes:
        errors: the places that the grammar cannot read, as "line 3: ...".
        definitions: what it defines, in its order.
        uses: the free names of all of it; names that it defines elsewhere are among them.
        imported: the names that are imported one by one, by module.
        modules: the modules that are used as a whole.
        exported: the names that it exports.
    """

    errors: tuple[str, ...]
    definitions: tuple[Definition, ...]
    uses: tuple[Use, ...]
    imported: Mapping[str, tuple[str, ...]]
    modules: tuple[str, ...]
    exported: tuple[str, ...]


def read_julia(text: str) -> JuliaFile:
    """Read the text of a Julia file."""
    root = _parsed(text)
    imported: dict[str, tuple[str, ...]] = {}
    modules: list[str] = []
    exported: list[str] = []
    code = []
    for node in _statements(root):
        if node.type == "export_statement":
            exported += map(_text, node.named_children)
        elif node.type in STATEMENTS:
            for child in node.named_children:
                if child.type == "selected_import":
                    module, *names = map(_text, child.named_children)
                    imported[module] = (*imported.get(module, ()), *names)
                else:
                    modules.append(_text(child))
        else:
            code.append(node)
    return JuliaFile(
        tuple(_errors(root)),
        tuple(found for node in code for found in _definitions(node)),
        tuple(use for node in code for use in _uses(node, frozenset())),
        imported,
        tuple(modules),
        tuple(exported),
    )


def _parsed(text: str) -> Node:
    for sign, letter in IDENTIFIERS.items():
        text = text.replace(sign, letter)
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_julia.language())).parse(text.encode()).root_node


def _text(node: Node) -> str:
    assert node.text is not None
    text = node.text.decode()
    for sign, letter in IDENTIFIERS.items():
        text = text.replace(letter, sign)
    return text


def _line(node: Node) -> int:
    return node.start_point[0] + 1


def _errors(node: Node) -> Iterator[str]:
    if node.is_error or node.is_missing:
        yield f"line {_line(node)}: {_text(node)[:60] or node.type!r}"
    else:
        for child in node.children:
            yield from _errors(child)


def _statements(root: Node) -> Iterator[Node]:
    """Yield the statements at the top of a file and of the modules in it."""
    for node in root.named_children:
        if node.type == "module_definition":
            yield from (child for child in _statements(node) if child != node.child_by_field_name("name"))
        elif node.type not in ("line_comment", "block_comment"):
            yield node


# What is defined


def _definitions(node: Node) -> Iterator[Definition]:
    for name, arity in _defined(node):
        yield Definition(name, _line(node), _text(node), tuple(_uses(node, frozenset())), arity)


def _defined(node: Node) -> Iterator[tuple[str, tuple[int, int | None] | None]]:
    """Yield the names that a statement at the top of a file defines, with the arity of a function."""
    if (call := _signature(node)) is not None:
        name = call.named_children[0]
        if name.type in ("identifier", "operator"):
            yield _text(name), _arity(call)
    elif node.type == "const_statement":
        for child in node.named_children:
            yield from _defined(child)
    elif node.type == "assignment":
        for name in _targets(node.named_children[0]):
            yield name, None
    elif node.type in ("struct_definition", "abstract_definition", "primitive_definition"):
        head = next(child for child in node.named_children if child.type == "type_head")
        while head.type != "identifier":
            head = head.named_children[0]
        yield _text(head), None
    elif node.type == "macro_definition":
        yield "@" + _text(node.named_children[0].named_children[0].named_children[0]), None
    elif node.type == "macrocall_expression" and _text(node.named_children[0]) in ("@present", "@acset_type"):
        head = node.named_children[1].named_children[0]
        yield _text(head if head.type == "identifier" else head.named_children[0]), None


def _signature(node: Node) -> Node | None:
    """Return the call that stands for the arguments of a function's definition, long or short; None of all else."""
    if node.type == "function_definition":
        head = node.named_children[0].named_children[0]
    elif node.type == "assignment":
        head = node.named_children[0]
    else:
        return None
    while head.type in ("where_expression", "typed_expression"):
        head = head.named_children[0]
    return head if head.type == "call_expression" else None


def _arity(call: Node) -> tuple[int, int | None]:
    least, most = 0, 0
    for argument in _positional(call):
        if argument.type == "splat_expression":
            return least, None
        least, most = least + (argument.type != "named_argument"), most + 1
    return least, most


def _positional(call: Node) -> Iterator[Node]:
    for child in call.named_children[1].children:
        if child.type == ";":
            return
        if child.is_named:
            yield child


# What is bound


def _targets(node: Node) -> Iterator[str]:
    """Yield the names that a pattern on the left of `=`, an argument or a variable of a loop binds."""
    if node.type in ("identifier", "operator"):
        yield _text(node)
    elif node.type in ("open_tuple", "tuple_expression", "argument_list", "parenthesized_expression"):
        for child in node.named_children:
            yield from _targets(child)
    elif node.type in ("typed_expression", "splat_expression", "named_argument", "for_binding", "let_binding"):
        yield from _targets(node.named_children[0])


def _assigned(nodes: Iterable[Node]) -> Iterator[str]:
    """Yield the names that nodes of one scope assign, not those of scopes that lie in it."""
    for node in nodes:
        if (call := _signature(node)) is not None:
            yield from _targets(call.named_children[0])
        elif node.type not in SCOPES and not (node.type in GENERATORS and _clauses(node)):
            if node.type == "assignment" or (
                node.type == "compound_assignment_expression" and not _text(node.named_children[1]).startswith(".")
            ):
                yield from _targets(node.named_children[0])
            elif node.type == "local_statement":
                for target in node.named_children:
                    yield from _targets(target)
            yield from _assigned(node.named_children)


def _clauses(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type in ("for_clause", "if_clause")]


# What is used


def _uses(node: Node, bound: frozenset[str]) -> Iterator[Use]:
    """Yield the free names of a node, where the names of `bound` are not."""
    kind, children = node.type, node.named_children
    if kind in ("identifier", "operator", "macro_identifier"):
        yield from _use(node, bound)
    elif (call := _signature(node)) is not None:
        yield from _of_function(node, call, bound)
    elif kind in ("arrow_function_expression", "do_clause", "macro_definition"):
        yield from _of_scope(node, children[0], children[1:], bound)
    elif kind in GENERATORS and (clauses := _clauses(node)):
        yield from _of_generator(node, clauses, bound)
    elif kind == "for_statement":
        bindings = [child for child in children if child.type == "for_binding"]
        yield from _of_bindings(bindings, [child for child in children if child not in bindings], bound)
    elif kind == "let_statement":
        inner = bound | {name for child in children if child.type == "let_binding" for name in _targets(child)}
        yield from _of_all(children, inner | set(_assigned(children)))
    elif kind in ("while_statement", "compound_statement"):
        yield from _of_all(children, bound | set(_assigned(children)))
    elif kind == "catch_clause":
        error = [child for child in children[:1] if child.type == "identifier" and _line(child) == _line(node)]
        yield from _of_all(children[len(error) :], bound | set(map(_text, error)) | set(_assigned(children)))
    elif kind in ("named_argument", "named_field", "let_binding"):
        yield from _of_all([child for child in children[1:] if child.type != "operator"], bound)
    elif kind == "assignment":
        yield from _of_target(children[0], bound)
        yield from _of_all(children[2:], bound)
    elif kind == "field_expression":
        yield from _of_field(node, bound)
    elif kind == "quote_expression":
        yield from _of_all(_interpolations(node), bound)
    elif kind == "struct_definition":
        yield from _of_struct(node, bound)
    elif kind == "macrocall_expression":
        yield from _of_macro(node, bound)
    elif kind == "prefixed_string_literal":
        yield Use(f"@{_text(children[0])}_str", _line(node), _text(children[0]))
        yield from _of_all(children[1:], bound)
    elif kind == "unary_expression" and children[1].type in NUMBERS:  # -1 is a number, not a call of `-`
        return
    else:
        if kind == "range_expression":
            yield Use(":", _line(node), ":")
        elif kind == "juxtaposition_expression":
            yield Use("*", _line(node), "*")
        yield from _of_all(children, bound)


def _of_all(nodes: Iterable[Node], bound: frozenset[str]) -> Iterator[Use]:
    for node in nodes:
        yield from _uses(node, bound)


def _use(node: Node, bound: frozenset[str]) -> Iterator[Use]:
    text = _text(node)
    name = text
    if node.type == "operator":
        parent = node.parent
        if parent is not None and parent.type == "compound_assignment_expression":
            name = name.removesuffix("=")
        name = name.lstrip(".")  # of a broadcast; nothing is left of `.=` and `...`
    if name and name not in SYNTAX and name not in bound:
        yield Use(name, _line(node), text)


def _of_function(node: Node, call: Node, bound: frozenset[str]) -> Iterator[Use]:
    """Yield the free names of a function: of its types and defaults, and of its body."""
    head = node.named_children[0]
    body = node.named_children[1:] if node.type == "function_definition" else node.named_children[2:]
    name, arguments = call.named_children[0], call.named_children[1]
    inner = bound | set(_targets(arguments)) | set(_assigned(body)) | set(_where(head))
    if name.type not in ("identifier", "operator"):  # Base.show(...), or (f::F)(...)
        inner |= set(_targets(name))
        yield from _uses(name, inner) if name.type == "field_expression" else _of_types(name, inner)
    yield from _of_types(arguments, inner)
    while head != call:
        head, *rest = head.named_children
        yield from _of_all(rest, inner)
    yield from _of_all(body, inner)


def _where(head: Node) -> Iterator[str]:
    """Yield the type parameters of a signature."""
    if head.type == "where_expression":
        yield from _parameters(head.named_children[1])
    if head.type in ("signature", "where_expression", "typed_expression"):
        yield from _where(head.named_children[0])


def _parameters(named: Node) -> Iterator[str]:
    for parameter in named.named_children if named.type == "curly_expression" else [named]:
        yield _text(parameter.named_children[0] if parameter.type == "binary_expression" else parameter)


def _of_types(node: Node, bound: frozenset[str]) -> Iterator[Use]:
    """Yield the free names in the types and defaults of arguments, not the arguments themselves."""
    if node.type in ("typed_expression", "named_argument", "unary_typed_expression"):
        first, *rest = node.named_children
        yield from _uses(first, bound) if node.type == "unary_typed_expression" else _of_types(first, bound)
        yield from _of_all([child for child in rest if child.type != "operator"], bound)
    else:
        for child in node.named_children:
            yield from _of_types(child, bound)


def _of_scope(node: Node, arguments: Node, body: list[Node], bound: frozenset[str]) -> Iterator[Use]:
    """Yield the free names of an anonymous function or a macro."""
    call = arguments.named_children[0] if arguments.type == "signature" else arguments
    taken = call.named_children[1] if call.type == "call_expression" else call
    inner = bound | set(_targets(taken)) | set(_assigned(body))
    yield from _of_types(taken, inner)
    yield from _of_all(body, inner)


def _of_generator(node: Node, clauses: list[Node], bound: frozenset[str]) -> Iterator[Use]:
    bindings = [child for clause in clauses for child in clause.named_children if child.type == "for_binding"]
    tests = [child for clause in clauses if clause.type == "if_clause" for child in clause.named_children]
    yield from _of_bindings(bindings, [*tests, *(c for c in node.named_children if c not in clauses)], bound)


def _of_bindings(bindings: list[Node], body: list[Node], bound: frozenset[str]) -> Iterator[Use]:
    """Yield the free names of what a loop goes over, each of which sees the variables before it, and of its body."""
    for binding in bindings:
        yield from _uses(binding.named_children[-1], bound)
        bound |= set(_targets(binding))
    yield from _of_all(body, bound | set(_assigned(body)))


def _of_target(node: Node, bound: frozenset[str]) -> Iterator[Use]:
    """Yield the free names on the left of `=`: of `x[i].f` and of types, not the names that it binds."""
    if node.type in ("open_tuple", "tuple_expression", "splat_expression"):
        for child in node.named_children:
            yield from _of_target(child, bound)
    elif node.type == "typed_expression":
        yield from _of_all(node.named_children[1:], bound)
    elif node.type != "identifier":
        yield from _uses(node, bound)


def _of_field(node: Node, bound: frozenset[str]) -> Iterator[Use]:
    """Yield the name before the first dot."""
    first = node
    while first.type == "field_expression":
        first = first.named_children[0]
    for use in _uses(first, bound):
        yield Use(use.name, use.line, _text(node) if first.type == "identifier" else use.written)


def _interpolations(node: Node) -> Iterator[Node]:
    for child in node.named_children:
        if child.type == "interpolation_expression":
            yield from child.named_children
        else:
            yield from _interpolations(child)


def _of_struct(node: Node, bound: frozenset[str]) -> Iterator[Use]:
    named, *fields = node.named_children
    while named.type in ("type_head", "binary_expression", "parametrized_type_expression"):
        first, *rest = named.named_children
        if named.type == "parametrized_type_expression":
            bound |= set(_parameters(rest[0]))
        yield from _of_all(rest[1:], bound)
        named = first
    for field in fields:
        yield from _of_all(field.named_children[1:], bound)


def _of_macro(node: Node, bound: frozenset[str]) -> Iterator[Use]:
    """Yield the free names of a macro's call; what it reads in a way of its own is left out."""
    macro, *rest = node.named_children
    yield from _use(macro, bound)
    arguments = [child for part in rest for child in part.named_children]
    name = _text(macro)
    if name in (
        "@present",
        "@acset_type",
    ):  # name(FreeSchema) begin ... end, name <: other ..., name(schema, index=[...])
        yield from _of_all(arguments[0].named_children[1:], bound)
    elif name == "@withmodel":  # model (names) begin ... end
        model, names, *body = arguments
        yield from _uses(model, bound)
        yield from _of_all(body, bound | set(_targets(names)))
    else:
        yield from _of_all(arguments, bound)


def normalized(text: str) -> str:
    """Return the words and signs of a source text with a space between them: without comments and layout."""
    return " ".join(_words(_parsed(text)))


def _words(node: Node) -> Iterator[str]:
    if node.type not in ("line_comment", "block_comment"):
        if not node.children:
            yield _text(node)
        for child in node.children:
            yield from _words(child)
