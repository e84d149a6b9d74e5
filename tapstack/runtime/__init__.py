"""The driver for real devices and real time: one lock, and whoever waits drives."""
