"""Programs that run inside another environment: a project's own, or a cloud's container."""
