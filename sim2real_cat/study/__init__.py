"""One study from end to end: described in TOML, run, written to one folder."""
