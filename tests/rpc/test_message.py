"""The header by hand and the one the compiler made from the RFC's own text say the same."""

from hypothesis import given
from hypothesis import strategies as st

from rpcserver import xdr
from rpcserver.errors import AuthError, BadReply, RpcMismatch
from rpcserver.protocols import rpc_msg
from rpcserver.rpc import message
from rpcserver.rpc.flavor import Auth
from rpcserver.testing import values
from rpcserver.xdr.codec import codec_of

CODEC = codec_of(rpc_msg.RpcMsg)


@given(
    values(rpc_msg.RpcMsg),
    st.sampled_from([2, 2, 2, 3]),
    st.binary(max_size=8),
    st.integers(0, 200),
    st.binary(max_size=4),
)
def test_calls(msg: rpc_msg.RpcMsg, rpcvers: int, rest: bytes, at: int, noise: bytes) -> None:
    if isinstance(msg.body, rpc_msg.RpcMsgBodyCall):
        msg.body.cbody.rpcvers = rpcvers
    data = xdr.encode(rpc_msg.RpcMsg, msg) + rest
    data = data[:at] + noise + data[at + len(noise) :]
    try:
        oracle, end = CODEC.unpack(data)
    except xdr.XdrError:
        oracle = None
    try:
        call = message.parse_call(data)
    except (AuthError, RpcMismatch):
        call = None
    if oracle is None or not isinstance(oracle.body, rpc_msg.RpcMsgBodyCall):
        # By hand, a flavor may be any number; nothing else may be taken that the oracle refuses.
        known = set(rpc_msg.AuthFlavor)
        assert call is None or {call.credential.flavor, call.verifier.flavor} - known
        return
    body = oracle.body.cbody
    if body.rpcvers != 2:
        assert call is None
        return
    assert call is not None
    assert call.start == end
    assert call[:4] == (oracle.xid, body.prog, body.vers, body.proc)
    assert call.credential == Auth(body.cred.flavor, body.cred.body)
    assert call.verifier == Auth(body.verf.flavor, body.verf.body)
    assert data[: call.verifier_at] + xdr.encode(rpc_msg.OpaqueAuth, body.verf) == data[:end]


@given(values(rpc_msg.RpcMsg), st.integers(0, 200), st.binary(max_size=4))
def test_replies(msg: rpc_msg.RpcMsg, at: int, noise: bytes) -> None:
    data = xdr.encode(rpc_msg.RpcMsg, msg)
    data = data[:at] + noise + data[at + len(noise) :]
    try:
        oracle, end = CODEC.unpack(data)
    except xdr.XdrError:
        oracle = None
    try:
        reply = message.parse_reply(data)
    except BadReply:
        reply = None
    if reply is None:
        return
    if oracle is None:
        assert reply.body is None
        assert reply.verifier.flavor not in set(rpc_msg.AuthFlavor)
        return
    assert isinstance(oracle.body, rpc_msg.RpcMsgBodyReply)
    assert reply.xid == oracle.xid
    assert reply.start == end
    if reply.body is not None:
        assert reply.body == oracle.body.rbody
        return
    assert isinstance(oracle.body.rbody, rpc_msg.ReplyBodyMsgAccepted)
    accepted = oracle.body.rbody.areply
    assert isinstance(accepted.reply_data, rpc_msg.AcceptedReplyReplyDataSuccess)
    assert reply.verifier == Auth(accepted.verf.flavor, accepted.verf.body)


@given(st.integers(0, 2**32 - 1), values(rpc_msg.OpaqueAuth))
def test_success(xid: int, verf: rpc_msg.OpaqueAuth) -> None:
    data = rpc_msg.AcceptedReplyReplyDataSuccess(b"")
    reply = rpc_msg.ReplyBodyMsgAccepted(rpc_msg.AcceptedReply(verf, data))
    oracle = xdr.encode(rpc_msg.RpcMsg, rpc_msg.RpcMsg(xid, rpc_msg.RpcMsgBodyReply(reply)))
    assert message.success(xid, Auth(verf.flavor, verf.body), b"results") == oracle + b"results"
