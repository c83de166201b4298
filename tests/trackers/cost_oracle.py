"""Prices each line of a case file again with decimal arithmetic: see tests/oracle.h.

Lines, separated by blanks: the prices of a model (input, output, cached input, cache write, batch input, batch output,
character, image, reasoning, audio input, audio output, request; in units of 1e-12 USD, -1 = none), its two tiers (above
how many tokens, 0 = no tier; input, output, cached input, cache write, character, image), and whether its input excludes
the cached tokens; the usage (prompt, completion, cached, written, reasoning, audio in, audio out, images, characters,
batch); "="; the charge (input, output, total, cache savings, batch savings, flagged) and the tokens by kind (input, cached,
written, output, reasoning).
"""
import sys
from decimal import Context, Decimal, ROUND_HALF_UP, setcontext

setcontext(Context(prec=400, rounding=ROUND_HALF_UP))


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
    input_, output, cached_input, cache_write, batch_input, batch_output, character, image = prices[:8]
    reasoning, audio_input, audio_output, request = prices[8:12]
    tiers = [prices[12:19], prices[19:26]]
    prompt, completion, cached, written, reasoned, heard, spoken, images, characters, batch = usage

    uncached = prompt
    if not excludes:
        cached = min(cached, prompt)
        written = min(written, prompt - cached)
        uncached = prompt - cached - written
    reasoned = min(reasoned, completion)
    heard = min(heard, uncached)
    spoken = min(spoken, completion - reasoned)
    kinds = [uncached, cached, written, completion, reasoned]

    has_tokens = max(prices[:6] + prices[8:11] + [max(tier[1:3]) for tier in tiers if tier[0] > 0]) >= 0
    has_tokens = has_tokens or max(character, image, request) < 0
    above = [tier for tier in tiers if 0 < tier[0] < uncached + cached + written]
    if above:
        _, t_input, t_output, t_cached, t_write, t_character, t_image = max(above, key=lambda tier: tier[0])
        if t_input >= 0:
            input_, batch_input = t_input, -1
        if t_output >= 0:
            output, batch_output = t_output, -1
        cached_input = t_cached if t_cached >= 0 else cached_input
        cache_write = t_write if t_write >= 0 else cache_write
        character = t_character if t_character >= 0 else character
        image = t_image if t_image >= 0 else image

    def or_input(count, price):
        return Part(count, price) if price >= 0 else Part(count, input_, batch_input)

    def or_output(count, price):
        return Part(count, price) if price >= 0 else Part(count, output, batch_output)

    ins = [or_input(uncached - heard, -1), or_input(heard, audio_input), or_input(cached, cached_input),
           or_input(written, cache_write)]
    outs = [or_output(completion - reasoned - spoken, -1), or_output(reasoned, reasoning),
            or_output(spoken, audio_output)]
    cached_saves = Part(cached, input_, batch_input).cost(batch), ins[2].cost(batch)
    if not has_tokens:
        # sold by the image, the character or the request alone: its tokens cost nothing beside these
        ins, outs = [], []
        if prompt + completion > 0 and images == characters == 0 and request < 0:
            return ["0"] * 5 + ["1"] + [str(kind) for kind in kinds]
    outs += [Part(images, image), Part(characters, character)]
    anything = max(usage[:4] + [images, characters]) > 0
    if request >= 0 and (anything or not has_tokens):
        outs += [Part(1, request)]

    used = [part for part in ins + outs if part.count > 0]
    priced = [part for part in used if part.cost(batch) is not None]
    sums = [sum(part.cost(batch) for part in side if part in priced) for side in (ins, outs)]
    saved = sum((part.cost(False) or Decimal(0)) - part.cost(batch) for part in priced if part.cost(False) is not None)
    cache = cached_saves[0] - cached_saves[1] if ins and cached and None not in cached_saves else 0
    result = [sums[0], sums[1], sum(sums), cache, saved if batch else 0, len(used) > len(priced)]
    return [str(int(value)) for value in result] + [str(kind) for kind in kinds]


checked = wrong = 0
for line in open(sys.argv[1], encoding="ascii"):
    question, told = line.split("=")
    numbers = [int(word) for word in question.split()]
    expected = charge(numbers[:26], numbers[26], numbers[27:])
    checked += 1
    if told.split() != expected:
        wrong += 1
        if wrong <= 10:
            print(f"{line.strip()} should be {' '.join(expected)}")
print(f"checked {checked}, wrong {wrong}")
