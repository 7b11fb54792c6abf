"""One module a stage: fetch through ports, decide with `domain`, hand on."""
