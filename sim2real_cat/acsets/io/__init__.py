"""Formats that instances are written to and read from, and pictures of them."""
