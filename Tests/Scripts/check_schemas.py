#!/usr/bin/env python3
"""Hold everything that segmentd publishes against the schemas in config/schemas, and these against damage.

    check_schemas.py .build/debug/segmentd --demo FOLDER

FOLDER is what `check_demo.py --keep FOLDER` has written of a running demo: every record of the output
topic with its headers, dead letters, and the answers of /api. Besides, the program simulates a shop and
replays it. The validators are jsonschema (Python) and jsonschema-rs (Rust), which know nothing of
segmentd. Checked are:

- every document is valid: decisions and their headers, dead letters, status, segments, sweep, model,
  versions, explained customers, the bundle of `replay --model-out`, the events of `segmentd simulate`;
- every schema refuses damaged documents: each required key left out, each key too much, each value of
  another type, and decisions that contradict themselves;
- the schema of events refuses what the decoder refuses and accepts what it accepts: examples of every
  type, intact and damaged, go through `segmentd replay`, which has to count the same and for the same
  reasons; and so do the simulated events;
- config/asyncapi.yaml names topics, headers and messages, and each of its references leads somewhere.

Prints a verdict; ends with status 1 on failure.
"""

import argparse
import copy
import doctest
import json
import pathlib
import re
import subprocess
import sys
import tempfile
from collections import Counter

from event_examples import ACCEPTED, BEYOND, EVENTS, NOTHING, REFUSED, cases, structured

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
# Keys that a document may lack, and objects whose keys are names of something else.
OPTIONAL = {"guard_verdict", "histogram", "fence", "standard_errors", "calibration_pending", "held_because",
            "guard", "customer_id", "id", "source", "subject"}
MAPS = {"centroid", "categories", "feature_stability", "distances"}

# Reasons for what no schema can see.
BEYOND_REASONS = {"out_of_range", "wrong_type", "key_mismatch", "unknown_currency", "too_large",
                  "missing_customer"}
# What contradicts itself in a decision; each on top of one that is right.
CONTRADICTIONS = [
    {"type": "churn.changed"}, {"type": "decision.refreshed"}, {"type": "customer.changed"},
    {"segment_transition": "none"}, {"previous_segment_id": 2}, {"previous_churn_band": "low"},
    {"revision": 2}, {"revision": 0}, {"churn_transition": "cleared"}, {"churn_band": "medium"},
    {"churn_band": "insufficient_data", "churn_transition": "raised"}, {"risk": None}, {"risk": 1.01},
    {"p_alive": None}, {"expected_orders": None}, {"last_order_at": None}, {"margin": None},
    {"distance": -1}, {"effective_at": "2026-06-11T10:15:00Z"}, {"last_order_at": "2026-13-01"},
    {"next_review_at": "2026-06-11"}, {"segment_id": 0}, {"horizon_days": 0}, {"model_version": 0},
    {"cause": "luck"}, {"reasons": [{"feature": "age", "value": 1, "typical": 2, "direction": "up"}]},
    {"imputed": ["income", "income"]}, {"customer_id": ""},
    {"interests": [{"category": "wines", "share": 0, "lift": 1.9}]},
    {"segment_transition": "moved", "previous_segment_id": 2, "revision": 3, "churn_transition": "raised",
     "previous_churn_band": "low", "churn_band": "high"},
]


def example():
    """A first decision, as it has to be."""
    moment = "2026-06-11T10:15:00.000Z"
    return {
        "type": "segment.changed", "customer_id": "c-42", "life": 1772360100000, "revision": 1,
        "cause": "event", "effective_at": moment, "decided_at": moment, "backfill": False,
        "model_version": 12, "model_step": 40711, "segment_id": 3, "segment_key": "high-value",
        "segment_name": "High value", "previous_segment_id": None, "segment_transition": "entered",
        "segment_since": moment, "provisional": False, "distance": 1.31, "margin": 0.44,
        "runner_up_segment_id": 1, "churn_band": "low", "previous_churn_band": None,
        "churn_transition": "none", "risk": 0.2, "p_alive": 0.9, "p_no_purchase": 0.25,
        "horizon_days": 90, "orders": 12, "spent": 840.5, "last_order_at": "2026-06-01",
        "expected_next_order_at": "2026-07-20", "next_review_at": moment, "expected_orders": 3.2,
        "expected_value": 214.1, "strategy": "Previews",
        "interests": [{"category": "wines", "share": 0.68, "lift": 1.9}],
        "reasons": [{"feature": "age", "value": 60, "typical": 50, "direction": "above"}],
        "imputed": ["income"],
    }


