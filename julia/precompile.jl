# What every use of the engine compiles, done once where the module is loaded as a package: schemas are values, so one
# small instance stands for all.
@setup_workload begin
  schema = """{"version":{"ACSets":"0.0.0","ACSetSchema":"0.0.1"},"Ob":[{"name":"X"}],
              "Hom":[{"name":"f","codom":"X","dom":"X"}],"AttrType":[{"name":"T"}],
              "Attr":[{"name":"a","codom":"T","dom":"X"}],"equations":[]}"""
  @compile_workload begin
    x = empty_instance(schema, """{"T":"float"}""")
    add_sizes(x, """{"X":2,"T":0}""")
    set_hom(x, "f", [2, 2])
    set_attr(x, "a", [0.5, 1.5], [VALUE, VALUE])
    attr_values(x, "a", [1, 2])
    follow_homs(x, """["f","f"]""", [1, 2])
    preimages_of_parts(x, """["f"]""", [1, 2])
    preimages_of_values(x, """["f","a"]""", [1.5], [VALUE])
    json_text(x)
    count_all_homomorphisms(x, x, """{"monic":[],"iso":[],"initial":{}}""")
  end
end
