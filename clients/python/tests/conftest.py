"""A real server for all tests: `tactful serve` from $TACTFUL_BIN, or built with cargo, on ports of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

import tactful

ROOT = Path(__file__).resolve().parents[3]
PLACEMENTS = ("web_home", "web_account")


@pytest.fixture(scope="session")
def binary() -> str:
    """The server's program."""
    given = os.environ.get("TACTFUL_BIN")
    if given:
        return given
    built = subprocess.run(
        ["cargo", "build", "-q", "-p", "tactful", "--message-format=json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    lines = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    return next(line["executable"] for line in reversed(lines) if line.get("executable"))


@pytest.fixture(scope="session")
def server(binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running server."""
    folder = tmp_path_factory.mktemp("server")
    command = [binary, "serve", "--catalog", str(ROOT / "catalog"), "--data-dir", str(folder / "data")]
    command += ["--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert process.stdout is not None
            ready = re.search(r"grpc=(\S+)", process.stdout.readline())
            assert ready, (folder / "stderr").read_text()
            yield ready[1]
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture(scope="session")
def client(server: str, binary: str) -> Iterator[tactful.Client]:
    with tactful.Client(server, binary=binary, timeout=20) as client:
        yield client


@pytest.fixture
def bare(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tactful.Client]:
    """A client on a machine without the command."""
    monkeypatch.delenv("TACTFUL_BIN", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with tactful.Client(server, timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
def record(client: tactful.Client) -> None:
    """Some customers, decisions and answers on the server."""
    random = numpy.random.default_rng(7)
    traits = [
        {
            "age": float(random.integers(18, 90)),
            "segment": ["starter", "family", "premium", "senior"][int(random.integers(4))],
            "has_mobile": bool(random.random() < 0.5),
            **({"tenure_months": float(random.integers(0, 200))} if at % 3 else {}),
        }
        for at in range(120)
    ]
    events = [tactful.Event.identify(f"customer:{at}", said) for at, said in enumerate(traits)]
    receipt = client.ingest(events)
    answers = []
    for at in range(120):
        context = {"intent": "buy", "hour_of_day": int(random.integers(24)), "signed_in": bool(at % 2)}
        decision = client.decide(f"customer:{at}", PLACEMENTS, context=context, after=receipt)
        answers += [(action, "exposed") for action in decision]
        if decision.top is not None:
            answers.append((decision.top, "accepted" if random.random() < 0.4 else "rejected"))
    client.outcomes(answers)
