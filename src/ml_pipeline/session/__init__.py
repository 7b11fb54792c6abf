"""A run as a whole: one at a time, interruptible, resumable, recorded whatever happens."""
