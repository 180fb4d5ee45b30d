"""What the client stands on, without packages: protobuf by hand, and a WebSocket over a plain socket."""

import base64
import hashlib
import os
import random
import socket
import struct
from urllib.parse import urlsplit

# ---- protobuf: a message is a list of (field number, value); a value is a number or bytes ------------------------------------


def varint(number):
    out = bytearray()
    number &= 2**64 - 1
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def encode(fields):
    """Bytes of a message. Numbers of the value 0 and empty bytes may be left out, and are."""
    out = b""
    for field, value in fields:
        if isinstance(value, int):
            out += varint(field << 3) + varint(value) if value else b""
        elif value is not None:
            out += varint(field << 3 | 2) + varint(len(value)) + value
    return out


def read_varint(data, at):
    number = shift = 0
    while True:
        number |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return number, at


def decode(data):
    """The fields of a message: {number: [values in order]}. What you do not know you do not read."""
    fields, at = {}, 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 0:
            value, at = read_varint(data, at)
        elif tag & 7 == 1:
            value, at = int.from_bytes(data[at : at + 8], "little"), at + 8
        elif tag & 7 == 5:
            value, at = int.from_bytes(data[at : at + 4], "little"), at + 4
        else:
            size, at = read_varint(data, at)
            value, at = data[at : at + size], at + size
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def one(fields, number, default=0):
    """Of a singular field the last value wins."""
    return fields.get(number, [default])[-1]


def sint(number):
    """Zigzag: 0, -1, 1, -2, …"""
    return (number >> 1) ^ -(number & 1)


def zigzag(number):
    return number << 1 ^ number >> 63


def column(fields, number):
    """A repeated number, packed into bytes or not."""
    out = []
    for value in fields.get(number, []):
        at = 0
        while isinstance(value, bytes) and at < len(value):
            item, at = read_varint(value, at)
            out.append(item)
        if isinstance(value, int):
            out.append(value)
    return out


def refusal(parts):
    """The code of a refusal, or None if there is none."""
    return one(decode(parts[-1]), 1, b"").decode() if parts else None


def entity_id(kind, id):
    """An entity as the protocol names it. The id always has eight bytes."""
    return encode([(1, kind)]) + b"\x11" + struct.pack("<Q", id)


class Closed(Exception):
    """The server closes the connection. Arguments: the code, and after how many ms to come again."""


def pause(failed, edges, asked):
    """How long to wait before the next connection, s, after so many that failed: not at all in the first round over all edges."""
    rounds, nth = divmod(failed, edges)
    wait = min(0.2 * 2 ** (rounds - 1), 10) * random.uniform(0.5, 1) if rounds and nth == 0 else random.uniform(0, 0.05)
    return wait if asked is None else max(wait, asked) if rounds else asked


def edge_url(edge, came_by):
    """Where an edge is: what it leaves out is as in the address we came by. None: this client cannot go there."""
    at = urlsplit(came_by)
    host, port, path = one(edge, 2, b"").decode() or at.hostname, one(edge, 3) or at.port or 80, one(edge, 4, b"").decode()
    if path and not path.startswith("/"):
        before, _, last = at.path.rstrip("/").rpartition("/")
        path = f"{before if last.isdigit() else at.path.rstrip('/')}/{path}"
    host = f"[{host}]" if ":" in host else host
    return f"ws://{host}:{port}{path or at.path or '/ws'}" if one(edge, 5, b"") in (b"", b"ws") else None


# ---- WebSocket (RFC 6455): one binary message holds one message of the protocol ------------------------------------------------


class Socket:
    def __init__(self, url, timeout):
        at = urlsplit(url)
        if at.scheme != "ws":
            raise OSError("this client does not speak TLS")
        self.tcp = socket.create_connection((at.hostname, at.port or 80), timeout)
        self.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {at.path or '/ws'} HTTP/1.1", f"Host: {at.netloc}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        self.tcp.sendall("\r\n".join(lines).encode())
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            self.fill()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        if not head.startswith(b"HTTP/1.1 101") or accept not in head:
            raise OSError(head.split(b"\r\n")[0].decode())
        self.message = b""

    def fill(self):
        """Reads what has arrived; waits if that is nothing."""
        more = self.tcp.recv(65536)
        if not more:
            raise OSError("the connection has ended")
        self.data += more

    def send(self, payload, opcode=2):
        size, mask = len(payload), os.urandom(4)
        head = bytes([128 | opcode, 128 | min(size, 126)]) + (struct.pack(">H", size) if size > 125 else b"")
        if size > 65535:
            head = bytes([128 | opcode, 255]) + struct.pack(">Q", size)
        masked = int.from_bytes(payload, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        try:
            self.tcp.sendall(head + mask + masked.to_bytes(size, "big"))
        except OSError:
            pass  # that the connection is lost shows when something is read

    def messages(self):
        """The messages that are complete. Pings are answered, pieces are put together."""
        while len(self.data) >= 2:
            size, start = self.data[1] & 127, 2
            if size > 125:
                start = 4 if size == 126 else 10
                size = int.from_bytes(self.data[2:start], "big") if len(self.data) >= start else 2**64
            if len(self.data) < start + size:
                return
            first, payload, self.data = self.data[0], self.data[start : start + size], self.data[start + size :]
            if first & 15 == 9:
                self.send(payload, 10)
            elif first & 15 == 8:
                raise OSError("the server has closed the connection")
            elif first & 15 < 3:
                self.message += payload
                if first & 128:
                    whole, self.message = self.message, b""
                    yield whole