class Schemas:
    """The schemas, and what they say of documents.

    >>> schemas = Schemas()
    >>> schemas.problems("decision", example())
    []
    >>> [change for change in CONTRADICTIONS if not schemas.problems("decision", example() | change)]
    []
    >>> schemas.problems("decision", example() | {"backfill": 1})
    ["$.backfill: 1 is not of type 'boolean'"]
    >>> schemas.undamaged("decision", example())
    []
    """

    def __init__(self, folder=CONFIG / "schemas"):
        import jsonschema
        import jsonschema_rs

        self.fast, self.validators = {}, {}
        self.damages, self.documents, self.asked = Counter(), Counter(), 0
        for path in sorted(folder.glob("*.schema.json")):
            schema = json.loads(path.read_text())
            jsonschema.Draft202012Validator.check_schema(schema)
            name = path.name.removesuffix(".schema.json")
            self.validators[name] = jsonschema.Draft202012Validator(schema)
            self.fast[name] = jsonschema_rs.Draft202012Validator(schema)

    def is_valid(self, name, document):
        """Whether a schema accepts a document.

        The faster validator is asked about each, the other one about every tenth: they have to agree.
        """
        self.asked += 1
        verdict = self.fast[name].is_valid(document)
        if self.asked % 10 == 0 and self.validators[name].is_valid(document) != verdict:
            raise RuntimeError(f"the validators disagree on {name}: {json.dumps(document)[:300]}")
        return verdict

    def problems(self, name, document):
        """What a schema finds wrong in a document, the first few of it."""
        self.documents[name] += 1
        if self.is_valid(name, document):
            return []
        found = []
        for error in self.validators[name].iter_errors(document):
            for one in [error, *(error.context or [])]:
                place = one.json_path
                found.append(f"{place}: {one.message[:160]}")
        return list(dict.fromkeys(found))[:3]

    def undamaged(self, name, document):
        """Damages of a valid document that its schema does not refuse, as sentences."""
        found = []
        for told, damaged in damages(document):
            self.damages[name] += 1
            if self.is_valid(name, damaged):
                found.append(f"{name}: {told} is not refused")
        return found


def damages(document, optional=OPTIONAL):
    """Damaged copies of a document, each with what was done to it.

    >>> document = {"a": 1, "list": [{"b": "x"}, {"b": "y"}], "centroid": {"c": 2}}
    >>> for told, _ in damages(document): print(told)
    a left out
    a of another type
    list left out
    list[0].b left out
    list[0].b of another type
    list[0].surprise too much
    centroid left out
    centroid.c of another type
    centroid.surprise too much
    surprise too much
    >>> dict(damages(document))["list left out"]
    {'a': 1, 'centroid': {'c': 2}}
    """
    def changed(path, key, value):
        copied = copy.deepcopy(document)
        inner = copied
        for step in path:
            inner = inner[step]
        if value is NOTHING:
            del inner[key]
        else:
            inner[key] = value
        return copied

    def name(path, key):
        text = ""
        for step in [*path, key]:
            text += f"[{step}]" if isinstance(step, int) else f".{step}"
        return text.removeprefix(".")

    def walk(value, path):
        if isinstance(value, list):
            if value:
                yield from walk_item(value[0], path, 0)
            return
        if not isinstance(value, dict):
            return
        is_map = bool(path) and path[-1] in MAPS
        for key, inner in value.items():
            if key not in optional and not is_map:
                yield f"{name(path, key)} left out", changed(path, key, NOTHING)
            yield from walk_item(inner, path, key)
        yield f"{name(path, 'surprise')} too much", changed(path, "surprise", "text")

    def walk_item(inner, path, key):
        if isinstance(inner, (dict, list)):
            yield from walk(inner, [*path, key])
        else:
            # No field may be an object as well as a scalar.
            yield f"{name(path, key)} of another type", changed(path, key, {"a": 1})

    yield from walk(document, [])


def replay(program, lines, *arguments):
    """Rejections by reason that `segmentd replay` counts; it has to end well."""
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as file:
        file.write("".join(line + "\n" for line in lines))
        file.flush()
        answer = subprocess.run(
            [program, "replay", "--config", str(CONFIG / "segmentd.yaml"), "--input", file.name,
             *arguments], capture_output=True, text=True, check=False, timeout=300)
    if answer.returncode:
        raise RuntimeError(f"replay ended with status {answer.returncode}: {answer.stderr[-300:]}")
    told = re.findall(r"^ *rejected: (\w+) ([\d,]+)$", answer.stderr, re.M)
    return Counter({reason: int(count.replace(",", "")) for reason, count in told})


