"""An XDR type as the three Python expressions that generated code needs."""

from __future__ import annotations

from dataclasses import dataclass

from rpcserver.rpcgen.names import Names
from rpcserver.rpcgen.resolve import Scope
from rpcserver.rpcgen.syntax import (
    Declaration,
    Number,
    Primitive,
    Reference,
    Type,
    Value,
)

_PRIMITIVES = {
    "int": ("xdr.Int", "int"),
    "unsigned int": ("xdr.UnsignedInt", "int"),
    "hyper": ("xdr.Hyper", "int"),
    "unsigned hyper": ("xdr.UnsignedHyper", "int"),
    "float": ("xdr.Float", "float"),
    "double": ("xdr.Double", "float"),
    "quadruple": ("xdr.Quadruple", "xdr.Quad"),
    "bool": ("xdr.Bool", "bool"),
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A type as the annotation of a field, as a designator (an argument of ``Procedure`` or of
    a marker), and as the plain type that a type checker shows."""

    annotation: str
    designator: str
    plain: str


class Expressions:
    """Makes expressions for the declarations of one file.

    ``strings``: the encoding of ``string`` (``utf-8``, ``latin-1``), or ``bytes``.
    """

    def __init__(self, scope: Scope, names: Names, strings: str) -> None:
        self._scope = scope
        self._names = names
        self.strings = strings

    def of(self, declaration: Declaration) -> Expression:
        """The type that ``declaration`` gives to its name."""
        kind = declaration.kind
        limit = "" if declaration.size is None else self.value(declaration.size)
        match kind:
            case "void":
                return Expression("xdr.Void", "xdr.Void", "None")
            case "string" if self.strings == "bytes":
                return _marked("bytes", f"xdr.Opaque({limit})")
            case "string":
                if self.strings != "utf-8":
                    limit = f'{limit or "None"}, "{self.strings}"'
                return _marked("str", f"xdr.String({limit})")
            case "variable_opaque":
                return _marked("bytes", f"xdr.Opaque({limit})")
            case "fixed_opaque":
                return _marked("bytes", f"xdr.FixedOpaque({limit})")
        assert declaration.type is not None
        if kind == "optional":
            return self._optional(declaration)
        element = self._named(declaration.type)
        if kind == "plain":
            return element
        marker = "FixedArray" if kind == "fixed_array" else "Array"
        return _array(marker, element, limit)

    def value(self, value: Value) -> str:
        """A number as it is written, or the Python name of a constant."""
        if isinstance(value, Number):
            return number(value)
        constant = self._scope.constants[value.name]
        if constant.enum is not None:
            enum = constant.enum.name
            return f"{self._names.type(enum)}.{self._names.member(value.name, enum)}"
        if not constant.defined:
            return str(constant.value)
        return self._names.constant(value.name)

    def _named(self, of: Type) -> Expression:
        if isinstance(of, Primitive):
            designator, plain = _PRIMITIVES[of.name]
            return Expression(designator, designator, plain)
        assert isinstance(of, Reference)
        definition = self._scope.types.get(of.name)
        if definition is not None and self._scope.is_list_node(definition):
            return self._linked_list(definition.name, ", nonempty=True")
        name = self._names.type(of.name)
        return Expression(name, name, name)

    def _linked_list(self, node: str, more: str = "") -> Expression:
        name = self._names.type(node)
        return _marked(f"list[{name}]", f"xdr.LinkedList({name}{more})")

    def _optional(self, declaration: Declaration) -> Expression:
        target = self._scope.points_to(declaration)
        if target is not None and self._scope.is_list_node(target):
            return self._linked_list(target.name)
        assert declaration.type is not None
        element = self._named(declaration.type)
        inner = Declaration("plain", declaration.type, "", None, declaration.at)
        if self._scope.is_optional(inner):
            # None cannot stand for two things. On the wire, a pointer is an array of at most one.
            return _array("Array", element, "1")
        annotation = f"{element.annotation} | None"
        return Expression(annotation, annotation, f"{element.plain} | None")


def number(value: Number) -> str:
    """A number in the base in which it is written, spelled as Python does."""
    text = value.text.lower()
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    if digits.startswith("0x"):
        return sign + "0x" + digits[2:].upper()
    if digits.startswith("0") and digits != "0":
        return sign + "0o" + (digits.lstrip("0") or "0")
    return text


def _marked(plain: str, marker: str) -> Expression:
    return Expression(f"Annotated[{plain}, {marker}]", marker, plain)


def _array(marker: str, element: Expression, size: str) -> Expression:
    arguments = f"{element.designator}, {size}" if size else element.designator
    return _marked(f"list[{element.plain}]", f"xdr.{marker}({arguments})")
