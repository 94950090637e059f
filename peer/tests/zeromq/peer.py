"""A peer with libzmq's sockets, steered by JSON lines on standard input and reporting by JSON lines on standard output.

A command is {"id", "do", ..}, and one line answers it: {"id", "done"} or {"id", "error"}. What happens to a socket comes by
itself: {"socket", "event", ..}. peer.js is the same for Node. peer/tests/zeromq_interop is who steers.
"""

import asyncio
import base64
import hashlib
import json
import os
import sys

import zmq
import zmq.asyncio
from zmq.utils.monitor import parse_monitor_message

import rpc

# Parts longer than this are reported by their size and hash.
LARGE = 1024

# Longest line of a command.
MAX_LINE = 64 * 1024 * 1024

PROTOCOL_ERRORS = {
    getattr(zmq, name): name.removeprefix("PROTOCOL_ERROR_")
    for name in dir(zmq)
    if name.startswith("PROTOCOL_ERROR_")
}


def say(**line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def read_part(part):
    """Bytes, or what to make them of: 251 hashes, over and over, so that no power of two is a period."""
    if "base64" in part:
        return base64.b64decode(part["base64"])
    size, seed = part["size"], part["seed"]
    hashes = (hashlib.sha256(f"{seed}/{n}".encode()).digest() for n in range(min(251, -(-size // 32))))
    block = b"".join(hashes)
    return (block * (size // len(block) + 1))[:size] if size else b""


def show_part(part):
    if len(part) > LARGE:
        return {"size": len(part), "sha256": hashlib.sha256(part).hexdigest()}
    return {"base64": base64.b64encode(part).decode()}


class Peer:
    def __init__(self):
        self.context = zmq.asyncio.Context()
        self.sockets = {}
        self.clients = {}
        self.gates = {}
        self.tasks = set()
        self.begin(self.guard())
        self.begin(self.tend())

    def begin(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def answer(self, command):
        try:
            done = await getattr(self, command["do"])(command)
            say(id=command["id"], done=done)
        except Exception as error:
            say(id=command["id"], error=f"{type(error).__name__}: {error}")

    async def socket(self, command):
        number = len(self.sockets)
        socket = self.context.socket(getattr(zmq, command["type"]))
        for name, value in command["options"].items():
            socket.setsockopt(getattr(zmq, name), value.encode() if isinstance(value, str) else value)
        self.secure(socket, f"socket-{number}", **command["security"])
        self.sockets[number] = socket
        self.begin(self.watch(number, socket.get_monitor_socket()))
        return number

    def secure(self, socket, domain, plain_server=None, plain_client=None, curve_server=None, curve_client=None):
        if plain_server is not None:
            users = {user.encode(): password.encode() for user, password in plain_server["users"].items()}
            self.gates[domain.encode()] = lambda user, password: users.get(user) == password
            socket.zap_domain = domain.encode()
            socket.plain_server = True
        if plain_client is not None:
            socket.plain_username = plain_client["user"].encode()
            socket.plain_password = plain_client["password"].encode()
        if curve_server is not None:
            allowed = {base64.b64decode(key) for key in curve_server["allowed"]}
            self.gates[domain.encode()] = lambda key: key in allowed
            socket.zap_domain = domain.encode()
            socket.curve_secretkey = curve_server["secret"].encode()
            socket.curve_server = True
        if curve_client is not None:
            socket.curve_serverkey = curve_client["server"].encode()
            socket.curve_publickey = curve_client["public"].encode()
            socket.curve_secretkey = curve_client["secret"].encode()

    async def guard(self):
        """ZAP (RFC 27): libzmq asks here who is let in."""
        zap = self.context.socket(zmq.ROUTER)
        zap.bind("inproc://zeromq.zap.01")
        while True:
            client, empty, version, request, domain, _, _, _, *credentials = await zap.recv_multipart()
            gate = self.gates.get(domain)
            verdict = [b"200", b"OK"] if gate and gate(*credentials) else [b"400", b"not allowed"]
            # No user's name: libzmq hands it on as a part, which a REQ takes for a bad reply.
            await zap.send_multipart([client, empty, version, request, *verdict, b"", b""])

    async def tend(self):
        """A socket sees who has come and gone when somebody looks at it; until then, subscriptions are not sent."""
        while True:
            for socket in self.sockets.values():
                if not socket.closed:
                    # Not getsockopt, which would take the sign from those that wait to receive.
                    socket.get(zmq.EVENTS)
            await asyncio.sleep(0.01)

    async def watch(self, number, monitor):
        while True:
            event = parse_monitor_message(await monitor.recv_multipart())
            kind, value = event["event"], event["value"]
            if kind == zmq.EVENT_MONITOR_STOPPED:
                break
            why = ""
            if kind == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                why = str(value)
            elif kind == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                why = PROTOCOL_ERRORS.get(value, hex(value))
            say(socket=number, event=zmq.Event(kind).name.lower(), why=why)
        monitor.close()

    async def bind(self, command):
        port = command.get("port") or "*"
        socket = self.sockets[command["socket"]]
        socket.bind(f"tcp://127.0.0.1:{port}")
        return int(socket.last_endpoint.decode().rpartition(":")[2])

    async def connect(self, command):
        self.sockets[command["socket"]].connect(f"tcp://127.0.0.1:{command['port']}")

    async def disconnect(self, command):
        self.sockets[command["socket"]].disconnect(f"tcp://127.0.0.1:{command['port']}")

    async def send(self, command):
        await self.sockets[command["socket"]].send_multipart([read_part(part) for part in command["parts"]])

    async def receive(self, command):
        within = command.get("within")
        receiving = self.sockets[command["socket"]].recv_multipart()
        try:
            parts = await asyncio.wait_for(receiving, within and within / 1000)
        except asyncio.TimeoutError:
            return None
        return [show_part(part) for part in parts]

    async def subscribe(self, command):
        self.sockets[command["socket"]].subscribe(read_part(command["prefix"]))

    async def unsubscribe(self, command):
        self.sockets[command["socket"]].unsubscribe(read_part(command["prefix"]))

    async def close(self, command):
        socket = self.sockets[command["socket"]]
        socket.disable_monitor()
        socket.close()

    async def serve(self, command):
        number = command["socket"]
        report = lambda key, payload: say(socket=number, event="request", why=f"{key} {payload}")
        self.begin(rpc.serve(self.sockets[number], command["form"], report))

    async def proxy(self, command):
        return rpc.proxy(command["port"])

    async def client(self, command):
        self.clients[command["socket"]] = rpc.Client(self.sockets[command["socket"]], command["form"])

    async def ask(self, command):
        return await self.clients[command["socket"]].ask(command["key"], command["payload"])


async def main():
    peer = Peer()
    commands = asyncio.StreamReader(limit=MAX_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    say(ready={"libzmq": zmq.zmq_version(), "pyzmq": zmq.__version__})
    while line := await commands.readline():
        peer.begin(peer.answer(json.loads(line)))
    # Whoever started this is gone; what is unsent has nobody to wait for it.
    os._exit(0)


asyncio.run(main())
