#!/usr/bin/env python3
"""Cuts a vendor's OpenAPI document down to the response schemas of the operations that the doubles serve.

Usage: extract.py okta FULL.yaml > okta-extract.json
       extract.py onelogin FULL.yaml > onelogin-extract.json

The output is one JSON Schema document: `operations` maps "METHOD path status" to a schema, `components` holds
every schema that these reach. OpenAPI 3.0's `nullable` becomes JSON Schema's `type: [..., "null"]`, and prose
(descriptions, examples, vendor extensions) is dropped.
"""
import json
import sys

import yaml

OPERATIONS = {
    "okta": [
        "GET /api/v1/apps", "GET /api/v1/apps/{appId}",
        "GET /api/v1/apps/{appId}/users", "GET /api/v1/apps/{appId}/users/{userId}",
        "GET /api/v1/apps/{appId}/groups",
        "GET /api/v1/users", "GET /api/v1/users/{id}", "GET /api/v1/users/{id}/groups",
        "GET /api/v1/groups", "GET /api/v1/groups/{groupId}", "GET /api/v1/groups/{groupId}/users",
        "GET /api/v1/logs",
    ],
    "onelogin": [
        "POST /auth/oauth2/v2/token", "GET /auth/rate_limit",
        "GET /api/2/apps", "GET /api/2/apps/{app_id}", "GET /api/2/apps/{app_id}/users",
        "GET /api/2/users", "GET /api/2/users/{user_id}", "GET /api/2/users/{user_id}/apps",
        "GET /api/2/roles", "GET /api/2/roles/{role_id}", "GET /api/2/roles/{role_id}/users",
        "GET /api/1/events", "GET /api/1/events/types",
    ],
}
PROSE = {"description", "example", "examples", "externalDocs", "title", "deprecated", "discriminator", "xml",
         "readOnly", "writeOnly", "default"}


class Loader(yaml.CSafeLoader):
    """YAML whose bare `=` is a string (the OneLogin document has one) and whose dates stay text."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)
Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)


def resolve(document, node):
    """Follows a reference to a shared response; schemas keep theirs."""
    while "$ref" in node:
        target = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def strip(node, names):
    """A schema without prose, in JSON Schema's words. `names` says that the keys here are property names."""
    if isinstance(node, list):
        return [strip(item, False) for item in node]
    if not isinstance(node, dict):
        return node
    if not names and "$ref" in node:
        # What stands beside a reference is ignored in OpenAPI 3.0, but not by a JSON Schema validator.
        return {"$ref": node["$ref"].replace("#/components/schemas/", "#/components/")}
    kept = {}
    for key, value in node.items():
        if not names and (key in PROSE or str(key).startswith("x-") or key == "nullable"):
            continue
        if not names and key == "oneOf":
            # Vendors tell the variants apart by a discriminator, which JSON Schema does not know: several fit.
            key = "anyOf"
        kept[str(key)] = strip(value, not names and key in ("properties", "patternProperties"))
    if not names and node.get("nullable"):
        if isinstance(kept.get("type"), str):
            kept["type"] = [kept["type"], "null"]
            if "enum" in kept and None not in kept["enum"]:
                kept["enum"] = [*kept["enum"], None]
        elif "type" not in kept:
            kept = {"anyOf": [{"type": "null"}, kept]}
    return kept


def references(node):
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix("#/components/")
        for value in node.values():
            yield from references(value)


def main():
    vendor, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        document = yaml.load(file, Loader=Loader)
    operations, components = {}, {}
    for operation in OPERATIONS[vendor]:
        method, route = operation.split(" ", 1)
        for status, response in document["paths"][route][method.lower()]["responses"].items():
            response = resolve(document, response)
            content = response.get("content", {})
            schema = next((body["schema"] for kind, body in content.items() if "json" in kind and "schema" in body), None)
            if schema is not None:
                operations[f"{operation} {status}"] = strip(schema, False)
    wanted = list(references(list(operations.values())))
    while wanted:
        name = wanted.pop()
        if name not in components:
            components[name] = strip(document["components"]["schemas"][name], False)
            wanted.extend(references(components[name]))
    info = document["info"]
    result = {"source": {"title": info.get("title"), "version": info.get("version")},
              "operations": operations, "components": dict(sorted(components.items()))}
    json.dump(result, sys.stdout, indent=1, ensure_ascii=False)
    print()


main()
