"""Drill: scripts in packetdrill's language, played against a stack in virtual time."""
