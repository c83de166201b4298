"""Prices each line of a case file again with decimal arithmetic: see tests/oracle.h.

Lines, separated by blanks: the nine prices of a model (input, output, cached input, cache write, batch input, batch
output, character, image; in units of 1e-12 USD, -1 = none) and whether its input excludes the cached tokens; the usage
(prompt, completion, cached, written, images, characters, batch); "="; the charge (input, output, total, cache savings,
batch savings, flagged).
"""
import sys
from decimal import Context, Decimal, ROUND_HALF_UP, setcontext

setcontext(Context(prec=400, rounding=ROUND_HALF_UP))
HIGHEST = 2**127 - 1


class Part:
    """A count, its price, and its own price in a batch; -1 = none."""

    def __init__(self, count, price, batch_price=-1):
        self.count, self.price, self.batch_price = count, price, batch_price

    def cost(self, batch):
        if batch and self.batch_price >= 0:
            return Decimal(self.count) * self.batch_price
        if self.price < 0:
            return None
        if batch:
            return (Decimal(self.count) * self.price / 2).to_integral_value(ROUND_HALF_UP)
        return Decimal(self.count) * self.price


def charge(prices, excludes, usage):
    input_, output, cached_input, cache_write, batch_input, batch_output, character, image = prices
    prompt, completion, cached, written, images, characters, batch = usage

    uncached = prompt
    if not excludes:
        cached = min(cached, prompt)
        written = min(written, prompt - cached)
        uncached = prompt - cached - written

    def of_prompt(count, price):
        return Part(count, price) if price >= 0 else Part(count, input_, batch_input)

    ins = [Part(uncached, input_, batch_input), of_prompt(cached, cached_input), of_prompt(written, cache_write)]
    outs = [Part(completion, output, batch_output)]
    cached_saves = Part(cached, input_, batch_input).cost(batch), ins[1].cost(batch)
    if max(input_, output, cached_input, cache_write, batch_input, batch_output) < 0 <= max(character, image):
        # sold by the image or the character alone: its tokens cost nothing beside these, and have no price without
        ins, outs = [], []
        if prompt + completion > 0 and images == characters == 0:
            return ["0"] * 5 + ["1"]
    outs += [Part(images, image), Part(characters, character)]

    used = [part for part in ins + outs if part.count > 0]
    priced = [part for part in used if part.cost(batch) is not None]
    sums = [sum(part.cost(batch) for part in side if part in priced) for side in (ins, outs)]
    saved = sum((part.cost(False) or Decimal(0)) - part.cost(batch) for part in priced if part.cost(False) is not None)
    regular = sum(part.cost(batch) if part.cost(False) is None else part.cost(False) for part in priced)
    if sum(sums) > HIGHEST or regular > HIGHEST:
        return ["overflow"]
    cache = cached_saves[0] - cached_saves[1] if ins and cached and None not in cached_saves else 0
    result = [sums[0], sums[1], sum(sums), cache, saved if batch else 0, len(used) > len(priced)]
    return [str(int(value)) for value in result]


checked = wrong = 0
for line in open(sys.argv[1], encoding="ascii"):
    question, told = line.split("=")
    numbers = [int(word) for word in question.split()]
    expected = charge(numbers[:8], numbers[8], numbers[9:])
    checked += 1
    if told.split() != expected:
        wrong += 1
        if wrong <= 10:
            print(f"{line.strip()} should be {' '.join(expected)}")
print(f"checked {checked}, wrong {wrong}")
