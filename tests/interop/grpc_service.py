"""A gRPC service of grpcio's: interop.v1.Echo, of google.protobuf.BytesValue, whose bytes are passed on as they come.

Its first line on standard output is {"port": …}. A line on standard input is a command, a line of JSON its answer:
  seen   how often each path was called, and how many calls of Hang and Wait were cancelled
It ends when standard input does.
"""

import json
import sys
import threading
from concurrent import futures

import grpc

MAX_MESSAGE = 5 * 1024 * 1024

seen: dict[str, int] = {}
cancelled = 0
lock = threading.Lock()


def bytes_value(data: bytes) -> bytes:
    length, prefix = len(data), b"\x0a"
    while length > 0x7F:
        prefix += bytes([length & 0x7F | 0x80])
        length >>= 7
    return prefix + bytes([length]) + data


def compress(context):
    """Answers a caller that asks for it with compressed messages; by itself grpcio does so for nobody, or for all."""
    if ("x-compress", "gzip") in context.invocation_metadata():
        context.set_compression(grpc.Compression.Gzip)


def unary(request, context):
    compress(context)
    context.set_trailing_metadata((("x-end", "reached"),))
    return request


def told(request, context):
    """What the service learns of its caller, and how long it has."""
    headers: dict[str, list[str]] = {}
    for name, value in context.invocation_metadata():
        headers.setdefault(name, []).append(value if isinstance(value, str) else value.hex())
    left = context.time_remaining()
    # Without a deadline it is a number beyond all use.
    answer = {"headers": headers, "left_s": left if left is not None and left < 1e6 else None}
    return bytes_value(json.dumps(answer).encode())


def server_stream(request, context):
    compress(context)
    for _ in range(5):
        yield request


def client_stream(requests, context):
    compress(context)
    count, length = 0, 0
    for request in requests:
        count, length = count + 1, length + len(request)
    return bytes_value(f"{count} {length}".encode())


def bidi(requests, context):
    compress(context)
    yield from requests


def fail(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "there is no such thing")


def hang(request, context):
    over = threading.Event()

    def ended():
        global cancelled
        with lock:
            cancelled += 1
        over.set()

    # A call that is over by now calls nobody back.
    if not context.add_callback(ended):
        ended()
    over.wait(30)
    return request


KINDS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Told": grpc.unary_unary_rpc_method_handler(told),
    "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
    "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
    "Bidi": grpc.stream_stream_rpc_method_handler(bidi),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Hang": grpc.unary_unary_rpc_method_handler(hang),
    "Wait": grpc.unary_unary_rpc_method_handler(hang),
}


class AnyService(grpc.GenericRpcHandler):
    """Answers by the method's name, whatever the service is called: a call that strays here succeeds, and is seen."""

    def service(self, details):
        with lock:
            seen[details.method] = seen.get(details.method, 0) + 1
        return KINDS.get(details.method.rsplit("/", 1)[-1])


server = grpc.server(
    futures.ThreadPoolExecutor(max_workers=16),
    handlers=(AnyService(),),
    options=[("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)],
)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(json.dumps({"port": port}), flush=True)
for _ in sys.stdin:
    with lock:
        print(json.dumps({"seen": seen, "cancelled": cancelled}), flush=True)
server.stop(0)
