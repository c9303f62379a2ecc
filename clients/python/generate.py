"""Makes src/tactful/_proto again from proto/tactful/v1.

    pip install "grpcio-tools==1.62.3" "setuptools<80"
    python generate.py            # writes
    python generate.py --check    # only says whether something is out of date

The version of grpcio-tools is old on purpose: generated code runs with its own protobuf (4.25) and every later one,
and notebooks pin protobuf for reasons of their own.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROTO = HERE.parent.parent / "proto"
OUT = HERE / "src" / "tactful" / "_proto"
# Generated files import each other by the proto's path; ours live in one package.
IMPORT = re.compile(r"^from tactful\.v1 import", re.MULTILINE)
FIRST_LINE = "# Made by generate.py from proto/tactful/v1; do not edit.\n"


def generate() -> dict[str, str]:
    """The generated files by name."""
    import grpc_tools
    from grpc_tools import protoc

    well_known = Path(grpc_tools.__file__).parent / "_proto"
    protos = sorted((PROTO / "tactful" / "v1").glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            "protoc",
            f"-I{PROTO}",
            f"-I{well_known}",
            f"--python_out={folder}",
            f"--pyi_out={folder}",
            f"--grpc_python_out={folder}",
            *(str(proto) for proto in protos),
        ]
        if protoc.main(arguments) != 0:
            raise SystemExit("protoc failed")
        files = sorted((Path(folder) / "tactful" / "v1").iterdir())
        made = {file.name: FIRST_LINE + IMPORT.sub("from . import", file.read_text()) for file in files}
    made["__init__.py"] = FIRST_LINE
    return made


def stale(made: dict[str, str]) -> list[str]:
    """Names of files that differ from what is there, or that should not be there."""
    there = {file.name: file.read_text() for file in OUT.glob("*.py*")}
    return sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is out of date")
    options = parser.parse_args()
    made = generate()
    names = stale(made)
    if options.check:
        print(f"out of date: {', '.join(names)}; run: python generate.py" if names else "up to date")
        return 1 if names else 0
    OUT.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name in made:
            (OUT / name).write_text(made[name])
        else:
            (OUT / name).unlink()
    print(f"{len(names)} files changed in {OUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
