"""A client of a Gundo world in plain Python: no packages, one thread, to be read from top to bottom.

It follows docs/protocol.md: frames (section 6), then hello and keys (3), commands (4), moves (5), and where to go when a
connection ends (8). `World` is what you use; `walk.py` shows how. The bytes are in `wire.py`.
"""

import os
import random
import select
import time

from wire import Closed, Socket, column, decode, edge_url, encode, entity_id, one, pause, refusal, sint, zigzag

UNANSWERED_MAX = 32
BATCH_BYTES = 15 * 1024  # of commands in one message: the server takes 16 KiB

# ---- what is in sight: every entity that some publisher shows (section 6) ------------------------------------------------------


class Picture:
    chunk_mm, unit_mm = 30_000, 10

    def __init__(self):
        self.forget_all()

    def forget_all(self):
        self.boards = {}  # (publisher, chunk): {"part": number, "broken": bool, "slots": {slot: (entity, epoch, count)}}
        self.shown = {}  # entity (kind, id): {"rank": (epoch, count, tick), "key", "public", "body"}

    def forget(self, chunk):
        self.boards = {key: board for key, board in self.boards.items() if key[1] != chunk}
        self.shown = {entity: seen for entity, seen in self.shown.items() if seen["key"][1] != chunk}

    def leave(self, key, entity):
        if self.shown.get(entity, {}).get("key") == key:
            del self.shown[entity]

    def frame(self, frame, signal):
        chunk = (one(frame, 2), sint(one(frame, 3)), sint(one(frame, 4)))
        key, tick, part = (one(frame, 1), chunk), one(frame, 5), one(frame, 6)
        board = self.boards.setdefault(key, {"part": 0, "broken": False, "slots": {}})
        has_news = any(field in frame for field in (8, 9, 10, 11))
        if one(frame, 7):
            before, board["slots"] = board["slots"], {}
            board.update(part=part, broken=False)
            self.roster(key, board, tick, frame, signal)
            for entity in {entity for entity, *_ in before.values()} - {entity for entity, *_ in board["slots"].values()}:
                self.leave(key, entity)
        elif part and not board["broken"]:
            expected = board["part"] + 1 if has_news else board["part"]
            board["broken"] = part > expected
            if part == expected:
                board["part"] = part
                self.roster(key, board, tick, frame, signal)
        if not board["broken"]:
            self.motion(key, board, tick, frame)

    def roster(self, key, board, tick, frame, signal):
        for leave in map(decode, frame.get(10, [])):
            if one(leave, 1) in board["slots"]:
                self.leave(key, board["slots"].pop(one(leave, 1))[0])
        for enter in map(decode, frame.get(8, [])):
            slot, kind, id, epoch, count = (one(enter, field) for field in range(1, 6))
            board["slots"][slot] = ((kind, id), epoch, count)
            body = self.place(key[1], *(one(enter, field) for field in range(8, 12))) if one(enter, 7) else None
            if self.shown.get((kind, id), {"rank": ()})["rank"] <= (epoch, count, tick):
                rank = (epoch, count, tick)
                self.shown[kind, id] = {"rank": rank, "key": key, "public": one(enter, 6, b""), "body": body}
        for change in map(decode, frame.get(9, [])):
            self.update(key, board, one(change, 1), tick, public=one(change, 2, b""))
        for said in map(decode, frame.get(11, [])):
            if one(said, 1) in board["slots"]:
                signal(board["slots"][one(said, 1)][0], one(said, 2, b""))

    def motion(self, key, board, tick, frame):
        slot = 0
        for step, *place in zip(*(column(frame, field) for field in range(12, 17))):
            slot += step
            self.update(key, board, slot, tick, body=self.place(key[1], *place))

    def update(self, key, board, slot, tick, **news):
        """Only for the entry that is shown: what another publisher says of the entity is out of date."""
        entity, *term = board["slots"].get(slot, (None, 0, 0))
        seen = self.shown.get(entity)
        if seen and seen["key"] == key and seen["rank"] <= (*term, tick):
            seen.update(news, rank=(*term, tick))

    def place(self, chunk, x, y, heading, speed):
        x, y = chunk[1] * self.chunk_mm + x * self.unit_mm, chunk[2] * self.chunk_mm + y * self.unit_mm
        return x, y, heading, speed


# ---- the client: hello, keys, commands, moves, and where to go next (sections 3, 4, 5 and 8) ------------------------------------


