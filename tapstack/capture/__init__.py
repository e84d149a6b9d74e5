"""Captures: what was on the wire, in files."""
