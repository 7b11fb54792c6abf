"""An open-model load generator: requests leave on schedule whatever the answers do."""
