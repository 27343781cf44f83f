"""Schedules of one minute fire every `--tick-seconds` instead: the lab's acceleration, on EventBridge's own path."""

from __future__ import annotations

from ministack.services import eventbridge

from cutover_cloud.settings import ONE_MINUTE_SECONDS, Settings

# The ways to write every minute.
EVERY_MINUTE = ("cron(* * * * ? *)", "cron(0/1 * * * ? *)", "cron(*/1 * * * ? *)")
LOOKS_PER_TICK = 10
LOOK_SECONDS_MAX = 1.0


def install(settings: Settings) -> None:
    """Shorten schedules of one minute; every other schedule stays as declared."""
    parse = eventbridge._parse_rate_seconds

    def parse_rate_seconds(expression: str) -> float | None:
        seconds = ONE_MINUTE_SECONDS if expression in EVERY_MINUTE else parse(expression)
        return settings.tick_seconds if seconds == ONE_MINUTE_SECONDS else seconds

    eventbridge._parse_rate_seconds = parse_rate_seconds
    # MiniStack looks every ten seconds, which is too seldom even for a minute that should be sixty seconds.
    eventbridge._SCHEDULER_TICK_INTERVAL = min(LOOK_SECONDS_MAX, settings.tick_seconds / LOOKS_PER_TICK)
