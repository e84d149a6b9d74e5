"""TCP: RFC 9293, one file a section."""
