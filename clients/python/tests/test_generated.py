"""The generated code is what the protos say."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pool

HERE = Path(__file__).resolve().parents[1]
PROTO = HERE.parents[1] / "proto" / "tactful" / "v1"
FILES = sorted(PROTO.glob("*.proto"))
SCALARS = {1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 8: "bool", 9: "string", 12: "bytes", 13: "uint32"}
MEMBER = re.compile(r"(?:([\w.<>, ]+) )?(\w+) = (\d+)(?: \[.*\])?;")


def test_generated_code_is_up_to_date_to_the_byte() -> None:
    """With the pinned grpcio-tools alone, which a venv with a newer protobuf cannot hold."""
    try:
        found = version("grpcio-tools")
    except PackageNotFoundError:
        found = "none"
    if found != "1.62.3":
        pytest.skip("grpcio-tools 1.62.3 is not installed here; generate.py says how")
    ended = subprocess.run([sys.executable, str(HERE / "generate.py"), "--check"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("proto", FILES, ids=lambda proto: proto.stem)
def test_generated_code_knows_every_field_value_and_method(proto: Path) -> None:
    """Whatever protobuf is installed: the proto is read line by line and looked up in what was generated."""
    importlib.import_module(f"tactful._proto.{proto.stem}_pb2")
    said, made = written(proto), generated(proto)
    assert said and made == said, "the generated code is out of date: run python generate.py"


def written(proto: Path) -> set[tuple[str, ...]]:
    """What a proto says: kind, name and number of each field, names of methods."""
    found: set[tuple[str, ...]] = set()
    of = ""
    for line in proto.read_text().splitlines():
        code = line.split("//")[0].strip()
        if begun := re.match(r"(?:message|enum|service) (\w+) \{", code):
            of = begun[1]
        elif rpc := re.match(r"rpc (\w+)\(", code):
            found.add((of, rpc[1]))
        elif (member := MEMBER.match(code)) and not code.startswith(("option ", "syntax", "package")):
            found.add((of, (member[1] or "").removeprefix("optional "), member[2], member[3]))
    return found


def generated(proto: Path) -> set[tuple[str, ...]]:
    """The same of the generated code."""
    of = descriptor_pool.Default().FindFileByName(f"tactful/v1/{proto.name}")
    found: set[tuple[str, ...]] = set()
    for name, message in of.message_types_by_name.items():
        found |= {(name, kind_of(field), field.name, str(field.number)) for field in message.fields}
    for name, enum in of.enum_types_by_name.items():
        found |= {(name, "", value.name, str(value.number)) for value in enum.values}
    for name, service in of.services_by_name.items():
        found |= {(name, method.name) for method in service.methods}
    return found


def kind_of(field: Any) -> str:
    """The kind of a field as our protos spell it."""
    named = field.message_type or field.enum_type
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return f"map<{kind_of(key)}, {kind_of(value)}>"
    kind = SCALARS[field.type] if named is None else named.full_name.removeprefix("tactful.v1.")
    repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
    return f"repeated {kind}" if repeated else kind
