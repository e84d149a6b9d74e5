"""Processes that play scripts, many at once: none can hang the others, or end them."""
