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
    ["cache_read_input_token_cost"],
    ["cache_creation_input_token_cost"],
    ["input_cost_per_token_batches"],
    ["output_cost_per_token_batches"],
    ["input_cost_per_character", "output_cost_per_character"],
    ["output_cost_per_image", "input_cost_per_image"],
]
KNOWN = {key for keys in FIELDS for key in keys}


def expected(model, entry):
    amounts = {key: value * 10**12 for key, value in entry.items() if isinstance(value, Decimal)}
    prices = [next((amounts[key] for key in keys if key in amounts), None) for keys in FIELDS]
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
