"""What lies in a project's folder and is no part of its source."""

#: What tools leave, and what the pipeline itself writes: names of files and folders at any depth.
LEFT_OUT = frozenset(
    {
        ".git", ".venv", "venv", "__pycache__", "node_modules", "runs", ".ml-pipeline",
        ".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis", ".tox", ".nox",
        ".ipynb_checkpoints", ".coverage", ".DS_Store", ".idea", ".vscode",
    }
)  # fmt: skip
