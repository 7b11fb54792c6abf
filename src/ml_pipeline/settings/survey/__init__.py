"""What can be seen of a project without running any of it: its scripts, tables and tools."""
