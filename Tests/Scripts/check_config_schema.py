#!/usr/bin/env python3
"""Hold config/segmentd.schema.json against the program, the fixtures and the papers that name keys.

    check_config_schema.py .build/debug/segmentd
    check_config_schema.py .build/debug/segmentd --alone

With a validator that knows nothing of segmentd (jsonschema, draft 2020-12) and a reader of YAML 1.2:

- shipped configurations and `.good` fixtures are accepted
- of `.bad` fixtures, every problem in its `.expected` is judged by itself: in an otherwise good document the
  schema refuses it, unless it breaks one of the rules below that JSON Schema has no words for. These are
  listed by name, and a name that no problem needs, or a listed problem that the schema does catch, is a fault
- every key has a fixture of a wrong kind and one beyond each end of its range; so have the parts of slots,
  features, outliers and personas, and the properties that segmentd sets itself
- the program knows every key of the schema, takes both ends of each range and every word, and refuses what
  lies just outside, with the key in its message; neither takes a key that is none, and both agree on every set
  of keys of an admin port for others
- defaults and descriptions are those of config/segmentd.yaml, which has every key, and defaults those of the
  table in README.md, which has each once

`--alone` also gives every problem that one value makes to the program by itself, some 350 starts. Ends with
status 1 if something does not hold.
"""

import argparse
import copy
import itertools
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "Tests/DaemonTests/Fixtures"
CONFIG = ROOT / "config"
MILLISECONDS = {
    "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000,
}


class Reader(yaml.SafeLoader):
    """YAML 1.2, core schema, as editors read it: `on`, `off` and `yes` are words, dates are texts.

    Keys are texts as written, no key stands twice, and numbers that JSON has not (.nan, .inf) are texts.
    """

    yaml_implicit_resolvers = {}

    def construct_mapping(self, node, deep=False):
        mapping = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is no word", key.start_mark)
            if key.value in mapping:
                raise yaml.constructor.ConstructorError(None, None, "a key twice", key.start_mark)
            mapping[key.value] = self.construct_object(value, deep=True)
        return mapping


for tag, expression, first in (
    ("null", r"^(|~|null|Null|NULL)$", ["", "~", "n", "N"]),
    ("bool", r"^(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    ("float", r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$", list("-+.0123456789")),
):
    Reader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(expression), first)
Reader.add_constructor(
    "tag:yaml.org,2002:map", lambda reader, node: reader.construct_mapping(node)
)
Reader.add_constructor(
    "tag:yaml.org,2002:int",
    lambda _, node: int(node.value, 0 if node.value[:2] in ("0x", "0o") else 10),
)
Reader.add_constructor("tag:yaml.org,2002:float", lambda _, node: float(node.value))


def read(text):
    """A YAML 1.2 document.

    >>> read("a: [on, off, 1e3, 010, 2026-03-01, 12:30, 1_000, .nan, true, ~, '5']\\nb: 0x10")
    {'a': ['on', 'off', 1000.0, 10, '2026-03-01', '12:30', '1_000', '.nan', True, None, '5'], 'b': 16}
    >>> read("a: 1\\na: 2")
    Traceback (most recent call last):
    yaml.constructor.ConstructorError: a key twice
      in "<unicode string>", line 2, column 1:
        a: 2
        ^
    """
    return yaml.load(text, Loader=Reader)


def milliseconds(text):
    """A duration, None when it is none.

    >>> milliseconds("1.5h"), milliseconds("0"), milliseconds("10"), milliseconds("1H")
    (5400000.0, 0.0, None, None)
    """
    match = re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ms|s|m|h|d|w)", str(text))
    if match:
        return float(match[1]) * MILLISECONDS[match[2]]
    return 0.0 if str(text) == "0" else None


