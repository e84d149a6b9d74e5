"""Ethernet II."""
