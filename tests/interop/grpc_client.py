"""A gRPC client of grpcio's, over TLS and HTTP/2, through the gateway.

Its argument is {"address", "ca", "key"}; it prints a line of JSON for each case, `{"case", "result"}`, and ends.
"""

import json
import sys
import threading
import time

import grpc

place = json.loads(sys.argv[1])
with open(place["ca"], "rb") as file:
    CREDENTIALS = grpc.ssl_channel_credentials(root_certificates=file.read())
OPTIONS = [
    ("grpc.max_receive_message_length", 5 * 1024 * 1024),
    ("grpc.max_send_message_length", 5 * 1024 * 1024),
    ("grpc.enable_retries", 0),
    ("grpc.ssl_target_name_override", "localhost"),
]
KEY = (("x-api-key", place["key"]),)
FORGED = (
    ("x-envoy-original-path", "/public/1"),
    ("x-envoy-original-method", "GET"),
    ("x-gatehouse-grpc-service", "admin.v1.Users"),
    ("x-gatehouse-grpc-method", "Drop"),
    ("x-gatehouse-api-version", "2"),
    ("x-gatehouse-protocol", "rest"),
    ("x-gatehouse-target", "users"),
    ("x-user", "root"),
    ("x-envoy-upstream-rq-timeout-ms", "1"),
    ("x-envoy-max-retries", "9"),
)


def bytes_value(data: bytes) -> bytes:
    length, prefix = len(data), b"\x0a"
    while length > 0x7F:
        prefix += bytes([length & 0x7F | 0x80])
        length >>= 7
    return prefix + bytes([length]) + data


def value(message: bytes) -> bytes:
    at = 1
    while message[at] & 0x80:
        at += 1
    return message[at + 1 :]


def say(case, result):
    print(json.dumps({"case": case, "result": result}), flush=True)


def status(call):
    """The status of a call that must fail, and how long that took."""
    started = time.monotonic()
    try:
        call()
    except grpc.RpcError as error:
        return {"code": error.code().name, "details": error.details(), "s": time.monotonic() - started}
    return {"code": "OK", "s": time.monotonic() - started}


def run(channel, suffix, compression=None):
    def path(method):
        return f"/interop.v1.Echo/{method}"

    small, large = bytes_value(b"hello" * 100), bytes_value(bytes(range(256)) * (4 * 4096))
    asks = KEY + ((("x-compress", "gzip"),) if compression else ())
    more = {"metadata": asks, "timeout": 25, "compression": compression}
    unary = channel.unary_unary(path("Unary"))
    answer, call = unary.with_call(small, **more)
    say(f"unary{suffix}", {"same": answer == small, "end": dict(call.trailing_metadata()).get("x-end")})
    answer = unary(large, **more)
    say(f"4 MiB{suffix}", {"same": answer == large, "bytes": len(value(answer))})
    answers = list(channel.unary_stream(path("ServerStream"))(small, **more))
    say(f"server stream{suffix}", {"same": answers == [small] * 5})
    answer = channel.stream_unary(path("ClientStream"))(iter([small] * 7), **more)
    say(f"client stream{suffix}", {"says": value(answer).decode()})
    # Each answer is needed for the next question.
    turn = threading.Semaphore(1)

    def questions():
        for number in range(4):
            turn.acquire(timeout=20)
            yield bytes_value(b"question %d" % number)

    answers = []
    for answer in channel.stream_stream(path("Bidi"))(questions(), **more):
        answers.append(value(answer).decode())
        turn.release()
    say(f"both stream{suffix}", {"answers": answers})


with grpc.secure_channel(place["address"], CREDENTIALS, OPTIONS) as channel:
    run(channel, "")
with grpc.secure_channel(place["address"], CREDENTIALS, OPTIONS, compression=grpc.Compression.Gzip) as channel:
    run(channel, ", compressed", grpc.Compression.Gzip)

with grpc.secure_channel(place["address"], CREDENTIALS, OPTIONS) as channel:

    def call(method, metadata=KEY, timeout=25.0):
        return channel.unary_unary(method)(bytes_value(b"a"), metadata=metadata, timeout=timeout)

    say("trailers only", status(lambda: call("/interop.v1.Echo/Fail")))
    say("no credential", status(lambda: call("/interop.v1.Echo/Unary", ())))
    say("no scope", status(lambda: call("/interop.v1.Echo/Forbidden")))
    say("undeclared", status(lambda: call("/interop.v1.Echo/Undeclared")))
    for path in ["/interop.v1.Other/Unary", "/interop.v1.Echo.Inner/Unary", "/interop.v1.Echo/Unary/x"]:
        say(f"elsewhere {path}", status(lambda: call(path)))
    say("their own deadline", status(lambda: call("/interop.v1.Echo/Wait", timeout=0.4)))
    say("the gateway's deadline", status(lambda: call("/interop.v1.Echo/Hang")))
    future = channel.unary_unary("/interop.v1.Echo/Wait").future(bytes_value(b"a"), metadata=KEY, timeout=25)
    time.sleep(0.2)
    future.cancel()
    say("cancelled", status(future.result) if not future.cancelled() else {"code": "CANCELLED"})
    told = json.loads(value(call("/interop.v1.Echo/Told", KEY + FORGED, timeout=20)))
    say("told", told)
    told = json.loads(value(call("/interop.v1.Echo/Told", timeout=None)))
    say("told without a deadline", {"left_s": told["left_s"]})
