"""What every room stands on: units, addresses, checksums, codecs, timers, counters, contracts."""