# What JSON Schema has no words for: name, and whether a problem (key, rule, value as YAML reads it) is one.
BEYOND_SCHEMA = {
    "durations in their range":
        lambda key, rule, value: isinstance(value, str) and milliseconds(value) is not None
        and re.match(r"must be (at most|\S+ to \S+)", rule),
    "whole numbers written as 1e3, 1000.0 or 0x10":
        lambda key, rule, value: rule.startswith("must be a whole number")
        and isinstance(value, float) and value.is_integer(),
    "true and false with capitals":
        lambda key, rule, value: rule.startswith("must be true or false") and isinstance(value, bool),
    "time zones that exist":
        lambda key, rule, value: key == "calendar.timezone" and "/" in str(value),
    "files that can be read":
        lambda key, rule, value: rule.startswith("cannot read the file"),
    "files that hold a secret":
        lambda key, rule, value: isinstance(value, dict)
        and re.match(r"must not be empty|must be 16 or more", rule),
    "properties that the Kafka client would take":
        lambda key, rule, value: key.startswith("kafka.properties.") and re.match(
            r"has no effect while|cannot be read|is (no property of|not accepted by) librdkafka", rule),
    "churn.raise in order":
        lambda key, rule, value: rule.startswith("must not be above churn.raise.high"),
    "churn.quantile in order":
        lambda key, rule, value: rule.startswith("must not be above churn.quantile.high"),
    "commit intervals in order":
        lambda key, rule, value: rule.startswith("must not be above commit.interval"),
    "addresses that differ":
        lambda key, rule, value: rule.startswith("must differ from admin.listen"),
    "topics that differ":
        lambda key, rule, value: key.startswith("topics.") and re.match(
            r"must differ from (every input|topics\.segments|segmentd's own)|names .* of segmentd's own",
            rule),
    "rates of others only":
        lambda key, rule, value: rule.startswith("is of the shop's own currency"),
    "names in one group":
        lambda key, rule, value: "stands in both" in rule,
    "default groups that exist":
        lambda key, rule, value: rule.startswith("must be one of the declared groups"),
    "one slot of the last purchase":
        lambda key, rule, value: rule.startswith("the last purchase is kept already"),
    "spending categories in number":
        lambda key, rule, value: rule.startswith("at most 15 spending categories"),
    "names that stand once":
        lambda key, rule, value: rule == "is declared twice",
    "features that are one each":
        lambda key, rule, value: rule.startswith("gives a feature that there is already"),
    "features that are one at least":
        lambda key, rule, value: rule.startswith("comes to nothing"),
    "one-hot levels in number":
        lambda key, rule, value: rule.startswith("at most 128"),
    "slots that exist":
        lambda key, rule, value: rule.startswith("names a slot that is not declared"),
    "slots of the kind that a feature needs":
        lambda key, rule, value: re.match(r"needs a (number|moment|category) slot|cannot be made of", rule),
    "features that exist":
        lambda key, rule, value: rule == "names a feature that is not declared",
    "fences on what stands still":
        lambda key, rule, value: rule.startswith("cannot be on a feature that moves with time"),
    "bounds in order":
        lambda key, rule, value: rule.startswith("at_most must be below"),
}
# Keys of which neither goes without the other.
TOGETHER = {
    "admin.tls.certificate": "admin.tls.key", "admin.tls.key": "admin.tls.certificate",
}
# Sections of which the shop says itself what stands in them.
OPEN = ("kafka.properties", "shop.rates", "slots", "features", "outliers", "personas")


def leaves(schema, parent=""):
    """Keys with their schemas, sections walked.

    >>> section = {"additionalProperties": False, "properties": {"b": {"type": "integer"}}}
    >>> leaves({"properties": {"a": section, "c": {"enum": ["x"]}}})
    {'a.b': {'type': 'integer'}, 'c': {'enum': ['x']}}
    """
    found = {}
    for name, part in schema["properties"].items():
        key = f"{parent}{name}"
        if "properties" in part and key not in OPEN:
            found |= leaves(part, f"{key}.")
        else:
            found[key] = part
    return found


