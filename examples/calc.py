"""The calculator of idl/calc.x: two versions of a program, two classes over shared state.

    rpcserver serve examples.calc:CalcV1 examples.calc:CalcV2

``examples/c`` is the same in C.
"""

import threading
import time
from typing import TypeVar

from generated.calc import (
    CalcStatus,
    CalcV1Service,
    CalcV2Service,
    Evaluation,
    EvaluationCalcOk,
    EvaluationDefault,
    Expr,
    Identity,
    Node,
    Operator,
    Quotient,
    QuotientCalcDivByZero,
    QuotientCalcOk,
    QuotientDefault,
    Statistics,
)
from rpcserver import rpc
from rpcserver.auth import SysCredential
from rpcserver.protocols.rpc_msg import AuthFlavor

T = TypeVar("T")

NOBODY = 0xFFFFFFFF


class Memory:
    """The one number that all callers share. They may come in several threads."""

    def __init__(self) -> None:
        self._number = 0
        self._lock = threading.Lock()

    def store(self, number: int) -> None:
        with self._lock:
            self._number = number

    def add(self, number: int) -> int:
        with self._lock:
            self._number = wrapped(self._number + number, 64)
            return self._number


MEMORY = Memory()


@rpc.idempotent
def echo(self: object, call: rpc.Call, /, arg: T) -> T:
    """The method of many names."""
    return arg


class Both:
    """The procedures that the two versions have in common."""

    @rpc.idempotent
    def add(self, call: rpc.Call, /, arg1: int, arg2: int) -> int:
        return wrapped(arg1 + arg2, 32)

    @rpc.idempotent
    def divide(self, call: rpc.Call, /, arg1: int, arg2: int) -> Quotient:
        if arg2 == 0:
            return QuotientCalcDivByZero()
        quotient = abs(arg1) // abs(arg2)
        if (arg1 < 0) != (arg2 < 0):
            quotient = -quotient
        if quotient != wrapped(quotient, 32):
            return QuotientDefault("the quotient does not fit", status=CalcStatus.CALC_OVERFLOW)
        return QuotientCalcOk(quotient)

    @rpc.idempotent
    def sum(self, call: rpc.Call, /, arg: list[int]) -> int:
        return sum(arg)

    @rpc.idempotent
    def whoami(self, call: rpc.Call, /) -> Identity:
        match call.credential:
            case SysCredential(uid, gid, groups, machine):
                return Identity(AuthFlavor.AUTH_SYS, uid, gid, list(groups), machine)
        return Identity(AuthFlavor.AUTH_NONE, NOBODY, NOBODY, [], "")

    echo_text = echo


class CalcV1(Both, CalcV1Service):
    """The first edition."""


class CalcV2(Both, CalcV2Service):
    """The second edition. Instances that are given the same ``memory`` share it."""

    def __init__(self, memory: Memory = MEMORY) -> None:
        self.memory = memory

    @rpc.idempotent
    def eval(self, call: rpc.Call, /, arg: Expr) -> Evaluation:
        value = value_of(arg)
        if isinstance(value, CalcStatus):
            return EvaluationDefault(value)
        return EvaluationCalcOk(value)

    @rpc.idempotent
    def statistics(self, call: rpc.Call, /, arg: list[float]) -> Statistics | None:
        if not arg:
            return None
        return Statistics(len(arg), sum(arg) / len(arg), min(arg), max(arg))

    @rpc.idempotent
    def join(self, call: rpc.Call, /, arg: list[str]) -> str:
        return " ".join(arg)

    def store(self, call: rpc.Call, /, arg: int) -> None:
        self.memory.store(arg)

    def accumulate(self, call: rpc.Call, /, arg: int) -> int:
        return self.memory.add(arg)

    @rpc.idempotent
    def reverse(self, call: rpc.Call, /, arg: list[Node]) -> list[Node]:
        return arg[::-1]

    def pause(self, call: rpc.Call, /, arg: int) -> None:
        time.sleep(arg / 1000)

    def fail(self, call: rpc.Call, /, arg: str) -> int:
        raise RuntimeError(arg)

    echo_int = echo_unsigned = echo_hyper = echo_unsigned_hyper = echo
    echo_float = echo_double = echo_bool = echo_color = echo_blob = echo
    echo_ints = echo_few_ints = echo_points = echo_palette = echo_words = echo
    echo_rectangle = echo_maybe_point = echo_maybe_celsius = echo
    echo_list = echo_chain = echo_node = echo_expr = echo
    echo_quotient = echo_evaluation = echo_paint = echo_shape = echo
    echo_packet = echo_answer = echo_everything = echo


def wrapped(number: int, bits: int) -> int:
    """``number`` as a signed integer of so many bits has it, when it overflows."""
    half = 1 << (bits - 1)
    return (number + half) % (2 * half) - half


def value_of(tree: Expr | None) -> float | CalcStatus:
    """The value of an expression, or why it has none."""
    if tree is None:
        return CalcStatus.CALC_BAD_TREE
    if tree.op == Operator.OP_NUMBER:
        return tree.number
    left = value_of(tree.left)
    if isinstance(left, CalcStatus) or tree.op == Operator.OP_NEG:
        return left if isinstance(left, CalcStatus) else -left
    right = value_of(tree.right)
    if isinstance(right, CalcStatus):
        return right
    match tree.op:
        case Operator.OP_ADD:
            return left + right
        case Operator.OP_SUB:
            return left - right
        case Operator.OP_MUL:
            return left * right
        case _ if right == 0:
            return CalcStatus.CALC_DIV_BY_ZERO
        case _:
            return left / right
