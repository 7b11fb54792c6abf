"""A workspace of a CI job, with stand-ins for its programs that write down what they are told."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_DAGGER = r"""#!/bin/sh
{ printf '%s\037' "$@"; echo; } >> "$DESK/calls"
for word; do
  case "$word" in call | -m | "$ML_MODULE" | --*) ;; *) function=$word; break ;; esac
done
case "$function" in
  ci | full-pipeline | resume)
    test ! -f "$DESK/killed" || kill -9 $PPID
    exit "$(cat "$DESK/code")" ;;
  evidence)
    test -f "$DESK/outcome" || exit 4
    mkdir -p .ml-pipeline/evidence
    cp "$DESK/outcome" .ml-pipeline/evidence/outcome
    echo "a-run" > .ml-pipeline/evidence/run-id
    echo "# A report" > .ml-pipeline/evidence/report.md ;;
  abort)
    test "$(cat "$DESK/abort")" = 0 || exit "$(cat "$DESK/abort")"
    test ! -f "$DESK/outcome" || echo interrupted > "$DESK/outcome" ;;
  state) echo new > .ml-pipeline/state/registry.db ;;
esac
"""
_GH = r"""#!/bin/sh
{ printf '%s\037' "$@"; echo; } >> "$DESK/asked"
case "$*" in
  *approvals*) cat "$DESK/approver" ;;
  *artifacts\?name=*-full-pipeline*) cat "$DESK/states" ;;
  */comments*POST* | *POST*/comments* | *PATCH*) ;;
  */comments*) cat "$DESK/comments" ;;
esac
"""
_UNZIP = '#!/bin/sh\necho old > "$4/registry.db"\n'
_NOTHING = "#!/bin/sh\n"


@dataclass
class Desk:
    """A workspace, and what the stand-in for `dagger` is to do and has been told."""

    folder: Path
    code: int = 0
    outcome: str | None = "promoted"
    killed: bool = False
    abort: int = 0
    #: credentials the system keeps, by the variable that holds each
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        programs = {
            "dagger": _DAGGER, "gh": _GH, "unzip": _UNZIP, "apk": _NOTHING, "curl": _NOTHING,
        }  # fmt: skip
        for name, text in programs.items():
            path = self.folder / "bin" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        for name in ("work", "temp"):
            (self.folder / name).mkdir()
        self.write("abort", str(self.abort))
        self.write("code", str(self.code))
        for name in ("approver", "states", "comments"):
            self.write(name, "")
        if self.outcome is not None:
            self.write("outcome", self.outcome)
        if self.killed:
            self.write("killed", "")

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text + "\n" if text else "")

    def sh(self, script: str, shell: tuple[str, ...], given: Mapping[str, str]) -> int:
        """Run a script as a step; its exit code."""
        programs = f"{self.folder / 'bin'}:{os.environ['PATH']}"  # noqa: TID251 - a job's own
        own = {"PATH": programs, "DESK": str(self.folder)}
        path = self.folder / "script"
        path.write_text(script)
        done = subprocess.run(
            [*shell, str(path)],
            cwd=self.work,
            env={**given, **own},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        with (self.folder / "said").open("a") as said:
            said.write(done.stdout + done.stderr)
        return done.returncode

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def _lines(self, name: str) -> list[list[str]]:
        path = self.folder / name
        text = path.read_text() if path.exists() else ""
        return [line.split("\x1f")[:-1] for line in text.split("\n") if line]

    @property
    def calls(self) -> list[list[str]]:
        """The words of each call of `dagger`, the version asked for left out."""
        return [words for words in self._lines("calls") if words[0] == "call"]

    @property
    def asked(self) -> list[list[str]]:
        """The words of each call of `gh`."""
        return self._lines("asked")

    @property
    def functions(self) -> list[str]:
        """The functions called, in order."""
        return [function_of(words) for words in self.calls]

    def call_of(self, function: str) -> list[str]:
        """The words of the one call of a function."""
        found = [words for words in self.calls if function_of(words) == function]
        assert len(found) == 1, found
        return found[0]


def function_of(words: list[str]) -> str:
    return next(word for word in words[3:] if not word.startswith("--"))