class World:
    """A player's stay in a world. Call `step` again and again; it returns what has happened, as (kind, details).

    `keys` maps worlds to the player's newest token there: store it, for without it nobody comes back.
    """

    def __init__(self, url, name, keys=None, invitation=""):
        self.came_by, self.edges, self.at, self.failed = url, [url], 0, 0
        self.name, self.nonce, self.keys = name, os.urandom(16), {} if keys is None else keys
        self.world, self.line, self.live = next(reversed(self.keys), b""), None, False
        self.ended, self.refused, self.invitation = False, False, invitation
        self.picture, self.events, self.next_try, self.watches, self.place = Picture(), [], 0.0, set(), b""
        self.waiting, self.unanswered, self.next_seq, self.count, self.move_seq = [], {}, 0, 0, 0

    def command(self, payload):
        """Sends a command, now or when it may go. Returns its number, which comes with the reply."""
        self.count += 1
        self.waiting.append((self.count, payload))
        self.send_commands([])
        return self.count

    def move(self, x, y, heading, speed):
        """Where the body wants to be now. A move is not repeated: by then it would be out of date."""
        if self.live:
            self.move_seq += 1
            self.send(3, encode([(1, self.move_seq), (2, zigzag(x)), (3, zigzag(y)), (4, heading), (5, speed)]))

    def watch(self, kind, id, on=True):
        """Shows an entity from now on, wherever it is, or no more: `watched` says how it looks, or why it is not shown."""
        (self.watches.add if on else self.watches.discard)((kind, id))
        self.live and self.send(7 if on else 8, entity_id(kind, id))

    def introduce(self, name, invitation=""):
        """After a refusal: says hello as a new player of this name, with an invitation where the world wants one."""
        self.name, self.invitation, self.refused = name, invitation or self.invitation, False
        self.keys.pop(self.world, None)
        self.forget_commands()
        if self.line:
            self.hello()

    def leave(self):
        self.live and self.send(5, b"")
        self.end("left")

    def step(self, seconds=0.1):
        """Does what is due, waits for the server up to so many seconds, returns the events."""
        now = time.monotonic()
        try:
            if self.line:
                if select.select([self.line.tcp], [], [], seconds)[0]:
                    self.line.fill()
                    self.heard, self.asked = time.monotonic(), None
                for message in self.line.messages():
                    self.take(decode(message))
                self.watch_silence(time.monotonic())
            elif not self.ended and not self.refused and now >= self.next_try:
                self.line = Socket(self.edges[self.at], min(2 * 2 ** (self.failed // len(self.edges)), 10))
                self.hello()
            else:
                time.sleep(min(seconds, max(0.01, self.next_try - now)))
        except Closed as closed:
            code, retry_ms = closed.args
            self.lose(retry_ms / 1000) if retry_ms else self.end(code)
        except (OSError, IndexError):  # the connection is lost, or the server does not speak the protocol
            self.lose(None)
        events, self.events = self.events, []
        return events

    def send(self, field, message):
        self.line.send(encode([(field, message)]) or bytes([field << 3 | 2, 0]))

    def hello(self):
        self.used = token = self.keys.get(self.world, b"")
        who = [(2, self.name.encode()), (5, self.nonce), (9, self.invitation.encode())]
        who = [(3, token), (7, self.place)] if token else who
        self.send(1, encode([(1, 1), *who, (4, b"gundo.py"), (6, self.world)]))
        self.heard = self.greeted = time.monotonic()
        self.asked, self.refused = None, False

    def watch_silence(self, now):
        if self.asked and now - self.asked > 1 or not self.live and not self.refused and now - self.greeted > 10:
            raise OSError("the edge hangs")
        if self.live and now - self.pinged > 5 or not self.asked and now - self.heard > 1:
            self.asked = self.asked or (now if now - self.heard > 1 else None)
            self.pinged = now
            self.send(4, encode([(1, int(now * 1000))]))

    def lose(self, asked):
        """The connection has ended: another edge is next, at once; after a round over all of them, later."""
        if self.live and asked is None:
            counts = list(self.unanswered.values())
            first = next((k for k, command in enumerate(counts) if command[1]), len(counts))
            for command in counts[: max(first, 1)]:
                command[1] += 1
        self.failed = 0 if self.live and time.monotonic() - self.welcomed > 1 else self.failed
        self.hang_up()
        step = random.randint(1, len(self.edges) - 1) if self.failed == 0 and len(self.edges) > 1 else 1
        wait = pause(self.failed, len(self.edges), asked)
        self.at, self.failed, self.next_try = (self.at + step) % len(self.edges), self.failed + 1, time.monotonic() + wait

    def hang_up(self):
        self.line, self.live = self.line and self.line.tcp.close(), False

    def end(self, code):
        self.hang_up()
        self.ended = True
        self.events.append(("ended", code))

    def take(self, message):
        if 16 in message:
            self.world = one(message, 16)
        if 2 in message or 12 in message:
            self.picture.forget_all()
        if 2 in message:
            self.on_welcome(decode(message[2][-1]))
        if 11 in message:
            self.on_edges(decode(message[11][-1]), None)
        for chunk in map(decode, message.get(8, [])):
            self.picture.forget((one(chunk, 1), sint(one(chunk, 2)), sint(one(chunk, 3))))
        for frame in message.get(1, []):
            self.picture.frame(decode(frame), lambda entity, said: self.events.append(("signal", (entity, said))))
        for reply in map(decode, message.get(3, [])):
            if one(reply, 1) in self.unanswered:  # otherwise it was answered before
                nth = self.unanswered.pop(one(reply, 1))[2]
                self.events.append(("reply", (nth, one(reply, 2, b""), refusal(reply.get(3)))))
        for watched in map(decode, message.get(14, [])):
            entity, refused = decode(one(watched, 1, b"")), refusal(watched.get(3))
            key = one(entity, 1), one(entity, 2)
            self.watches -= {key} if refused else set()
            self.events.append(("watched", (key, one(watched, 2, None), refused)))
        self.place = one(message, 17, self.place)
        for field, kind in ((4, "own"), (15, "told")):
            self.events += [(kind, one(decode(part), 1, b"")) for part in message.get(field, [])]
        if 5 in message:
            at = decode(message[5][-1])
            self.events.append(("corrected", (one(at, 1), sint(one(at, 2)), sint(one(at, 3)), one(at, 4, b"").decode())))
        if 13 in message:
            self.on_notice(decode(message[13][-1]))
        if 10 in message:
            self.on_refused(refusal(message[10]))
        if 7 in message:
            closing = decode(message[7][-1])
            raise Closed(one(closing, 1, b"").decode(), one(closing, 3))
        self.send_commands([])

    def on_welcome(self, welcome):
        self.keys.pop(self.world, None)  # the world played in last comes last
        self.keys[self.world] = one(welcome, 2, b"")
        self.live, self.nonce = True, os.urandom(16)
        self.welcomed = self.pinged = time.monotonic()
        self.next_seq = max(self.next_seq, one(welcome, 3))
        self.player = one(decode(one(welcome, 1, b"")), 1), one(decode(one(welcome, 1, b"")), 2)
        self.x, self.y = sint(one(welcome, 10)), sint(one(welcome, 11))
        self.picture.chunk_mm, self.picture.unit_mm = one(welcome, 14, 30_000), one(welcome, 15, 10)
        self.on_edges(decode(one(welcome, 7, b"")), one(welcome, 6))
        self.events.append(("welcome", one(welcome, 13, b"")))
        self.send_commands([(seq, *command) for seq, command in self.unanswered.items()])
        for key in self.watches:
            self.send(7, entity_id(*key))

    def on_refused(self, code):
        if code in ("bad_token", "no_player"):
            self.keys.pop(self.world, None)
            self.nonce = os.urandom(16)
        elif code == "unknown_world" and self.keys.get(self.world, self.used) != self.used:
            self.forget_commands()  # they were for the player of another world
            return self.hello()
        self.refused = True
        self.events.append(("refused", code))

    def on_notice(self, notice):
        for seq in column(notice, 3):
            if seq in self.unanswered:
                self.unanswered[seq][1] += 1
        if 2 in notice:  # without a text it is for the program only
            self.events.append(("notice", (one(notice, 1, b"").decode(), one(notice, 2).decode())))

    def on_edges(self, message, serving):
        """The server's list, then the edge in use and the address we came by, which may be the only one that we reach."""
        named = {one(edge, 1): edge_url(edge, self.came_by) for edge in map(decode, message.get(1, []))}
        here, urls = self.edges[self.at], [url for url in named.values() if url]
        if urls:
            here = here if here in urls else named.get(serving) or here
            self.edges = list(dict.fromkeys([*urls, self.came_by, here]))
            self.at = self.edges.index(here)

    def send_commands(self, again):
        """Sends `again`, and what waits while less than 32 commands are unanswered, in messages that are not too large."""
        due, batch = list(again), b""
        while self.live and self.waiting and len(self.unanswered) < UNANSWERED_MAX:
            nth, payload = self.waiting.pop(0)
            self.unanswered[self.next_seq] = [payload, 0, nth]
            due.append((self.next_seq, payload, 0))
            self.next_seq += 1
        for seq, payload, lost, *_ in due:
            command = encode([(2, encode([(1, seq), (2, payload), (3, lost)]))])
            if len(batch) + len(command) > BATCH_BYTES:
                self.line.send(batch)
                batch = b""
            batch += command
        batch and self.line.send(batch)

    def forget_commands(self):
        self.events += [("reply", (nth, b"", "session_lost")) for _, _, nth in self.unanswered.values()]
        self.unanswered, self.next_seq = {}, 0
