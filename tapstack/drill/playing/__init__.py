"""Playing a script: each event at its time, and its Python code at the end."""
