"""A script's packets: built, read, numbered, and held against what the host sent."""
