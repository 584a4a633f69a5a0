"""``serve``: a store as an object service over HTTP, until it is told to stop."""

from __future__ import annotations

import argparse

from encore.cli.arguments import add_durability, add_quiet, add_store
from encore.cli.output import stdout, write_line
from encore.cli.stores import opened_target
from encore.config import parse_address


def add_serve(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Serve a store over HTTP, for encore.service.Client and other clients of the same "
        "protocol. On 127.0.0.1 everybody on this machine may do everything; at any other address "
        "tokens are needed, which a configuration names. Ctrl-C or SIGTERM ends it, once what is "
        "under way is done. Needs the extra 'server'."
    )
    add_store(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on; default: 127.0.0.1"
    )
    parser.add_argument(
        "--port", type=_port, default=8888, help="default: 8888; 0: any that is free"
    )
    parser.add_argument(
        "--config", metavar="FILE", help="tokens, limits and usecases: .yaml, .toml or .json"
    )
    add_durability(parser)
    add_quiet(parser, "do not print the address")
    parser.set_defaults(run=serve)


def serve(args: argparse.Namespace) -> None:
    # Here, so that a missing extra is said before anything is made or read.
    from encore.service.server.application import create_app
    from encore.service.server.files import Settings, read_settings
    from encore.service.server.running import check_reachable, run

    settings = Settings() if args.config is None else read_settings(args.config)
    check_reachable(args.host, settings.authority is not None)

    def started(url: str) -> None:
        if not args.quiet:
            write_line(f"{args.store} is served at {url}")
            stdout().flush()  # whoever has started it may be waiting

    address = parse_address(args.store)
    with opened_target(address, durability=args.durability) as target:
        app = create_app(target.store, **settings._asdict())
        run(app, args.host, args.port, on_start=started)


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65536:
        raise ValueError
    return number
