"""What C headers call types that the language has. rpcgen has a routine for each of them, and all
but the 64-bit ones travel as an int."""

from __future__ import annotations

C_TYPES = {
    **dict.fromkeys(("int8_t", "int16_t", "int32_t"), "int"),
    **dict.fromkeys(
        ("u_char", "u_short", "u_int", "u_long", "ushort", "uint", "ulong"), "unsigned int"
    ),
    **dict.fromkeys(("uint8_t", "uint16_t", "uint32_t"), "unsigned int"),
    **dict.fromkeys(("u_int8_t", "u_int16_t", "u_int32_t"), "unsigned int"),
    **dict.fromkeys(("int64_t", "quad_t", "longlong_t"), "hyper"),
    **dict.fromkeys(("uint64_t", "u_int64_t", "u_quad_t", "u_longlong_t"), "unsigned hyper"),
    "bool_t": "bool",
}
"""the C name, and the RFC's"""
