"""The driver for real devices and real time: one lock, one reader thread."""
