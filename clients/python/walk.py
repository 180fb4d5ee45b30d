"""A short visit to a Pioneer world: `python3 walk.py ws://127.0.0.1:7600/ws NAME`.

It looks around, walks five steps, says something, loses its connection while it says something else, and leaves. It keeps its keys
in `keys.json`, so the next visit is by the same player.
"""

import json
import pathlib
import sys
import time

from gundo import World
from wire import decode, encode, one

PLAYER = 1  # the kind of players in Pioneer
STEP_MM = 400
SAYS = 5  # PlayerCommand.say, whose field 1 is the text


def say(text):
    return encode([(SAYS, encode([(1, text.encode())]))])


def until(world, kind, seconds=60):
    """Plays on until something of this kind happens."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        for what, details in world.step():
            if what == kind:
                return details
            if what in ("refused", "ended"):
                raise SystemExit(f"{what}: {details}")
    raise SystemExit(f"no {kind} within {seconds} s")


def main(url, name, place="keys.json"):
    place = pathlib.Path(place)
    kept = json.loads(place.read_text()) if place.exists() else {}
    keys = {bytes.fromhex(world): bytes.fromhex(token) for world, token in kept.items()}
    world = World(url, name, keys)

    def keep_keys():
        place.write_text(json.dumps({world.hex(): token.hex() for world, token in keys.items()}))

    until(world, "welcome")
    keep_keys()
    print(f"in the world at {world.x / 1000:.1f}, {world.y / 1000:.1f}")

    while world.player not in world.picture.shown:
        world.step()
    people = {id: seen for (kind, id), seen in world.picture.shown.items() if kind == PLAYER}
    for id, seen in people.items():
        who = "you" if (PLAYER, id) == world.player else "near"
        print(f"{who}: {one(decode(seen['public']), 1, b'').decode()}")

    for nth in range(1, 6):
        world.move(world.x + nth * STEP_MM, world.y, 0, 14)
        world.step(0.3)
    print("walked")

    world.command(say("Hello from Python!"))
    nth, _, refused = until(world, "reply")
    print(f"command {nth}: {refused or 'done'}")

    world.command(say("And good-bye!"))
    world.line.tcp.close()  # as a broken line would; the client comes back and sends the command again
    world.lose(None)
    until(world, "welcome")
    keep_keys()
    nth, _, refused = until(world, "reply")
    print(f"command {nth}, after the connection was lost: {refused or 'done'}")
    world.leave()


main(*sys.argv[1:])
