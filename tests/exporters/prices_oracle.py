"""Checks what was loaded from a price file: see tests/oracle.h.

Arguments: the case file, the price file. Lines: "loaded" or "skipped", the model, and for a loaded one its prices in
units of 1e-12 USD in the order of FIELDS, and whether its input excludes the cached tokens; separated by tabs.
"""
import json
import sys
from decimal import Decimal

FIELDS = [
    ["input_cost_per_token"],
    ["output_cost_per_token"],
    ["cache_read_input_token_cost", "input_cost_per_token_cache_hit"],
    ["cache_creation_input_token_cost"],
    ["input_cost_per_token_batches", "input_cost_per_token_batch_requests"],
    ["output_cost_per_token_batches"],
    ["input_cost_per_character", "output_cost_per_character"],
    ["output_cost_per_image", "input_cost_per_image"],
    ["output_cost_per_reasoning_token"],
    ["input_cost_per_audio_token"],
    ["output_cost_per_audio_token"],
    ["input_cost_per_request"],
]
TIERS = [("128k", 128000), ("200k", 200000)]
OF_TIER = [
    ["input_cost_per_token"],
    ["output_cost_per_token"],
    ["cache_read_input_token_cost"],
    ["cache_creation_input_token_cost"],
    ["input_cost_per_character", "output_cost_per_character"],
    ["output_cost_per_image", "input_cost_per_image"],
]
ABOVE = [[[f"{key}_above_{name}_tokens" for key in keys] for keys in OF_TIER] for name, _ in TIERS]
KNOWN = {key for keys in FIELDS + [keys for tier in ABOVE for keys in tier] for key in keys}


def expected(model, entry):
    amounts = {key: value * 10**12 for key, value in entry.items() if isinstance(value, Decimal)}
    def first(keys):
        return next((amounts[key] for key in keys if key in amounts), None)

    prices = [first(keys) for keys in FIELDS]
    for (_, above), tier in zip(TIERS, ABOVE):
        of_tier = [first(keys) for keys in tier]
        prices += [above if any(price is not None for price in of_tier) else 0] + of_tier
    known = [amounts[key] for key in KNOWN if key in amounts]
    others = any(amounts[key] > 0 for key in amounts if "cost" in key and key not in KNOWN)
    if not known or any(amount % 1 for amount in known) or (max(known) == 0 and others):
        return ["skipped", model]
    provider = entry["litellm_provider"]
    clouds = provider.startswith(("bedrock", "vertex_ai")) and "claude" in model
    excludes = provider == "anthropic" or clouds
    return ["loaded", model] + [str(-1 if price is None else int(price)) for price in prices] + [str(int(excludes))]


models = json.load(open(sys.argv[2], encoding="utf-8"), parse_float=Decimal, parse_int=Decimal)
checked = wrong = 0
seen = set()
for line in open(sys.argv[1], encoding="utf-8"):
    told = line.rstrip("\n").split("\t")
    checked += 1
    seen.add(told[1])
    if told != expected(told[1], models[told[1]]):
        wrong += 1
        print(f"{told} should be {expected(told[1], models[told[1]])}")
wrong += len(set(models) - seen)
print(f"checked {checked}, wrong {wrong}")
