"""Checks a document (on stdin) against a schema: schema_check.py [--harm] DIRECTORY NAME.

It has to be valid, in strict JSON, and its keys in the order of the schema. The schema has to be closed: each object in it
that names properties requires all of them, but for those that it lists as "x-optional", and allows no others. With --harm, each thing that can be wrong with an object
of the document is tried in turn, and the schema has to refuse it: a key that is missing, one that is not known, a value
of another kind.
"""
import copy
import json
import pathlib
import sys

import jsonschema


def refuse(word):  # NaN and Infinity, which Python takes for numbers
    raise ValueError(word)


def check_closed(schema, where):
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict) and "$schema" not in schema["properties"]:
            if schema.get("additionalProperties") is not False:
                sys.exit(f"{where}: open")
            optional = set(schema["properties"]) - set(schema.get("required", []))
            if optional != set(schema.get("x-optional", [])):
                sys.exit(f"{where}: not required: {optional}")
        for key, value in schema.items():
            check_closed(value, f"{where}/{key}")
    elif isinstance(schema, list):
        for item in schema:
            check_closed(item, where)


class Checker:
    def __init__(self, directory, name):
        self.base = pathlib.Path(directory).resolve()
        self.schema = self.load(f"{name}.schema.json")
        check_closed(self.schema, name)
        resolver = jsonschema.RefResolver(self.base.as_uri() + "/" + f"{name}.schema.json", self.schema)
        self.validator = jsonschema.Draft7Validator(self.schema, resolver=resolver)
        self.resolver = resolver

    def load(self, name):
        schema = json.loads((self.base / name).read_text())
        jsonschema.Draft7Validator.check_schema(schema)
        return schema

    def check_order(self, document, schema, where):
        """Keys come as the schema lists them."""
        pushed = 0
        while "$ref" in schema:
            url, schema = self.resolver.resolve(schema["$ref"])
            self.resolver.push_scope(url)
            pushed += 1
        if isinstance(document, dict) and "properties" in schema:
            expected = [key for key in schema["properties"] if key in document]
            if list(document) != expected:
                sys.exit(f"{where}: keys come as {list(document)}, not as {expected}")
            for key, value in document.items():
                self.check_order(value, schema["properties"][key], f"{where}/{key}")
        elif isinstance(document, list) and "items" in schema:
            for item in document:
                self.check_order(item, schema["items"], where)
        for _ in range(pushed):
            self.resolver.pop_scope()


def objects_of(document, path=()):
    """The places of objects, of a list only its first."""
    if isinstance(document, dict):
        yield path
        for key, value in document.items():
            yield from objects_of(value, path + (key,))
    elif isinstance(document, list) and document:
        yield from objects_of(document[0], path + (0,))


def other_kind(value):
    return 17 if isinstance(value, (str, bool, dict, list)) or value is None else "seventeen"


def harms(document, optional):
    """Copies of the document, each with one thing wrong."""
    for path in objects_of(document):
        for key in [*place(document, path), None]:
            harmed = copy.deepcopy(document)
            at = place(harmed, path)
            if key is None:
                at["unknown"] = 1
                yield f"{path}: one key more", harmed
                continue
            del at[key]
            if path or key not in optional:
                yield f"{path}: without {key}", harmed
            if at_value(document, path, key) is not None:
                harmed = copy.deepcopy(document)
                place(harmed, path)[key] = other_kind(at_value(document, path, key))
                yield f"{path}: {key} of another kind", harmed


def place(document, path):
    for step in path:
        document = document[step]
    return document


def at_value(document, path, key):
    return place(document, path)[key]


def main():
    arguments = sys.argv[1:]
    with_harm = arguments[0] == "--harm"
    directory, name = arguments[with_harm:]
    checker = Checker(directory, name)
    document = json.load(sys.stdin, parse_constant=refuse)
    errors = [f"{list(error.path)}: {error.message[:300]}" for error in checker.validator.iter_errors(document)]
    if errors:
        sys.exit(f"{name}: " + "\n".join(errors[:5]))
    checker.check_order(document, checker.schema, name)
    missed = [what for what, harmed in harms(document, checker.schema.get("x-optional", [])) if checker.validator.is_valid(harmed)] if with_harm else []
    if missed:
        sys.exit(f"{name}: not refused: " + "; ".join(missed[:10]))


main()
