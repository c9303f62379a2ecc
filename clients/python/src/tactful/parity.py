"""The proof before the upload: the reader that servers use scores the golden rows on this machine.

It is the `tactful` command's `model import`. The command is looked for where the client was told, in $TACTFUL_BIN and in
PATH; where there is none, the server is asked to check without registering anything (`Models.push` does that).
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .convert import Ready
from .errors import Error, ModelRefused, ParityError, invalid

# Reading the largest file takes seconds.
_TIMEOUT = 120.0


@dataclass(frozen=True)
class Report:
    """How the proof went."""

    max_abs_diff: float | None
    notes: list[str]


def find(given: str | None) -> str | None:
    """The command, if there is one.

    Raises `InvalidArgument` if one was named that is not there: silence would check less than was asked for.
    """
    for source, path in (("binary", given), ("TACTFUL_BIN", os.environ.get("TACTFUL_BIN"))):
        if path:
            found = shutil.which(path)
            if found is None:
                raise invalid(source, f"is {path}, which is no command that can be run")
            return found
    return shutil.which("tactful")


def check(binary: str, ready: Ready, action: str, group: str) -> Report:
    """Imports the model and lets it score the golden rows."""
    with tempfile.TemporaryDirectory(prefix="tactful-") as folder:
        place = Path(folder)
        (place / "model").write_bytes(ready.data)
        _write_golden(place / "golden.csv", ready)
        command = [binary, "model", "import", str(place / "model"), "--name", ready.name, "--format", ready.format]
        command += ["--golden", str(place / "golden.csv"), "--out", str(place / "out.model"), "--json"]
        command += ["--action", action] if action else []
        command += ["--group", group] if group else []
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Error(f"{binary} could not check the model: {error}", reason="BINARY_FAILED") from None
    if ended.returncode != 0:
        raise refusal(ModelRefused(_told(ended.stderr or ended.stdout), reason="MODEL_REFUSED"))
    try:
        found = json.loads(ended.stdout)
        return Report(found["max_abs_diff"], [str(note) for note in found["notes"]])
    except (ValueError, KeyError, TypeError):
        raise Error(
            f"{binary} answered something else than a report; is it the tactful of this version?",
            reason="BINARY_FAILED",
        ) from None


def refusal(error: ModelRefused) -> ModelRefused:
    """A refusal as what it is: a parity error if the golden rows were off."""
    if "golden row" not in error.message or "off by more" not in error.message:
        return error
    return ParityError(
        f"the model would not score as its library does, so nothing was uploaded: {error.message}",
        reason="PARITY",
        fields={"golden": error.message},
        code=error.code,
    )


def _write_golden(path: Path, ready: Ready) -> None:
    """Numbers in single precision, spelled so that they come back as they are; an empty cell is missing."""
    rows, probabilities = ready.rows, ready.probabilities
    if rows is None or probabilities is None:
        raise invalid("golden", "is missing")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        # The header tells the columns: unlike a file of specs it takes words with a # or a line break.
        writer.writerow([*ready.columns, "probability"])
        for row, probability in zip(rows, probabilities, strict=True):
            writer.writerow([*("" if value != value else str(value) for value in row), repr(float(probability))])


def _told(output: str) -> str:
    """What the command said, without its `error:`."""
    lines = [line.strip() for line in output.strip().splitlines() if line.strip()]
    return " ".join(lines).removeprefix("error:").strip() or "the model was refused without a word"
