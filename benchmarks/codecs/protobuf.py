"""protobuf: messages that are there already are serialized, and parsed.

Its messages live in C; what a program reads of them, each field made into a Python object when
it is asked for, is not in these times, and neither is filling them.
"""

from __future__ import annotations

from typing import Any

from benchmarks.codecs.cases import BLOB, INTS, LISTING, MIXED, NODES
from benchmarks.codecs.timing import Case
from benchmarks.peers.client import need

descriptor_pb2 = need("google.protobuf.descriptor_pb2")
descriptor_pool = need("google.protobuf.descriptor_pool")
message_factory = need("google.protobuf.message_factory")

_SCHEMA = {
    "Mixed": "a sint32, b uint32, c sint64, d uint64, e bool, f uint32, g float, h double,"
    " i sint32, j uint32",
    "Entry": "fileid uint64, name string, cookie uint64, handle bytes, type uint32, mode uint32,"
    " size uint64, sec uint32, nsec uint32",
    "Listing": "status sint32, path string, verf bytes, entries Entry*, eof bool",
    "Ints": "values sint32*",
    "Blob": "data bytes",
    "Node": "value sint32, name string",
    "Nodes": "nodes Node*",
}


def _classes() -> dict[str, Any]:
    """The message classes, without protoc."""
    file = descriptor_pb2.FileDescriptorProto(name="codec.proto", package="codec", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for number, text in enumerate(fields.split(", "), 1):
            field_name, kind = text.split()
            field = message.field.add(name=field_name, number=number, label=kinds.LABEL_OPTIONAL)
            if kind.endswith("*"):
                field.label = kinds.LABEL_REPEATED
            kind = kind.rstrip("*")
            if kind in _SCHEMA:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".codec.{kind}"
            else:
                field.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    find = pool.FindMessageTypeByName
    return {name: message_factory.GetMessageClass(find(f"codec.{name}")) for name in _SCHEMA}


def cases() -> dict[str, Case]:
    """The cases."""
    of = _classes()
    status, path, verf, entries, eof = LISTING
    names = [text.split()[0] for text in _SCHEMA["Entry"].split(", ")]
    listed = [of["Entry"](**dict(zip(names, each, strict=True))) for each in entries]
    values = {
        "mixed": of["Mixed"](**dict(zip("abcdefghij", MIXED, strict=True))),
        "listing": of["Listing"](status=status, path=path, verf=verf, entries=listed, eof=eof),
        "ints": of["Ints"](values=INTS),
        "blob": of["Blob"](data=BLOB),
        "list": of["Nodes"](nodes=[of["Node"](value=value, name=name) for value, name in NODES]),
    }
    return {
        name: Case(value, type(value).SerializeToString, type(value).FromString)
        for name, value in values.items()
    }
