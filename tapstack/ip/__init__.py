"""IPv4: routing, fragments, forwarding, ICMP and raw sockets."""
