"""The language: a script's text to its tree, and what its names and expressions mean."""
