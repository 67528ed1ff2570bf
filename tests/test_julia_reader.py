"""The reader of Julia texts finds what is free, and only that."""

from __future__ import annotations

import pytest
from julia_names import normalized, read_julia
from julia_package import calls_in


def free(text):
    """The free names of a text without those that it defines, sorted."""
    read = read_julia(text)
    assert read.errors == ()
    return sorted({use.name for use in read.uses} - {definition.name for definition in read.definitions})


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("f(x) = g(x)", ["g"]),
        ("function f(x)\n  y = x\n  y\nend", []),
        ("function f(x)\n  y\n  y = x\nend", []),
        ("f(x) = x.y.z", []),
        ("f(x) = A.B.g(x)", ["A"]),
        ("f(x) = :sym => :(a + $x + $(y))", ["=>", "y"]),
        ("f(path) = length(path)", ["length"]),
        ("f(length) = length", []),
        # arguments: defaults, types, keywords, what is taken apart, what is collected
        ("f(x::T, y=z; k=w, rest...) = (x, y, k, rest)", ["T", "w", "z"]),
        ("f((a, b), ::Type{Int}, xs::Real...) = (a, b, xs)", ["Int", "Real", "Type"]),
        ("f(x; k) = g(x; k, m=n)", ["g", "n"]),
        ("f(x) = (monic=x, iso=y)", ["y"]),
        ("f(x)::Int = x", ["Int"]),
        # type parameters
        ("f(x::T) where {T<:Real} = T", ["Real"]),
        ("function f(x::Vector{T})::S where {T, S}\n  T\nend", ["Vector"]),
        ("f(x::T) where T = T", []),
        # assignments
        ("function f(x)\n  a, (b, c) = x\n  (d, e...) = x\n  a + b + c + d + e\nend", ["+"]),
        ("function f(x)\n  (; a, b) = x\n  a, b\nend", []),
        ("function f(x)\n  x[i] = j\n  x.k = l\nend", ["i", "j", "l"]),
        ("function f(x)\n  x += 1\n  y .= 2\nend", ["+", "y"]),
        ("function f(x)\n  g(y) = y\n  g(x)\nend", []),
        ("function f()\n  a::Int = 2\n  local b = a\n  b\nend", ["Int"]),
        ("function f()\n  a = b = 2\n  if (c = a) > b\n    c\n  end\nend", [">"]),
        # comprehensions, generators, loops
        ("f(xs) = [g(x, y) for x in xs for y in x if y]", ["g"]),
        ("f(xs) = sum(x for (x, y) in xs if y > 0)", [">", "sum"]),
        ("f(xs) = [x for x in x]", ["x"]),
        ("f(xs) = Dict{A,B}(k => v for (k, v) in xs)", ["=>", "A", "B", "Dict"]),
        ("f(xs) = ([x for x in xs], x)", ["x"]),
        ("f(xs) = (; (k => v for (k, v) in xs)...)", ["=>"]),
        ("function f(xs)\n  for (i, x) in enumerate(xs), j = 1:i\n    k = x\n    k, j\n  end\nend", [":", "enumerate"]),
        ("function f(xs)\n  for i in xs\n    k = i\n  end\n  k\nend", ["k"]),
        ("function f(x)\n  while x\n    y = x\n  end\nend", []),
        ("function f(x)\n  let y = x, z = y\n    w = z\n    w\n  end\nend", []),
        # functions without a name
        ("f(xs) = map(xs) do (a, b), c\n  d = a\n  d, b, c, e\nend", ["e", "map"]),
        ("f(xs) = map(x -> x + y, xs)", ["+", "map", "y"]),
        ("f(xs) = g((x, y::T) -> x)", ["T", "g"]),
        ("f() = open(io -> print(io, x), path)", ["open", "path", "print", "x"]),
        ("function f()\n  try\n    g()\n  catch error\n    error\n  end\nend", ["g"]),
        ("function f()\n  try\n    g()\n  catch\n    error\n  end\nend", ["error", "g"]),
        # texts
        ('f(x) = "a $x $(g(y)) z"', ["g", "y"]),
        ('f(x) = """ $y """', ["y"]),
        ('f(x) = r"x"', ["@r_str"]),
        # operators and macros
        ("f(x) = x ∈ y && !x || x in z", ["!", "in", "y", "z", "∈"]),
        ("f(x) = findall(>(0), x .* x)", ["*", ">", "findall"]),
        ("f(x) = x[1:end-1] ./ -1", ["-", "/", ":"]),
        ("f(x) = x isa Int ? x : nothing", ["Int", "isa", "nothing"]),
        ("f(x) = 2x", ["*"]),
        ("f(x) = any.(x) |> all", ["all", "any", "|>"]),
        ("f(x) = @assert x == y", ["==", "@assert", "y"]),
        ("f(C, a, b) = @withmodel C (∧, ∨, ⊤, ⊥) begin\n  a ∧ b ∨ ⊤\nend", ["@withmodel"]),
        ("@setup begin\n  x = 1\n  @work begin\n    y = x\n    f(y)\n  end\nend", ["@setup", "@work", "f"]),
        # what is defined
        ("const A, B = 1, C", ["C"]),
        ("struct A{T} <: B\n  x::T\n  y::C\nend\nf() = A", ["B", "C"]),
        ("@present S(FreeSchema) begin\n  X::Ob\n  f::Hom(X, X)\nend\n@acset_type T(S, index=[:f])",
         ["@acset_type", "@present", "FreeSchema"]),
        ("@present S <: R begin\n  X::Ob\nend", ["@present", "R"]),
        ("Base.show(io::IO, x::A) = print(io, x)", ["A", "Base", "IO", "print"]),
        ("macro m(x)\n  esc(x)\nend", ["esc"]),
        ("\"\"\"\nText of `x`.\n\"\"\"\nf(x) = x", []),
    ],
)  # fmt: skip
def test_free_names(text, names):
    assert free(text) == names


