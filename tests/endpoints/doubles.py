"""Inference servers whose behaviour is known: an OpenAI-compatible one and one of the Open Inference Protocol, on one
port of 127.0.0.1. Run as a program it prints its port and serves until its standard input ends. What it does is told
by a JSON object, its only argument; every key is optional:

first_ms, gap_ms         waits before the first and between further chunks
chunks, tokens_a_chunk   how much an answer has
reasoning                so many of the first chunks are reasoning
usage                    true: counts tokens in a last chunk if asked to; false: refuses to; "silent": never counts
split                    events are cut into pieces of so many bytes, a read of the client each
keep_alives              comments before the first chunk
fail_every, failure      each n-th request fails: "429", "503", "error_event", "cut", "garbage", "hang"
serial                   one request at a time, as a server that is too slow
key                      refuses requests without this key
models                   names that it lists
extensions               that the Open Inference Protocol's server says it has
shape, datatype          of the input x of the model "double"; datatype "none": it lists no inputs
burn_ms                  CPU time that each request takes
always                   [content type, body] or [content type, body, status] of every answer: another kind of server
babble                   what it says to every request instead of HTTP
tls                      folder with certificate.pem and key.pem
"""

import asyncio
import json
import ssl
import sys
import time


class Double:
    def __init__(self, options):
        self.options = options
        self.requests = 0
        self.one_at_a_time = asyncio.Lock()

    def get(self, name, otherwise):
        return self.options.get(name, otherwise)

    async def serve(self, reader, writer):
        try:
            while request := await self.read(reader):
                if not await self.answer(*request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def read(self, reader):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            return None
        lines = head.split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = {}
        for line in filter(None, lines[1:]):
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return method, path.split("?")[0], headers, body

    async def reply(self, writer, status, value, extra=""):
        body = json.dumps(value).encode() if value is not None else b""
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return True

    async def answer(self, method, path, headers, body, writer):
        if "babble" in self.options:
            writer.write(self.options["babble"].encode())
            await writer.drain()
            return False
        if "always" in self.options:
            kind, text, *status = self.options["always"]
            body = text.encode()
            writer.write(
                f"HTTP/1.1 {(status or [200])[0]} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            )
            writer.write(body)
            await writer.drain()
            return True
        if self.get("key", None) and headers.get("authorization") != "Bearer " + self.options["key"]:
            return await self.reply(writer, 401, {"error": {"message": "no key"}})
        if method == "GET":
            return await self.reply(writer, *self.lookup(path))
        if path.endswith("/infer"):
            return await self.counted(lambda fail: self.infer(headers, body, writer, fail))
        if path in ("/v1/chat/completions", "/v1/completions"):
            return await self.counted(lambda fail: self.complete(path, json.loads(body), writer, fail))
        return await self.reply(writer, 404, {"error": {"message": "no such path"}})

    async def counted(self, respond):
        self.requests += 1
        every = self.get("fail_every", 0)
        failure = self.options["failure"] if every and self.requests % every == 0 else None
        if self.get("burn_ms", 0):
            end = time.process_time() + self.options["burn_ms"] / 1e3
            while time.process_time() < end:
                pass
        if not self.get("serial", False):
            return await respond(failure)
        async with self.one_at_a_time:
            return await respond(failure)

    def lookup(self, path):
        datatype = self.get("datatype", "FP32")
        inputs = [{"name": "x", "datatype": datatype, "shape": self.get("shape", [1, 4])}]
        answers = {
            "/v1/models": (200, {"data": [{"id": name} for name in self.get("models", ["double"])]}),
            "/v2": (200, {"name": "double", "version": "1", "extensions": self.get("extensions", [])}),
            "/v2/health/ready": (200, {"ready": True}),
            "/v2/models/double": (
                200,
                {
                    "name": "double",
                    "versions": ["1"],
                    "platform": "none",
                    "inputs": inputs if datatype != "none" else [],
                    "outputs": [],
                },
            ),
            "/v2/models/double/ready": (200, {"name": "double", "ready": True}),
            "/v2/models/late": (200, {"name": "late", "versions": [], "platform": "", "inputs": inputs}),
            "/v2/models/late/ready": (503, {"error": "still loading"}),
        }
        return answers.get(path, (404, {"error": f"nothing at {path}"}))

    async def infer(self, headers, body, writer, failure):
        if failure:
            return await self.reply(writer, int(failure), {"error": "failed on purpose"}, "Retry-After: 0.01\r\n")
        length = int(headers.get("inference-header-content-length", len(body)))
        request = json.loads(body[:length])
        for tensor in request["inputs"]:
            count = 1
            for size in tensor["shape"]:
                count *= size
            if "data" in tensor:
                found = len(tensor["data"])
            else:
                found = tensor["parameters"]["binary_data_size"] / {"FP16": 2, "FP32": 4}[tensor["datatype"]]
            if found != count:
                return await self.reply(writer, 400, {"error": f"{found} values for {count}"})
        await asyncio.sleep(self.get("first_ms", 0) / 1e3)
        return await self.reply(writer, 200, {"model_name": "double", "outputs": []})

    def piece(self, path, text, reasoning=False):
        if path == "/v1/completions":
            return {"choices": [{"index": 0, "text": text, "finish_reason": None}]}
        key = "reasoning_content" if reasoning else "content"
        return {"choices": [{"index": 0, "delta": {key: text}, "finish_reason": None}]}

    async def complete(self, path, request, writer, failure):
        chunks, each = self.get("chunks", 10), self.get("tokens_a_chunk", 1)
        usage = {"prompt_tokens": 7, "completion_tokens": chunks * each}
        wants_usage = request.get("stream_options", {}).get("include_usage", False)
        if failure in ("429", "503"):
            return await self.reply(writer, int(failure), {"error": {"message": "busy"}}, "Retry-After: 0.01\r\n")
        if wants_usage and self.get("usage", True) is False:
            return await self.reply(writer, 400, {"error": {"message": "unknown field stream_options"}})
        if not request["stream"]:
            await asyncio.sleep(self.get("first_ms", 0) / 1e3)
            return await self.reply(writer, 200, {"choices": [{"message": {"content": "a " * chunks}}], "usage": usage})
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(self.get("keep_alives", 0)):
            await self.send(writer, b": keep-alive\n\n")
        await self.event(writer, self.piece(path, ""))
        start = asyncio.get_running_loop().time() + self.get("first_ms", 0) / 1e3
        for index in range(chunks):
            # By the clock and not by sleeps in a row, whose errors add up.
            due = start + index * self.get("gap_ms", 0) / 1e3
            await asyncio.sleep(max(0, due - asyncio.get_running_loop().time()))
            if failure and index == chunks // 2:
                return await self.fail(writer, failure)
            await self.event(writer, self.piece(path, "a " * each, index < self.get("reasoning", 0)))
        last = self.piece(path, "")
        last["choices"][0]["finish_reason"] = "length"
        await self.event(writer, last)
        if wants_usage and self.get("usage", True) is True:
            await self.event(writer, {"choices": [], "usage": usage})
        await self.send(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def fail(self, writer, failure):
        if failure == "hang":
            await asyncio.sleep(3600)
        if failure == "error_event":
            await self.event(writer, {"error": {"message": "out of memory", "type": "server_error"}})
            writer.write(b"0\r\n\r\n")
            return True
        if failure == "garbage":
            await self.send(writer, b"data: {not json\n\n")
            writer.write(b"0\r\n\r\n")
            return True
        return False

    async def event(self, writer, value):
        await self.send(writer, b"data: " + json.dumps(value).encode() + b"\n\n")

    async def send(self, writer, text):
        size = self.get("split", 0) or len(text)
        for at in range(0, len(text), size):
            part = text[at : at + size]
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
            await writer.drain()
            if self.get("split", 0):
                await asyncio.sleep(0)


async def main():
    options = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    context = None
    if "tls" in options:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options["tls"] + "/certificate.pem", options["tls"] + "/key.pem")
    server = await asyncio.start_server(Double(options).serve, "127.0.0.1", 0, ssl=context, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(sys.stdin.fileno(), lambda: ended.done() or ended.set_result(None))
    await ended


if __name__ == "__main__":
    asyncio.run(main())
