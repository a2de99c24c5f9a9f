"""`python -m algoserver.sim --config cfg/sim.toml --state DIR`: serve a simulated market over FIX."""

import argparse
import sys
from pathlib import Path

import msgspec

from algoserver.fix.endpoint import BadSessions
from algoserver.sim.config import BadScenario, ClockConfig, load
from algoserver.sim.face import run
from algoserver.sim.ledger import BrokenLedger
from algoserver.sim.tape import BrokenTape
from algoserver.sim.volume import UnknownRecording


def main() -> int:
    """Serve until a signal. Exit status: 0, or 2 if the configuration or the state can't be used."""
    parser = argparse.ArgumentParser(prog="algoserver.sim", description="A simulated market over FIX 4.4.")
    parser.add_argument("--config", type=Path, required=True, help="scenario, TOML")
    parser.add_argument("--state", type=Path, required=True, help="directory for ledger, FIX store and log")
    parser.add_argument("--port", type=int, help="listen here instead of the port in sessions/sim.cfg")
    parser.add_argument("--speed", type=float, help="market seconds per wall second")
    parser.add_argument("--market-epoch", help="market time at the wall epoch, YYYYMMDD-HH:MM:SS UTC")
    parser.add_argument("--wall-epoch", help="wall time of the market epoch, YYYYMMDD-HH:MM:SS[.ns] UTC; default: now")
    args = parser.parse_args()
    try:
        given = {"speed": args.speed, "market_epoch": args.market_epoch, "wall_epoch": args.wall_epoch}
        epochs: ClockConfig = msgspec.structs.replace(load(args.config).clock, **{k: v for k, v in given.items() if v is not None})
        run(args.config, args.state, args.port, epochs)
    except (BadScenario, BadSessions, BrokenLedger, BrokenTape, UnknownRecording, ValueError) as e:
        print(f"algoserver.sim: {e}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
