"""One release pipeline for ML models, on the host and in Dagger."""