def check_events(schemas, program):
    """Whether schema and decoder agree on the examples; returns what is wrong."""
    found = []
    for event in EVENTS:
        for form in (event, structured(event)):
            found += [f"example {form['id']}: {text}" for text in schemas.problems("event", form)]
    missing = "missing_field"
    refused = list(cases(REFUSED))
    refused += [({"id": "e-3", "type": "order.reversed", "time": 0, "customer_id": "c", "order_id": "o",
                  **more}, missing) for more in ({}, {"full": False}, {"amount": None}, {"full": None})]
    refused += [(value, "malformed_json") for value in ([], 5, "text", True, None)]
    found += [f"the schema accepts {json.dumps(event)}, the decoder says {reason}"
              for event, reason in refused if schemas.is_valid("event", event)]
    accepted = [event for event, in cases(ACCEPTED)] + EVENTS + [structured(event) for event in EVENTS]
    found += [f"the schema refuses {json.dumps(event)}: {schemas.problems('event', event)}"
              for event in accepted if not schemas.is_valid("event", event)]
    beyond = list(cases(BEYOND))
    found += [f"the schema refuses {json.dumps(event)}; is it no longer beyond it?"
              for event, _ in beyond if not schemas.is_valid("event", event)]
    schemas.damages["event"] += len(refused)
    for name, table in [("refused", refused), ("beyond the schema", beyond),
                        ("accepted", [(event, None) for event in accepted])]:
        expected = Counter(reason for _, reason in table if reason)
        counted = replay(program, [json.dumps(event) for event, _ in table])
        if counted == expected:
            continue
        found.append(f"examples {name}: the decoder counts {dict(counted)}, not {dict(expected)}")
        for event, reason in table[:200]:
            alone = replay(program, [json.dumps(event)])
            if alone != (Counter([reason]) if reason else Counter()):
                found.append(f"{dict(alone)}, not {reason}: {json.dumps(event)}")
    return found


def check_replay(schemas, program, customers, events):
    """Simulated events, and what a replay of them makes; returns what is wrong."""
    simulated = subprocess.run(
        [program, "simulate", "--customers", str(customers), "--events", str(events), "--seed", "7"],
        capture_output=True, check=True, timeout=300).stdout.decode("utf-8", "replace").splitlines()
    good, bad = [], []
    for line in simulated:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        schemas.documents["event"] += 1
        (good if schemas.is_valid("event", event) else bad).append(line)
    found = []
    if not bad or len(bad) > len(simulated) / 20:
        found.append(f"the schema refuses {len(bad)} of {len(simulated)} simulated events")
    refused = replay(program, bad)
    if refused.total() != len(bad):
        found.append(f"of {len(bad)} simulated events that the schema refuses, the decoder refuses "
                     f"{refused.total()}: {dict(refused)}")
    with tempfile.TemporaryDirectory() as folder:
        model, output = f"{folder}/model.json", f"{folder}/out.ndjson"
        refused = replay(program, good, "--model-out", model, "--output", output)
        more = {reason: count for reason, count in refused.items() if reason not in BEYOND_REASONS}
        if more or refused.total() > len(good) / 50:
            found.append(f"of simulated events that the schema accepts, the decoder refuses {dict(refused)}")
        bundle = json.loads(pathlib.Path(model).read_text())
        found += [f"bundle of a replay: {text}" for text in schemas.problems("model", bundle)]
        found += schemas.undamaged("model", bundle)
        with open(output) as lines:
            found += check_decisions(schemas, lines)
    return found


def check_decisions(schemas, lines):
    """Records of the output topic, one a line with key, headers and value; returns what is wrong."""
    found, tombstones, damaged = [], 0, Counter()
    for line in lines:
        record = json.loads(line)
        key, headers, value = record["key"], record["headers"], record["value"]
        if value is None:
            tombstones += 1
            if headers:
                found.append(f"a tombstone of {key} with headers")
            continue
        found += [f"{headers.get('ce_id')}: {text}" for text in schemas.problems("decision", value)
                  + schemas.problems("decision-headers", headers)]
        if value.get("customer_id") != key or headers.get("ce_type") != value.get("type") \
                or headers.get("ce_time") != value.get("effective_at") \
                or headers.get("ce_id") != f"{key}/{value.get('life')}/{value.get('revision')}":
            found.append(f"{headers.get('ce_id')}: headers, key and value disagree")
        # Damage one of every kind.
        kind = (value.get("type"), value.get("churn_transition"), value.get("cause"))
        damaged[kind] += 1
        if damaged[kind] == 1 and not found:
            found += schemas.undamaged("decision", value)
            found += schemas.undamaged("decision-headers", headers)
    schemas.documents["tombstones"] += tombstones
    if not damaged:
        found.append("no decisions")
    return found


