"""Ranking of policies in simulation against their ranking in reality."""
