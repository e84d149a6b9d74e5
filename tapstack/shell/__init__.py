"""The net shell: one table of commands, run from a terminal, a pipe or `-c`."""
