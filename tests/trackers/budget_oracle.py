"""Works time zones and periods out again with datetime and zoneinfo: budget_oracle.py FILE offset|period

offset: each line is NAME SECOND OFFSET.
period: each line is PERIOD ZONE MOMENT_NS FROM_NS UNTIL_NS; ZONE is an IANA name or minutes east of UTC."""
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
SECOND = 10 ** 9
zones = {}


def zone_of(name):
    if name not in zones:
        try:
            zones[name] = timezone(timedelta(minutes=int(name)))
        except ValueError:
            zones[name] = ZoneInfo(name)
    return zones[name]


def local(name, second):
    """What clocks there show, without a zone."""
    return (EPOCH + timedelta(seconds=second)).astimezone(zone_of(name)).replace(tzinfo=None)


def first_day(period, day):
    if period == "daily":
        return day
    if period == "weekly":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1)


def next_day(period, day):
    if period == "daily":
        return day + timedelta(days=1)
    if period == "weekly":
        return day + timedelta(days=7)
    return (day + timedelta(days=31)).replace(day=1)


def begins(period, name, second):
    """Whether a period begins at this second: clocks show its midnight or later, and never did before. Clocks are
    turned by no more than a day, at whole minutes or at odd seconds long ago; so what was shown in the 26 hours before
    is looked at, every five minutes and at the last seconds."""
    midnight = datetime.combine(first_day(period, local(name, second).date()), datetime.min.time())
    before = [second - back for back in [1, 2, 60, *range(300, 26 * 3600, 300)]]
    return all(local(name, at) < midnight for at in before)


def is_period(period, name, moment, start, end):
    second = moment // SECOND
    if not start <= moment < end or start % SECOND or end % SECOND:
        return False
    start //= SECOND
    end //= SECOND
    if not begins(period, name, start) or not begins(period, name, end):
        return False
    # no other one begins in between
    day = first_day(period, local(name, start).date())
    following = next_day(period, day)
    shown = max(local(name, at).date() for at in (second, start, end - 1))
    return shown < following <= local(name, end).date()


def is_duration(length, anchor, moment, start, end):
    return start <= moment < end and end - start == length and (start - anchor) % length == 0


def check(kind, words):
    if kind == "offset":
        expected = (EPOCH + timedelta(seconds=int(words[1]))).astimezone(zone_of(words[0])).utcoffset()
        return expected == timedelta(seconds=int(words[2]))
    numbers = [int(word) for word in words[2:]]
    if words[0].startswith("every:"):
        return is_duration(int(words[0][6:]), int(words[1]), *numbers)
    return is_period(words[0], words[1], *numbers)


def main():
    checked = wrong = 0
    with open(sys.argv[1], encoding="utf-8") as cases:
        for line in cases:
            checked += 1
            if not check(sys.argv[2], line.split()):
                wrong += 1
                if wrong <= 10:
                    print("wrong:", line.strip())
    print(f"checked {checked}, wrong {wrong}")


main()
