"""Which of a caller's environment variables processes that need no secrets may see."""

from collections.abc import Mapping

#: Where programs, certificates and temporary files are, and how text and threads are handled.
_NAMES = frozenset({
    "PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
    "PYTHONPATH", "PYTHONHASHSEED", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONUNBUFFERED",
    "PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
})  # fmt: skip
_LOCALE = "LC_"


def harmless(environ: Mapping[str, str]) -> dict[str, str]:
    """Of an environment, what a process needs that loads models or sends requests: no secrets.

    >>> harmless({"PATH": "/bin", "LC_ALL": "C", "PYTHON_TOKEN": "x", "XDG_TOKEN": "x"})
    {'PATH': '/bin', 'LC_ALL': 'C'}
    """
    return {
        name: value for name, value in environ.items() if name in _NAMES or name.startswith(_LOCALE)
    }
