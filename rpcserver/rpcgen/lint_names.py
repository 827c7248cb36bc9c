"""The rule ``c-name``: names in a ``.x`` that a C or C++ user of what rpcgen makes trips over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rpcserver.rpcgen.lint_rules import procedures, programs
from rpcserver.rpcgen.resolve import Scope
from rpcserver.rpcgen.syntax import (
    ConstDef,
    EnumBody,
    Position,
    TypeDef,
    TypedefDef,
    declarations,
)

_C = """
    auto break char continue do else extern for goto if inline long register restrict return short
    signed sizeof static volatile while
"""
_CPP = """
    alignas alignof and and_eq asm bitand bitor catch char8_t char16_t char32_t class co_await
    co_return co_yield compl concept const_cast consteval constexpr constinit decltype delete
    dynamic_cast explicit export false friend mutable namespace new noexcept not not_eq nullptr
    operator or or_eq private protected public reinterpret_cast requires static_assert static_cast
    template this thread_local throw true try typeid typename using virtual wchar_t xor xor_eq
"""
# By the compilers themselves on some system, and by the headers that <rpc/rpc.h> or nearly every
# program includes.
_MACROS = """
    hpux i386 linux mips sparc sun unix vax
    BUFSIZ EOF EXIT_FAILURE EXIT_SUCCESS FALSE HOST_NAME_MAX HZ INADDR_ANY INADDR_BROADCAST INT_MAX
    INT_MIN LINE_MAX LONG_MAX LONG_MIN MAXHOSTNAMELEN MAXNETNAMELEN MAXPATHLEN MAXSYMLINKS
    MAX_AUTH_BYTES MAX_MACHINE_NAME NAME_MAX NGROUPS NGROUPS_MAX NGRPS NOFILE NOGROUP NSIG NULL
    PATH_MAX PIPE_BUF PMAPPORT RPC_ANYSOCK SIGINT SIGKILL SIGTERM TRUE UCHAR_MAX UDPMSGSIZE UINT_MAX
    ULONG_MAX assert errno h_addr sa_handler st_atime st_ctime st_mtime stderr stdin stdout
    E2BIG EACCES EAGAIN EBADF EBUSY ECHILD EDOM EEXIST EFAULT EFBIG EINTR EINVAL EIO EISDIR EMFILE
    EMLINK ENFILE ENODEV ENOENT ENOEXEC ENOMEM ENOSPC ENOSYS ENOTDIR ENOTEMPTY ENOTSUP ENOTTY ENXIO
    EPERM EPIPE ERANGE EROFS ESPIPE ESRCH ESTALE ETIMEDOUT EXDEV
"""
# What <rpc/rpc.h> defines: types, and members of its enums.
_RPC_H = """
    AUTH CLIENT RPCB RPCBLIST SVCAUTH SVCXPRT XDR bool_t des_block enum_t netbuf netconfig netobj
    opaque_auth pmap pmaplist rpc_err rpc_msg rpcb rpcblist rpcport_t rpcproc_t rpcprog_t
    rpcvers_t svc_req xdr_op xdrproc_t
    ADN_FULLNAME ADN_NICKNAME AUTH_BADCRED AUTH_BADVERF AUTH_ERROR AUTH_FAILED AUTH_INVALIDRESP
    AUTH_OK AUTH_REJECTEDCRED AUTH_REJECTEDVERF AUTH_TOOWEAK CALL GARBAGE_ARGS MSG_ACCEPTED
    MSG_DENIED PROC_UNAVAIL PROG_MISMATCH PROG_UNAVAIL REPLY RPC_AUTHERROR RPC_CANTDECODEARGS
    RPC_CANTDECODERES RPC_CANTENCODEARGS RPC_CANTRECV RPC_CANTSEND RPC_FAILED RPC_INPROGRESS
    RPC_INTR RPC_MISMATCH RPC_PROCUNAVAIL RPC_PROGNOTREGISTERED RPC_PROGUNAVAIL
    RPC_PROGVERSMISMATCH RPC_SUCCESS RPC_SYSTEMERROR RPC_TIMEDOUT RPC_TLIERROR RPC_UNKNOWNADDR
    RPC_UNKNOWNHOST RPC_UNKNOWNPROTO RPC_VERSMISMATCH SUCCESS SYSTEM_ERR XDR_DECODE XDR_ENCODE
    XDR_FREE XPRT_DIED XPRT_IDLE XPRT_MOREREQS