def bounds(part):
    """Ends of a key's range, {"low": (value, whether it is in), "high": ...}; of numbers or durations.

    >>> bounds({"anyOf": [{"enum": ["auto"]}, {"minimum": 2, "exclusiveMaximum": 20}]})
    {'low': (2, True), 'high': (20, False)}
    >>> bounds({"x-minimum": "0", "x-maximum": "5s", "maximum": 0})
    {'high': ('5s', True)}
    """
    if "x-maximum" in part:
        ends = {"low": (part["x-minimum"], True), "high": (part["x-maximum"], True)}
        return {end: bound for end, bound in ends.items() if bound[0] != "0"}
    ends = {}
    for option in [part, *part.get("anyOf", [])]:
        for end, name, is_in in (
            ("low", "minimum", True), ("low", "exclusiveMinimum", False),
            ("high", "maximum", True), ("high", "exclusiveMaximum", False),
        ):
            if name in option:
                ends[end] = (option[name], is_in)
    return ends


def outside(bound, end):
    """A value just beyond an end of a range, as YAML writes it.

    >>> outside(("1m", True), "low"), outside((16, True), "high"), outside((1, False), "high")
    ('59999ms', '17', '1')
    >>> outside((0.5, True), "low")
    '0.499999'
    """
    value, is_in = bound
    step = -1 if end == "low" else 1
    if isinstance(value, str):
        return f"{milliseconds(value) + step:.0f}ms"
    if not is_in:
        return f"{value:.12g}"
    return str(value + step) if isinstance(value, int) else f"{value + step * max(1, value) * 1e-6:.16g}"


def inside(bound, end):
    """The value at an end of a range, or just within where the end is not in it.

    >>> inside(("1m", True), "low"), inside((1, False), "high"), inside((0, False), "low")
    ('1m', '0.999999', '1e-06')
    """
    value, is_in = bound
    if is_in:
        return f"{value:.16g}" if isinstance(value, float) else str(value)
    return f"{value + (1e-6 if end == 'low' else -1e-6):.12g}"


def at(document, key):
    """The path of names to what a key of a message means in a document, and the value; None if absent.

    Names with dots in them, as librdkafka's are, count as one where they stand so.

    >>> at({"a": {"b.c": {"d": 1}}}, "a.b.c.d")
    (['a', 'b.c', 'd'], 1)
    >>> at({"a": {"b": 1}}, "a.c") is None
    True
    """
    path, value, rest = [], document, key
    while rest:
        if not isinstance(value, dict):
            return None
        name = max((name for name in value if rest == name or rest.startswith(f"{name}.")),
                   key=len, default=None)
        if name is None:
            return None
        path, value, rest = [*path, name], value[name], rest[len(name) + 1:]
    return path, value


def item(document, key):
    """The items of a list that a key of a message means: features[3], features.NAME, personas.KEY.weights.

    >>> item({"features": [{"name": "a.b"}, {"name": "c"}]}, "features.a.b.slot")
    [{'name': 'a.b'}]
    >>> item({"features": [{"name": "a"}, 5]}, "features[1]")
    [5]
    """
    kind, by = ("features", "name") if key.startswith("features") else ("personas", "key")
    entries = document[kind]
    position = re.match(r"\w+\[(\d+)\]", key)
    if position:
        return [entries[int(position[1])]]
    rest = key[len(kind) + 1:]
    names = [str(entry[by]) for entry in entries if isinstance(entry, dict) and by in entry]
    name = max((name for name in names if rest == name or rest.startswith(f"{name}.")), key=len)
    return [entry for entry in entries if isinstance(entry, dict) and str(entry.get(by)) == name]


