"""The contract of every platform's adapters as checks that run against any of them."""
