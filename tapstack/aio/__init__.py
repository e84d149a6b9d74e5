"""Transports of the stack's own for asyncio's protocols."""