def test_a_module_its_imports_and_exports():
    text = "using A, B.C\nusing D: @m, n\nimport Base: ==, collect,\n  ∈\nexport f, K\nf(x) = 1\nconst K = 2\n"
    read = read_julia(f"module M\n{text}end")
    assert read.modules == ("A", "B.C")
    assert read.imported == {"D": ("@m", "n"), "Base": ("==", "collect", "∈")}
    assert read.exported == ("f", "K")
    assert [(one.name, one.line) for one in read.definitions] == [("f", 7), ("K", 8)]


def test_errors_name_their_line():
    assert read_julia("f(x) = 1\ng(x) = (1\n").errors[0].startswith("line 2: ")
    assert read_julia("function f(x)\n  x\n").errors


@pytest.mark.parametrize(
    ("text", "arity"),
    [
        ("f() = 1", (0, 0)),
        ("f(x, y=2; k=3) = 1", (1, 2)),
        ("f(x; k, rest...) = 1", (1, 1)),
        ("function f(x::Int, (a, b), ::T, xs...)::Int where T\nend", (3, None)),
        ("const f = 1", None),
    ],
)
def test_arity(text, arity):
    (definition,) = read_julia(text).definitions
    assert definition.arity == arity
    assert definition.takes(1) == (arity is not None and arity[0] <= 1 and arity[1] != 0)


def test_qualified_names_are_kept_whole():
    uses = read_julia("f(x) = A.B.g(x.y).z").uses
    assert [(use.name, use.written) for use in uses] == [("A", "A.B.g")]


def test_layout_and_comments_do_not_count():
    plain = normalized("f(x) = g(x)")
    assert normalized('f(x) =  # says "why"\n    g( x )') == plain
    assert normalized("f(x) = g(y)") != plain
    assert len(set(map(normalized, ('f(x) = "# $x"', 'f(x) = "#  $x"', 'f(x) = "# $y"', 'f(x) = """\n# a\n"""')))) == 4


def test_calls_of_python():
    text = 'def f(x):\n    def g():\n        julia.call("a" if x else "b", x, *y)\n'
    text += '    julia.call("c", [julia.call("d")])'
    found = {call.names: (call.caller, call.number, call.open) for call in calls_in(text, "m.py")}
    assert found == {("a", "b"): ("f", 1, True), ("c",): ("f", 1, False), ("d",): ("f", 0, False)}
    assert next(calls_in("julia.call(name, 1)", "m.py")).names == ()
    assert next(calls_in("def f(x):\n    julia.call(name, x)", "m.py")).names == ()
    text = "def f(x, name):\n    julia.call(name, x)\nf(1, 'a')\nf(2, 'b')\n"
    assert next(calls_in(text, "m.py")).names == ("a", "b")
