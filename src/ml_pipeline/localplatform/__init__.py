"""The embedded platform: a supervisor, a router and one model server per deployment."""
