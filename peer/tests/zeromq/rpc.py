"""Workers and clients of Grenache over ZeroMQ, in both forms of its requests.

The services of a worker, by what stands after the last colon of the key: `echo` answers with the payload, `fail` with the
payload as the error, `later` after the next answer, `never` not at all, `busy` that it has not begun (in the array form).
"""

import asyncio
import itertools
import json
import threading

import zmq


async def serve(socket, form, report):
    """Answers what comes to a ROUTER."""
    held = []
    while True:
        identity, *parts = await socket.recv_multipart()
        envelope, parts = cut(parts)
        rid, key, payload = read_frames(parts) if form == "frames" else json.loads(parts[0])
        report(key, payload)
        service = key.rpartition(":")[2]
        answer = [identity, *envelope, *outcome(form, rid, service, payload)]
        if service == "later":
            held.append(answer)
        elif service != "never":
            for one in [answer, *held]:
                await socket.send_multipart(one)
            held.clear()


def cut(parts):
    """What stands up to and including the first empty part, if that is not the last one, and the rest."""
    end = parts.index(b"") + 1 if b"" in parts[:-1] else 0
    return parts[:end], parts[end:]


def read_frames(parts):
    rid, key, payload = parts
    return rid.decode(), key.decode(), payload.decode()


def outcome(form, rid, service, payload):
    error = {"fail": payload, "busy": "ERR_BUSY"}.get(service)
    if form == "frames":
        return [rid.encode(), (payload if error is None else error).encode()]
    array = [rid, error, payload if error is None else None]
    return [json.dumps(array + [503] if service == "busy" else array).encode()]


def proxy(port):
    """libzmq's own proxy in front of a worker, with a ROUTER and a DEALER in a thread of their own; the port it takes."""
    context = zmq.Context()
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    front.bind("tcp://127.0.0.1:*")
    back.connect(f"tcp://127.0.0.1:{port}")
    taken = int(front.last_endpoint.decode().rpartition(":")[2])
    threading.Thread(target=zmq.proxy, args=(front, back), daemon=True).start()
    return taken


class Client:
    """Asks through a DEALER or a REQ."""

    def __init__(self, socket, form):
        self.socket = socket
        self.form = form
        self.rids = itertools.count()
        self.asked = {}
        self.receiving = None

    async def ask(self, key, payload):
        """The answer: [error, result], and 503 if that says that it has not begun. In the frames form all are texts."""
        rid = f"rid-{next(self.rids)}"
        answer = self.asked[rid] = asyncio.get_running_loop().create_future()
        if self.form == "frames":
            await self.socket.send_multipart([rid.encode(), key.encode(), payload.encode()])
        else:
            await self.socket.send(json.dumps([rid, key, payload]).encode())
        # A REQ may not receive before it has sent.
        if self.receiving is None:
            self.receiving = asyncio.ensure_future(self.receive())
        return await answer

    async def receive(self):
        while self.asked:
            _, parts = cut(await self.socket.recv_multipart())
            if self.form == "frames":
                rid, result = (part.decode() for part in parts)
                answer = [result, None] if result.startswith("ERR_") else [None, result]
            else:
                rid, *answer = json.loads(parts[0])
            self.asked.pop(rid).set_result(answer)
        self.receiving = None
