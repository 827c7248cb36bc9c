"""Random files: good ones mean what they say, and broken ones get an error of ours, soon."""

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rpcserver
from rpcserver import rpcgen
from rpcserver.errors import IdlError, UsageError
from rpcserver.xdr.schema import schema_of
from tests.rpcgen import case
from tests.rpcgen.random_types import RandomFile, shape_of

SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
TEXTS = [path.read_text(encoding="utf-8") for path in [*case.PROJECT, *case.CASES.glob("*.x")]]
TOKEN = re.compile(r"\s+|/\*|\*/|\w+|.", re.DOTALL)
SPARE = [
    *("struct", "union", "enum", "typedef", "const", "program", "version", "switch", "case"),
    *("default", "void", "int", "unsigned", "opaque", "string", "node", "TRUE", "case 1: void;"),
    *("{", "}", "<", ">", "[", "]", "(", ")", "*", ";", ":", ",", "=", "/*", "*/", "%", "#", "\n"),
    *("0", "-1", "0x", "99999999999999999999", "08", "\0", "\x1b", "é", "'", '"', "\\", "_", "__"),
]


@settings(max_examples=60, suppress_health_check=SLOW)
@given(data=st.data())
def test_it_means_what_it_says(data: st.DataObject, tmp_path: Path) -> None:
    file = RandomFile(data.draw)
    path = tmp_path / "random.x"
    path.write_text(file.text)
    module = rpcserver.load(path)
    for name, of in file.types.items():
        if of.node is not None and f"struct {name} " in file.text:
            of = of._replace(shape=of.node)  # the class is that of a node
        made = getattr(module, name.capitalize())
        assert shape_of(schema_of(made)) == of.shape, file.text


def accept_or_refuse(path: Path, data: bytes) -> None:
    """Load a file, which may only fail in our way; what compiles must be Python."""
    path.write_bytes(data)
    with contextlib.suppress(IdlError, UsageError):
        rpcserver.load(path)
        rpcgen.sample(path)


@st.composite
def mutated(draw: Any) -> str:
    """A real file with some of its tokens removed, doubled, exchanged or replaced."""
    tokens = TOKEN.findall(draw(st.sampled_from(TEXTS)))
    for _ in range(draw(st.integers(1, 4))):
        if not tokens:
            break
        at, other = (draw(st.integers(0, len(tokens) - 1)) for _ in range(2))
        change = draw(st.sampled_from(["remove", "cut", "double", "swap", "replace", "insert"]))
        if change == "remove":
            del tokens[at]
        elif change == "cut":
            del tokens[min(at, other) : max(at, other)]
        elif change == "double":
            tokens.insert(at, tokens[other])
        elif change == "swap":
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif change == "replace":
            tokens[at] = draw(st.sampled_from(SPARE))
        else:
            tokens.insert(at, draw(st.sampled_from(SPARE)))
    return "".join(tokens)


@settings(max_examples=80, suppress_health_check=SLOW)
@given(text=mutated())
def test_changed_tokens(text: str, tmp_path: Path) -> None:
    accept_or_refuse(tmp_path / "mutated.x", text.encode())


@settings(max_examples=60, suppress_health_check=SLOW)
@given(
    text=st.sampled_from(TEXTS),
    changes=st.lists(st.tuples(st.integers(0), st.binary(max_size=3)), max_size=5),
)
def test_changed_bytes(text: str, changes: list[tuple[int, bytes]], tmp_path: Path) -> None:
    data = bytearray(text.encode())
    for at, new in changes:
        at %= len(data) + 1
        data[at : at + len(new)] = new
    accept_or_refuse(tmp_path / "bytes.x", bytes(data))


@settings(max_examples=60, suppress_health_check=SLOW)
@given(tokens=st.lists(st.sampled_from([*SPARE, "a", "b", "A", "1", " "]), max_size=40))
def test_tokens_in_any_order(tokens: list[str], tmp_path: Path) -> None:
    accept_or_refuse(tmp_path / "tokens.x", " ".join(tokens).encode())


HOSTILE = {
    "deep braces": "struct a { " * 20_000,
    "closing braces": "}" * 100_000,
    "deep arguments": "program P { version V { int X(" + "struct { " * 10_000,
    "long chain": "".join(f"typedef t{n + 1} t{n};\n" for n in range(5_000)) + "typedef int t5000;",
    "pointer chain": "".join(f"typedef t{n + 1} *t{n};\n" for n in range(5_000)),
    "nested structs": "struct s0 { int x; };\n"
    + "".join(f"struct s{n} {{ s{n - 1} x; }};\n" for n in range(1, 5_000)),
    "circle": "".join(f"struct s{n} {{ s{(n + 1) % 2_000} x; }};\n" for n in range(2_000)),
    "arms": "union u switch (int n) {" + "".join(f"case {n}: void; " for n in range(1_001)) + "};",
    "comments": "/**/ " * 10_000 + "/*",
    "trailing comments": "const A = 1; " + "/* x */" * 20_000 + "=",
    "long name": f"const {'a' * 1_000_000} = ;",
    "long number": f"const A = {'9' * 1_000_000};",
    "long hex number": f"const A = 0x{'f' * 1_000_000};",
    "one long line": "struct a { int b; int b; }; " * 1_000,
    "many mistakes": "".join(f"typedef opaque a{n}[B{n}];\n" for n in range(999)),
    "lines": "\n" * 50_000 + "struct",
    "odd bytes": "\0\x01\x02\x7f" * 10_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_get_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.x"
    path.write_text(text)
    with pytest.raises(IdlError) as caught:
        rpcgen.compile_file(path)
    assert len(caught.value.others) < 100


def test_large_files_compile(tmp_path: Path) -> None:
    path = tmp_path / "large.x"
    members = ", ".join(f"M{n} = {n}" for n in range(3_000))
    cases = "".join(f"case {n}: int m{n}; " for n in range(1_000))
    fields = "".join(f"int m{n}; " for n in range(2_000))
    path.write_text(
        f"enum e {{ {members} }}; union u switch (int n) {{ {cases} }}; struct s {{ {fields} }};"
    )
    module = rpcserver.load(path)
    assert len(module.E) == 3_000
