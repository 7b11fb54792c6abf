"""From whatever a command did to a documented exit code."""

from collections.abc import Callable
from typing import Any

from ml_pipeline.cli.saying import warn
from ml_pipeline.domain.errors import ExitCode, PipelineError


def ended(app: Callable[..., Any]) -> int:
    """Run the app; errors a user can mend are two lines, a bug keeps its traceback.

    Typer ends usage errors with 2, which here means "no improvement": they become 4.
    """
    # Typer carries its own copy of click, so its exceptions are told by what they carry.
    try:
        code = app(standalone_mode=False)
    except PipelineError as error:
        return told(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:
        show = getattr(error, "show", None)
        if show is not None and hasattr(error, "exit_code"):
            show()
            return ExitCode.CONFIGURATION
        if type(error).__name__ == "Abort":
            return ExitCode.INTERRUPTED
        if type(error).__name__ == "Exit" and hasattr(error, "exit_code"):
            return int(error.exit_code)
        raise
    return code if isinstance(code, int) else ExitCode.DONE


def told(error: PipelineError) -> int:
    """Print an error and its remedy; its exit code."""
    warn(f"error: {error}")
    warn(f"  {error.remedy}")
    return int(error.exit_code)
