"""Packaged models: their format, loading, predicting and the model server."""
