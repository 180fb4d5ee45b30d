"""The Python client as the conformance kit wants it: wishes from standard input, events as lines of JSON to standard output.

The contract is in crates/conformance/src/stage.rs. `python3 conformance.py URL NAME`
"""

import json
import os
import select
import sys

from gundo import World


def tell(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


def entity(key):
    return f"{key[0]}/{key[1]}"


def report(kind, what):
    if kind in ("own", "told"):
        tell(kind, payload=what.hex())
    elif kind == "welcome":
        tell(kind, own=what.hex())
    elif kind == "reply":
        nth, payload, refused = what
        tell(kind, nth=nth, **({"refusal": refused} if refused is not None else {"payload": payload.hex()}))
    elif kind == "corrected":
        tell(kind, **dict(zip(("seq", "x", "y", "code"), what)))
    elif kind == "notice":
        tell(kind, code=what[0], text=what[1])
    elif kind == "signal":
        tell(kind, id=entity(what[0]), payload=what[1].hex())
    elif kind == "watched":
        key, public, refused = what
        more = {"public": public.hex()} if public is not None else {}
        tell(kind, id=entity(key), **more, **({"refusal": refused} if refused is not None else {}))
    else:
        tell(kind, code=what)


def grant(world, wish):
    match wish.split(" "):
        case ["command", digits]:
            world.command(bytes.fromhex(digits))
        case ["move", *numbers]:
            world.move(*map(int, numbers))
        case ["name", name]:
            world.introduce(name)
        case ["invitation", text]:
            world.introduce(world.name, text)
        case ["watch", kind, id]:
            world.watch(int(kind), int(id))
        case ["leave"]:
            world.leave()
        case ["picture"]:
            entities = []
            for key, seen in world.picture.shown.items():
                body = dict(zip(("x", "y", "heading", "speed"), seen["body"] or ()))
                entities.append({"id": entity(key), "public": seen["public"].hex(), **body})
            tell("picture", entities=entities)
        case _:
            tell("cannot", wish=wish)


def main(url, name):
    world, typed = World(url, name), b""
    while True:
        while select.select([0], [], [], 0)[0]:
            more = os.read(0, 65536)
            if not more:
                return
            *wishes, typed = (typed + more).split(b"\n")
            for wish in wishes:
                grant(world, wish.decode())
        for kind, what in world.step(0.02):
            report(kind, what)


main(*sys.argv[1:])
