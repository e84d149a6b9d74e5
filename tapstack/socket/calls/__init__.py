"""The system calls of a process, as C programs know them, over a stack."""
