# Catlab's own `query`, by which the tests check the plans of pullbacks that answer queries (`sets.jl`).

"""
Answer a conjunctive query: for each variable in `out_json` its part in every row.

`atoms_json` lists atoms as an object and pairs of an argument (`_id`, a hom or an attribute) and a variable; no
variable stands twice in one atom, where Catlab 0.17.4 fails on some data. `parameters_json` lists variables that
have one value, with the type of the value (`id` for a part).
"""
function answer_query(x, atoms_json, out_json, parameters_json)
  atoms = [atom_expression(atom...) for atom in JSON3.read(atoms_json)]
  out = names_of(out_json)
  head = Expr(:tuple, (Expr(:(=), name, name) for name in out)...)
  diagram = Catlab.Programs.RelationalPrograms.parse_relation_diagram(head, Expr(:block, atoms...))
  given = (; (Symbol(name) => parameter_value(type, value)
              for (name, type, value) in JSON3.read(parameters_json))...)
  answer = query(x, diagram, given; table_type=NamedTuple)
  Tuple(collect(Int, answer[name]) for name in out)
end

atom_expression(object, arguments) =
  Expr(:call, Symbol(object), (Expr(:kw, Symbol(argument), Symbol(variable)) for (argument, variable) in arguments)...)

parameter_value(type, value) = type == "id" ? Int(value) : convert(JULIA_TYPES[type], value)
