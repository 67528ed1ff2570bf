"""Tools to test your own data: Hypothesis strategies, assert_laws and the pytest plugin."""
