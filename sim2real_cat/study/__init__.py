"""One study from end to end: described in TOML, run, and written to one folder."""
