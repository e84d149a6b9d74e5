"""ARP: which station on the link has an IPv4 address."""