"""
# What follows xdr_ in the names of the library's own routines.
_ROUTINES = """
    accepted_reply array authunix_parms bytes callhdr callmsg des_block free netbuf netobj
    opaque_auth pmap pmaplist pointer reference rejected_reply replymsg rpcb rpcblist sizeof u_hyper
    u_int union vector wrapstring
"""

_KNOWN = {
    **dict.fromkeys((f"xdr_{name}" for name in _ROUTINES.split()), "is a routine of the library"),
    **dict.fromkeys(_RPC_H.split(), "is a name of <rpc/rpc.h>"),
}
_ADVICE = "choose another name, which changes nothing on the wire"
_EVERYWHERE = {  # also for members, although C gives them a name space of their own
    **dict.fromkeys(_MACROS.split(), "is a macro in C's headers"),
    **dict.fromkeys(_CPP.split(), "is a keyword of C++"),
    **dict.fromkeys(_C.split(), "is a keyword of C"),
}


class _Used(NamedTuple):
    """A name in C and ``what`` it is there; ``of`` is what rpcgen made it of, and a member or
    an argument is ``inner``."""

    name: str
    what: str
    at: Position
    of: str = ""
    inner: bool = False


class _Macro(NamedTuple):
    """A name that rpcgen defines as a macro, and what it stands for."""

    name: str
    what: str
    at: Position
    value: int | str


def c_name(scope: Scope) -> Iterator[tuple[str, Position]]:
    """Keywords, names of C's headers, and names that meet in what rpcgen makes of the file."""
    macros: dict[str, _Macro] = {}
    for macro in _macros(scope):
        first = macros.setdefault(macro.name, macro)
        trouble = _EVERYWHERE.get(macro.name) or _KNOWN.get(macro.name)
        if trouble is None and macro.value != first.value:
            place = scope.source.line(first.at)
            trouble = f"is also a macro with another value in C, from {first.what} in {place}"
        if trouble is not None:
            yield f"{macro.name!r} {trouble}: {_ADVICE}", macro.at
    uses: dict[str, _Used] = {}
    for used in _names(scope):
        trouble = _EVERYWHERE.get(used.name)
        if trouble is None and used.name in macros:
            macro = macros[used.name]
            place = scope.source.line(macro.at)
            trouble = f"is also a macro in C, from {macro.what} in {place}"
        if trouble is None and not used.inner:
            trouble = _KNOWN.get(used.name)
            other = uses.setdefault(used.name, used)
            if trouble is None and other is not used:
                place = scope.source.line(other.at)
                trouble = f"is also {other.what} in C, from {place}"
        if trouble is not None:
            made = f", which rpcgen makes of {used.of!r}," if used.of else ""
            yield f"{used.name!r}{made} {trouble}: {_ADVICE}", used.at


def _macros(scope: Scope) -> Iterator[_Macro]:
    for definition in scope.definitions:
        if isinstance(definition, ConstDef):
            value = definition.value
            number = value if isinstance(value, str) else scope.value(value)
            yield _Macro(definition.name, "the constant", definition.at, number)
    for program in programs(scope):
        yield _Macro(program.name, "the program", program.at, scope.value(program.number))
        for version in program.versions:
            yield _Macro(version.name, "the version", version.at, scope.value(version.number))
            for each in version.procedures:
                yield _Macro(each.name, "the procedure", each.at, scope.value(each.number))


def _names(scope: Scope) -> Iterator[_Used]:
    for definition in scope.definitions:
        if isinstance(definition, TypeDef | TypedefDef) and "." not in definition.name:
            name = definition.name
            yield _Used(name, "a type", definition.at)
            yield _Used(f"xdr_{name}", "a routine", definition.at, of=name)
        if isinstance(definition, TypeDef):
            body = definition.body
            if isinstance(body, EnumBody):
                for member in body.members:
                    yield _Used(member.name, "a member of an enum", member.at)
            else:
                for each in declarations(body):
                    yield _Used(each.name, "a member", each.at, inner=True)
    for _, version, procedure in procedures(scope):
        stub = f"{procedure.name.lower()}_{scope.value(version.number)}"
        yield _Used(stub, "a function", procedure.at, of=procedure.name)
        for argument in procedure.arguments:
            yield _Used(argument.name, "an argument", argument.at, inner=True)
