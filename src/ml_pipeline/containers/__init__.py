"""Containers of the Dagger module: what is in them, what is mounted, what they run."""