def alone(good, document, key, rule, known):
    """A good document with the one problem that a message means, and the value that is wrong."""
    result = copy.deepcopy(good)
    named = [word.strip(".,;") for word in rule.split()]
    if key in TOGETHER and rule.startswith("cannot read"):
        named.append(TOGETHER[key])
    wrong = None
    for wanted in [key, *(name for name in named if name in known and "." in name)]:
        of_list = re.match(r"(features|personas)[.\[]", wanted)
        if of_list:
            result.setdefault(of_list[1], []).extend(item(document, wanted))
            continue
        found = at(document, wanted)
        if wanted == key:
            wrong = found[1] if found else None
        if re.match(r"(slots|outliers)\.", wanted):
            section = wanted.split(".")[0]
            rest = wanted[len(section) + 1:]
            name = max((name for name in document[section]
                        if rest == name or rest.startswith(f"{name}.")), key=len)
            result.setdefault(section, {})[name] = document[section][name]
            continue
        path = found[0] if found else wanted.split(".")
        if wanted.startswith("kafka.properties.") and not found:
            path = ["kafka", "properties", wanted[len("kafka.properties."):]]
        place = result
        for name in path[:-1]:
            if not isinstance(place.get(name), dict):
                place[name] = {}
            place = place[name]
        if found:
            place[path[-1]] = found[1]
        else:
            place.pop(path[-1], None)
    return result, wrong


def problems(expected):
    """Messages of an `.expected` file as (key, rule), without the last line; no key is ''.

    >>> problems("a.yaml:3: a.b: must be 1, is 2\\na.yaml: 1 problem\\n")
    [('a.b', 'must be 1, is 2')]
    """
    found = []
    for line in expected.splitlines()[:-1]:
        message = re.sub(r"^[^:]+\.yaml(:\d+)?: ", "", line)
        key, colon, rule = message.partition(": ")
        found.append((key, rule) if colon else ("", message))
    return found