def check_demo(schemas, folder):
    """What a demo has answered; returns what is wrong."""
    found = []
    with open(folder / "segments.ndjson") as lines:
        found += check_decisions(schemas, lines)
    with open(folder / "rejected.ndjson") as lines:
        letters = [json.loads(line) for line in lines]
    if not letters:
        found.append("no dead letters")
    for letter in letters:
        found += [f"dead letter: {text}"
                  for text in schemas.problems("rejection-headers", letter["headers"])]
    for told, damaged in damages(letters[0]["headers"] if letters else {}):
        # Headers of the record itself stay on it, so there may be others.
        if not told.startswith("surprise"):
            schemas.damages["rejection-headers"] += 1
            if schemas.is_valid("rejection-headers", damaged):
                found.append(f"rejection-headers: {told} is not refused")
    for name in ("status", "model", "models", "segments", "sweep"):
        document = json.loads((folder / f"{name}.json").read_text())
        wrong = [f"{name}: {text}" for text in schemas.problems(name, document)]
        found += wrong or schemas.undamaged(name, document)
    with open(folder / "customers.ndjson") as lines:
        customers = [json.loads(line) for line in lines]
    for customer in customers:
        found += [f"{customer.get('customer_id')} explained: {text}"
                  for text in schemas.problems("customer", customer)]
    if not customers:
        found.append("no customers explained")
    elif not found:
        found += schemas.undamaged("customer", customers[0])
    return found


def references(value, place="#"):
    """Every $ref of a document, with the place where it stands."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield place, inner
            else:
                yield from references(inner, f"{place}/{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from references(inner, f"{place}/{index}")


def resolve(document, pointer):
    """What a JSON pointer leads to.

    >>> resolve({"a/b": [1, {"c": 2}]}, "/a~1b/1/c")
    2
    """
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


def check_asyncapi(path, schemas):
    """References and coverage of the AsyncAPI document; returns what is wrong."""
    import yaml

    document = yaml.safe_load(path.read_text())
    found, used = [], set()
    if document.get("asyncapi") != "3.0.0":
        found.append(f"asyncapi is {document.get('asyncapi')}")
    for place, reference in references(document):
        file, _, pointer = reference.partition("#")
        try:
            if file:
                used.add(pathlib.PurePath(file).name.removesuffix(".schema.json"))
                resolve(json.loads((path.parent / file).read_text()), pointer)
            else:
                resolve(document, pointer)
        except (OSError, KeyError, IndexError, ValueError, TypeError):
            found.append(f"asyncapi: {place} refers to {reference}, which is not there")
    expected = {"event", "decision", "decision-headers", "rejection-headers"}
    found += [f"asyncapi: does not use {name}.schema.json" for name in sorted(expected - used)]
    for message in document["components"]["messages"].values():
        for one in message.get("examples", []):
            found += [f"asyncapi: example {one['name']}: {text}"
                      for text in schemas.problems("event", one["payload"])]
    actions = {resolve(document, operation["channel"]["$ref"][1:])["address"]: operation["action"]
               for operation in document["operations"].values()}
    if actions != {"customer-events": "receive", "customer-segments": "send",
                   "segmentd-{group}-rejected": "send"}:
        found.append(f"asyncapi: operations {actions}")
    events = {message["name"] for message in document["components"]["messages"].values()}
    types = set(schemas.validators["event"].schema["$defs"]["envelope"]["properties"]["type"]["enum"])
    found += [f"asyncapi: no message {name}" for name in sorted(types - events)]
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program", metavar="SEGMENTD", nargs="?")
    parser.add_argument("--demo", metavar="FOLDER", type=pathlib.Path)
    parser.add_argument("--customers", type=int, default=700)
    parser.add_argument("--events", type=int, default=12_000)
    parser.add_argument("--self-test", action="store_true", help="run the examples in the code")
    arguments = parser.parse_args()
    if arguments.self_test:
        sys.exit(doctest.testmod().failed > 0)
    if not arguments.program:
        parser.error("SEGMENTD is required")
    schemas = Schemas()
    found = check_asyncapi(CONFIG / "asyncapi.yaml", schemas)
    found += check_events(schemas, arguments.program)
    found += check_replay(schemas, arguments.program, arguments.customers, arguments.events)
    if arguments.demo:
        found += check_demo(schemas, arguments.demo)
        found += [f"no damaged {name} was tried" for name in schemas.validators
                  if not schemas.damages[name]]
    for line in found[:30]:
        print(line[:400])
    if len(found) > 30:
        print(f"... and {len(found) - 30} more")
    told = ", ".join(f"{count} {name}" for name, count in sorted(schemas.documents.items()))
    print(f"schemas: {'FAILED' if found else 'ok'}; valid: {told}; refused: "
          f"{schemas.damages.total()} damaged documents")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
