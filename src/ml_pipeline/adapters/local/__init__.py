"""The embedded platform and the host, spoken through the ports."""
