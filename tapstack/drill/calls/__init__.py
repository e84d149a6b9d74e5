"""A script's system calls: what is written, what is called, and what came of it."""