class Check:
    """What does not hold, gathered."""

    def __init__(self, program):
        self.program = program
        self.faults = []
        self.schema = json.loads((CONFIG / "segmentd.schema.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(self.schema)
        self.validator = jsonschema.Draft202012Validator(self.schema)
        self.leaves = leaves(self.schema)
        self.good = read((FIXTURES / "minimal.good.yaml").read_text(encoding="utf-8"))
        self.shipped_text = (CONFIG / "segmentd.yaml").read_text(encoding="utf-8")
        self.seen = {}

    def fault(self, text):
        self.faults.append(text)

    def reasons(self, document):
        """Why the schema refuses a document, three reasons at most; empty when it accepts it."""
        return [f"{error.json_path}: {error.message[:100]}"
                for error in itertools.islice(self.validator.iter_errors(document), 3)]

    def run(self, path, settings=()):
        """Exit status and messages of `segmentd check`."""
        arguments = [part for setting in settings for part in ("--set", setting)]
        done = subprocess.run(
            [self.program, "check", "--config", path, *arguments],
            capture_output=True, text=True, timeout=60, check=False,
        )
        return done.returncode, done.stderr

    def accepted_files(self):
        """Shipped configurations and good fixtures pass; config/ has other YAML, too."""
        files = [path for path in sorted(CONFIG.glob("*.yaml"))
                 if re.search(r"^features:", path.read_text(encoding="utf-8"), re.MULTILINE)]
        files += sorted(FIXTURES.glob("*.good.yaml"))
        for path in files:
            for reason in self.reasons(read(path.read_text(encoding="utf-8"))):
                self.fault(f"{path.name} is refused: {reason}")
        return len(files)

    def refused_fixtures(self, judge_alone):
        """Every problem of the bad fixtures by itself."""
        count, used = 0, set()
        for path in sorted(FIXTURES.glob("*.bad.yaml")):
            expected = path.with_suffix(".expected").read_text(encoding="utf-8")
            try:
                document = read(path.read_text(encoding="utf-8"))
            except yaml.YAMLError:
                count += 1
                continue
            if not self.reasons(document) and not any(
                    self.name_beyond(key, rule, alone(self.good, document, key, rule, self.leaves)[1])
                    for key, rule in problems(expected)):
                self.fault(f"{path.name} is accepted")
            if not isinstance(document, dict):
                count += 1
                continue
            for key, rule in problems(expected):
                count += 1
                self.refused(path, document, key, rule, used, judge_alone)
        for name in BEYOND_SCHEMA.keys() - used:
            self.fault(f"no fixture breaks the rule beyond the schema: {name}")
        return count

    def name_beyond(self, key, rule, value):
        """The name of the rule that a problem breaks which the schema cannot state."""
        return next((name for name, holds in BEYOND_SCHEMA.items() if holds(key, rule, value)), None)

    def refused(self, path, document, key, rule, used, judge_alone):
        """One problem."""
        single, value = alone(self.good, document, key, rule, self.leaves)
        self.seen.setdefault(key, []).append((rule, value))
        name = self.name_beyond(key, rule, value)
        reasons = self.reasons(single)
        if name:
            used.add(name)
            if reasons:
                self.fault(f"{path.name}: {key}: {rule}: listed as beyond the schema ({name}), "
                           f"which does catch it: {reasons[0]}")
        elif not reasons:
            self.fault(f"{path.name}: {key}: {rule}: the schema accepts it")
        # Rules between keys need the rest of the fixture, and others need a value as it was written.
        if judge_alone and name in (None, "durations in their range"):
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                json.dump(single, file)
                file.flush()
                status, messages = self.run(file.name)
            known = re.sub(r"\\\[\d+\\\]", r"\\[\\d+\\]", re.escape(key))
            if status != 2 or not re.search(f": {known}: ", messages):
                self.fault(f"{path.name}: {key}: {rule}: alone, the program says "
                           f"{messages.strip() or 'nothing'}")

    def kind(self, part, value):
        """What is wrong with the value of a key: "kind", "low", "high", or None."""
        errors = list(jsonschema.Draft202012Validator(
            part | {"$defs": self.schema["$defs"]}).iter_errors(value))
        inner = [error for top in errors for error in [top, *(top.context or [])]]
        if "x-maximum" in part:
            if errors:
                return "kind"
            time = milliseconds(value)
            if time is None:
                return None
            return "low" if time < milliseconds(part["x-minimum"]) else "high"
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            for error in inner:
                if error.validator in ("minimum", "exclusiveMinimum"):
                    return "low"
                if error.validator in ("maximum", "exclusiveMaximum"):
                    return "high"
        return "kind" if errors else None

    def covered(self):
        """Every key has fixtures of a wrong kind and beyond each end; so have parts of declarations."""
        for key, part in self.leaves.items():
            kinds = {self.kind(part, value) for _, value in self.seen.get(key, [])}
            for wanted in {"kind", *bounds(part)} - kinds:
                self.fault(f"{key}: no fixture has a value of wrong {wanted}" if wanted == "kind"
                           else f"{key}: no fixture has a value too {wanted}")
        for section, shape in (("slots", "slot"), ("features", "feature"), ("outliers", "outlier"),
                               ("personas", "persona")):
            for name in self.schema["$defs"][shape]["properties"]:
                if not any(key.startswith(section) and re.search(rf"\.{name}(\.|$)", key)
                           for key in self.seen):
                    self.fault(f"{section}: no fixture has a wrong {name}")
        own = {name for name, part in self.leaves["kafka.properties"]["properties"].items()
               if part.get("not") == {}}
        for name in own:
            if not any("is set by segmentd itself" in rule
                       for rule, _ in self.seen.get(f"kafka.properties.{name}", [])):
                self.fault(f"kafka.properties.{name}: no fixture sets it")

    def asked(self):
        """The program takes what the schema allows at its ends, and refuses what lies beyond."""
        simple = {key: part for key, part in self.leaves.items() if key not in OPEN}
        batches = {"good": [], "bad": []}
        for end in ("low", "high"):
            ends = {key: bounds(part)[end] for key, part in simple.items() if end in bounds(part)}
            batches["good"].append({key: inside(bound, end) for key, bound in ends.items()})
            batches["bad"].append({key: outside(bound, end) for key, bound in ends.items()})
        words = {key: [word for option in [part, *part.get("anyOf", [])]
                       for word in option.get("enum", [])] for key, part in simple.items()}
        words |= {key: ["true", "false"] for key, part in simple.items()
                  if part.get("type") == "boolean"}
        for turn in range(max(map(len, words.values()))):
            batches["good"].append({key: some[turn % len(some)]
                                    for key, some in words.items() if some})
        texts = {key for key, part in simple.items()
                 if "enum" not in part and "string" in str(part.get("type")) and "x-unit" not in part}
        batches["bad"].append({key: "+?" for key in simple})
        batches["bad"].append({key: "[[]]" for key in simple})
        batches["bad"].append({key: "{a: b}" for key in simple})
        batches["bad"].append({key: '""' for key in simple})
        batches["bad"].append({key: "" for key in simple})
        batches["bad"].append({key: "0x" for key in simple.keys() - texts - {"topics.events"}})
        count = 0
        for batch in batches["good"]:
            count += len(batch)
            status, messages = self.run(FIXTURES / "minimal.good.yaml",
                                        [f"{key}={value}" for key, value in batch.items()])
            if status != 0:
                self.fault(f"the program refuses what the schema allows: {messages.strip()}")
            for key, value in batch.items():
                self.judge(key, value, False)
        for batch in batches["bad"]:
            count += len(batch)
            _, messages = self.run(FIXTURES / "minimal.good.yaml",
                                   [f"{key}={value}" for key, value in batch.items()])
            for key, value in batch.items():
                if not re.search(rf"^--set: {re.escape(key)}: (?!is not a key)", messages, re.MULTILINE):
                    self.fault(f"the program says nothing of {key}={value}")
                self.judge(key, value, True)
        return count

    def remote(self):
        """What an admin port for others takes: program and schema agree on every set of its keys."""
        tls = {"certificate": str(FIXTURES / "admin-certificate.pem"),
               "key": str(FIXTURES / "admin-key.pem")}
        given = itertools.product((None, False, True), (None, "0123456789abcdef"), (None, tls))
        for parts in given:
            admin = dict(zip(("allow_remote", "token", "tls"), parts), listen="0.0.0.0:9464")
            admin = {name: value for name, value in admin.items() if value is not None}
            status, _ = self.run(FIXTURES / "minimal.good.yaml", [f"admin={json.dumps(admin)}"])
            if (status == 0) != (not self.reasons(self.good | {"admin": admin})):
                self.fault(f"the program's status for admin {admin} is {status}, not the schema's")

    def strangers(self):
        """No section takes a key that it does not have."""
        sections = {key.rpartition(".")[0] for key in self.leaves} | {
            key.split(".")[0] for key in self.leaves if "." in key}
        strangers = [f"{section}.stranger".strip(".") for section in sorted(sections)]
        _, messages = self.run(FIXTURES / "minimal.good.yaml",
                               [f"{key}=1" for key in strangers])
        for key in strangers:
            if f": {key}: is not a key" not in messages:
                self.fault(f"the program takes {key}")
            document = copy.deepcopy(self.good)
            place = document
            for name in key.split(".")[:-1]:
                place = place.setdefault(name, {})
            place["stranger"] = 1
            if not self.reasons(document):
                self.fault(f"the schema takes {key}")

    def judge(self, key, value, is_bad):
        """One value given to the schema in a good document."""
        document = copy.deepcopy(self.good)
        place = document
        *parents, name = key.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = read(value)
        reasons = self.reasons(document)
        beyond = "x-maximum" in self.leaves[key] and milliseconds(place[name]) is not None
        if is_bad and not reasons and not beyond:
            self.fault(f"the schema accepts {key}: {value}, the program does not")
        if reasons and (not is_bad or beyond and place[name] != 0):
            self.fault(f"the schema refuses {key}: {value}: {reasons[0]}")

    def shipped(self):
        """config/segmentd.yaml has every key, each with its default and its description."""
        values = read(self.shipped_text)
        comments = comments_of(self.shipped_text)
        for key, part in self.leaves.items():
            description = part.get("description")
            if not part.get("title") or not description:
                self.fault(f"{key}: no title or no description in the schema")
            if key in comments and " ".join(comments[key][1].split()) != description:
                self.fault(f"{key}: the schema says {description!r}, "
                           f"config/segmentd.yaml {comments[key][1]!r}")
            if key in OPEN and key != "shop.rates":
                continue
            if key not in comments:
                self.fault(f"{key}: config/segmentd.yaml has no comment for it")
                continue
            default = part.get("default", part.get("x-default"))
            if default == "none":
                continue
            found = at(values, key)
            value = found[1] if found else read(comments[key][0])
            if default is None or value != default:
                self.fault(f"{key}: the default is {default!r} in the schema, "
                           f"{value!r} in config/segmentd.yaml")
        for key in comments.keys() - self.leaves.keys():
            if not any(name.startswith(f"{key}.") for name in self.leaves):
                self.fault(f"{key}: in config/segmentd.yaml, not in the schema")

    def readme(self):
        """The table of keys in README.md has every key once, with its default."""
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        rows = re.search(r"^\| key \| default \| means \|\n\|.*\n((?:\|.*\n)+)", text, re.MULTILINE)
        told = {}
        for row in rows[1].splitlines():
            keys, defaults = table_row(row)
            for position, key in enumerate(keys):
                if key in told:
                    self.fault(f"README.md has {key} twice")
                told[key] = defaults[position] if len(defaults) == len(keys) else None
        for key, part in self.leaves.items():
            if key not in told:
                self.fault(f"README.md's table has no {key}")
                continue
            default = part.get("default", part.get("x-default"))
            default = default[0] if isinstance(default, list) and default else default
            if key in OPEN or default is None:
                continue
            if told[key] is None or read(told[key]) != default and told[key] != str(default):
                self.fault(f"{key}: README.md says {told[key]}, the schema {default}")
        for key in told.keys() - self.leaves.keys():
            self.fault(f"README.md's table has {key}, which is no key")


def table_row(row):
    """Keys and defaults of a row of README.md's table.

    >>> table_row("| `a.b`, `.c`, `d.<name>` | `x`, 1e7 | text |")
    (['a.b', 'a.c', 'd'], ['x', '1e7'])
    """
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    keys = []
    for name in re.findall(r"`([^`]+)`", cells[0]):
        name = name.removesuffix(".<name>")
        keys.append(keys[-1].rpartition(".")[0] + name if name.startswith(".") else name)
    return keys, [part.strip().strip("`") for part in cells[1].split(",")]


def comments_of(text):
    """Value and comment of each key of a configuration in the shipped form, commented-out keys included.

    >>> comments_of("a:\\n  b: 1   # one\\n                       # two\\n  # c: on  # three\\nd: 4\\n")
    {'a.b': ('1', 'one two'), 'a.c': ('on', 'three')}
    """
    found, path, last = {}, [], None
    for line in text.splitlines():
        more = re.match(r"^ {20,}# (.*)$", line)
        if more and last:
            found[last] = (found[last][0], f"{found[last][1]} {more[1].strip()}")
            continue
        key = re.match(r"^( *)(# )?([a-z_]+):(?: +(.*))?$", line)
        last = None
        if not key or key[2] and not key[1]:
            continue
        depth = len(key[1]) // 2
        path[depth:] = [key[3]]
        value, mark, comment = (key[4] or "").partition("# ")
        if mark and value.strip():
            last = ".".join(path[:depth + 1])
            found[last] = (value.strip(), comment.strip())
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("segmentd", help="the program")
    parser.add_argument("--alone", action="store_true", help="give every problem to the program alone")
    arguments = parser.parse_args()
    check = Check(arguments.segmentd)
    files = check.accepted_files()
    judged = check.refused_fixtures(arguments.alone)
    check.covered()
    asked = check.asked()
    check.strangers()
    check.remote()
    check.shipped()
    check.readme()
    for fault in check.faults:
        print(f"FAILED: {fault}")
    print(f"schema: {len(check.leaves)} keys, {files} files accepted, {judged} problems judged alone, "
          f"{asked} values asked of the program, {len(BEYOND_SCHEMA)} rules beyond it; "
          f"{len(check.faults) or 'no'} faults")
    sys.exit(1 if check.faults else 0)


if __name__ == "__main__":
    main()
