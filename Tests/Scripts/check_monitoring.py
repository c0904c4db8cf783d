#!/usr/bin/env python3
"""Hold the alert rules, the dashboard and the README against the metrics that segmentd shows.

    check_monitoring.py --metrics metrics.txt
    check_monitoring.py --admin 127.0.0.1:9464

`--metrics` is a body of /metrics; `check_demo.py --keep FOLDER` writes one. Checked are:

- promtool accepts the metrics and the rules, and the tests of the rules pass;
- every alert has severity, summary and description, and a test in which it fires and a worker that is
  well;
- every metric and every label of rules and dashboard is one that /metrics shows; `le` is one of a
  histogram;
- every metric is in the README's table and every name of that table is a metric;
- the dashboard has what Grafana needs: panels with ids of their own, units, descriptions and places that
  do not overlap, queries on the chosen data source, variables that exist.

Metrics that come later (a checkpoint's age, the error of a step) are known by the list below. Prints a
verdict; ends with status 1 on failure.
"""

import argparse
import doctest
import json
import pathlib
import re
import subprocess
import sys
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
RULES = "alerts.yaml"
RULE_TESTS = ["alerts_test.yaml", "alerts_days_test.yaml"]
# Not there from the first moment on, so a demo may end without them.
LATER = {
    "segmentd_checkpoint_age_seconds": set(), "segmentd_checkpoint_bytes": set(),
    "segmentd_model_quantisation_error_ratio": set(), "segmentd_statistics_drift_ratio": set(),
    "segmentd_feature_stability_index": {"feature"},
}
# What Prometheus itself puts on a target's series; a group is put there by its configuration.
OF_TARGETS = {"job", "instance", "group"}
WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "offset",
         "bool"}


class Metrics:
    """Names, kinds and labels of a body of /metrics.

    >>> metrics = Metrics('''# HELP a_seconds Time.
    ... # TYPE a_seconds histogram
    ... a_seconds_bucket{le="+Inf"} 1
    ... a_seconds_sum 2
    ... a_seconds_count 1
    ... # TYPE b_total counter
    ... b_total{reason="x, {y}",kind="z"} 0
    ... # TYPE c gauge
    ... ''')
    >>> metrics.kinds
    {'a_seconds': 'histogram', 'b_total': 'counter', 'c': 'gauge'}
    >>> metrics.series["a_seconds_bucket"], sorted(metrics.series["b_total"]), metrics.series["c"]
    ({'le'}, ['kind', 'reason'], None)
    """

    def __init__(self, text):
        self.kinds, self.series = {}, {}
        for line in text.splitlines():
            words = line.split(" ", 3)
            if words[:2] == ["#", "TYPE"]:
                self.kinds[words[2]] = words[3]
                if words[3] != "histogram":
                    # Without a sample, nothing is known of its labels.
                    self.series[words[2]] = None
            elif line and not line.startswith("#"):
                name = re.match(r"[a-zA-Z_:][\w:]*", line)[0]
                labels = re.findall(r'(\w+)="(?:[^"\\]|\\.)*"', line)
                self.series[name] = (self.series.get(name) or set()) | set(labels)

    def base(self, name):
        """The metric that a series belongs to."""
        for suffix in ("_bucket", "_sum", "_count"):
            if name.endswith(suffix) and self.kinds.get(name[:-len(suffix)]) == "histogram":
                return name[:-len(suffix)]
        return name


def selectors(expression):
    """Series that an expression asks for, each with the labels that it names.

    >>> selectors('sum by (le) (rate(a_bucket{x=~"a{1}|b"}[5m])) > 2e3 and up == 0')
    [('a_bucket', {'x'}), ('up', set())]
    >>> selectors('topk(3, max by (feature) (b)) / on () group_left () sum(c offset 1d)')
    [('b', set()), ('c', set())]
    """
    strings = []

    def keep(found):
        strings.append(found[0])
        return f'"{len(strings) - 1}"'

    text = re.sub(r'"(?:[^"\\]|\\.)*"', keep, expression)
    text = re.sub(r"\[[^\]]*\]", "", text)
    text = re.sub(r"\boffset\s+\w+", "", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    found = []
    for match in re.finditer(r"([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(\s*\()?", text):
        name, labels, call = match.groups()
        before = text[max(0, match.start() - 1):match.start()]
        if call or name in WORDS or re.match(r"[\w$.]", before):
            continue
        found.append((name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels or ""))))
    return found


def groupings(expression):
    """Labels that an expression groups or matches by.

    >>> sorted(groupings('sum by (job, le) (a) / on (group) b unless ignoring (state) c'))
    ['group', 'job', 'le', 'state']
    """
    lists = re.findall(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", expression)
    return {label.strip() for labels in lists for label in labels.split(",") if label.strip()}


def check_expression(expression, metrics):
    """What an expression asks for that is not there.

    >>> metrics = Metrics('# TYPE a_total counter\\na_total{reason="x"} 1\\n# TYPE b gauge\\nb 1\\n')
    >>> check_expression('rate(a_total{reason="y", job="j"}[5m]) and b', metrics)
    []
    >>> check_expression('sum by (kind) (a_total{colour="y"}) > c', metrics)
    ['a_total has no label colour', 'there is no metric c', 'nothing has a label kind']
    """
    found, known = [], set(OF_TARGETS)
    for name, labels in selectors(expression):
        if name == "up" or name == "ALERTS":
            continue
        if name in metrics.series:
            own = metrics.series[name]
        elif name in LATER:
            own = LATER[name]
        else:
            found.append(f"there is no metric {name}")
            continue
        if own is None:
            own = LATER.get(name)
        if own is None:
            found.append(f"{name} has no sample, its labels are unknown")
            continue
        known |= own
        found += [f"{name} has no label {label}" for label in sorted(labels - own - OF_TARGETS)]
    found += [f"nothing has a label {label}" for label in sorted(groupings(expression) - known)]
    return found


def check_rules(text, tests, metrics):
    """What is wrong with alert rules, beyond what promtool sees; and how many there are."""
    import yaml

    found, count = [], 0
    expected = set()
    for test in tests:
        for case in test["tests"]:
            fired = set()
            for sample in case.get("promql_expr_test", []):
                for one in sample.get("exp_samples") or []:
                    fired |= set(re.findall(r'alertname="(\w+)"', one["labels"]))
            series = " ".join(one["series"] for one in case["input_series"])
            if len(case["input_series"]) > 1 and "good" in series:
                expected |= fired
            for one in case["input_series"]:
                name, labels = selectors(one["series"])[0]
                if name != "up":
                    found += [f"test {case['name']}: {problem}"
                              for problem in check_expression(one["series"], metrics)]
    for group in yaml.safe_load(text)["groups"]:
        for rule in group["rules"]:
            count += 1
            name = rule["alert"]
            found += [f"{name}: {problem}" for problem in check_expression(rule["expr"], metrics)]
            if rule.get("labels", {}).get("severity") not in ("critical", "warning"):
                found.append(f"{name}: severity is no critical and no warning")
            notes = rule.get("annotations", {})
            found += [f"{name}: no {part}" for part in ("summary", "description")
                      if not notes.get(part)]
            if name not in expected and name != "SegmentdAbsent":
                found.append(f"{name}: no test fires it beside a worker that is well")
    return found, count


def check_dashboard(dashboard, metrics):
    """What is wrong with the dashboard, and how many panels it has."""
    found = []
    panels = dashboard["panels"]
    variables = {one["name"] for one in dashboard["templating"]["list"]}
    if dashboard.get("schemaVersion", 0) < 36 or not dashboard.get("title") or dashboard.get("id"):
        found.append("schemaVersion below 36, no title, or an id of one installation")
    ids = [panel["id"] for panel in panels]
    if len(set(ids)) != len(ids):
        found.append("an id of panels twice")
    taken = set()
    for panel in panels:
        name, place = panel["title"], panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        if cells & taken or place["x"] + place["w"] > 24:
            found.append(f"{name}: overlaps another panel or the edge")
        taken |= cells
        if panel["type"] == "row":
            continue
        defaults = panel["fieldConfig"]["defaults"]
        if not defaults.get("unit") and panel["type"] != "heatmap":
            found.append(f"{name}: no unit")
        if not panel.get("description"):
            found.append(f"{name}: no description")
        if not panel["targets"]:
            found.append(f"{name}: asks for nothing")
        for target in panel["targets"]:
            for place in (panel, target):
                if place["datasource"].get("uid") != "${datasource}":
                    found.append(f"{name}: another data source than the chosen one")
            found += [f"{name}: {problem}"
                      for problem in check_expression(target["expr"], metrics)]
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            given = set(OF_TARGETS).union(*(metrics.series.get(one) or LATER.get(one) or set()
                                            for one, _ in selectors(target["expr"])))
            found += [f"{name}: the legend names {label}" for label in sorted(shown - given)]
            if not all(part in target["expr"] for part in ('job="$job"', 'instance=~"$instance"')):
                found.append(f"{name}: goes over all workers, whichever are chosen")
    text = json.dumps(dashboard)
    used = set(re.findall(r"\$\{?([a-z]\w*)", text))
    found += [f"there is no variable {name}" for name in sorted(used - variables)]
    for one in dashboard["templating"]["list"]:
        if one["type"] == "query":
            inside = re.fullmatch(r"label_values\((.*), (\w+)\)", one["query"]["query"])
            found += [f"variable {one['name']}: {problem}"
                      for problem in check_expression(inside[1], metrics)]
    return found, sum(panel["type"] != "row" for panel in panels)


def readme_names(text):
    """Names in the first column of the README's table of metrics.

    >>> sorted(readme_names('''| metric (`segmentd_...`) | says |
    ... | --- | --- |
    ... | `ready`, `lag_records` (by `topic`) | how |
    ...
    ... | `other` | no |'''))
    ['segmentd_lag_records', 'segmentd_ready']
    """
    table = re.search(r"^\| metric \(`segmentd_\.\.\.`\).*?(?=\n\n|\Z)", text, re.M | re.S)
    names = set()
    for line in table[0].splitlines()[2:] if table else []:
        column = re.sub(r"\(.*?\)", "", line.split("|")[1])
        names |= {"segmentd_" + name for name in re.findall(r"`(\w+)`", column)}
    return names


def check_readme(text, metrics):
    """Metrics that the README's table lacks, and names in it that are no metrics."""
    names, shown = readme_names(text), set(metrics.kinds) | set(LATER)
    return ([f"not in the README: {name}" for name in sorted(shown - names)]
            + [f"in the README, but no metric: {name}" for name in sorted(names - shown)])


def promtool(arguments, **options):
    """Run promtool; returns what is wrong."""
    try:
        answer = subprocess.run(["promtool", *arguments], capture_output=True, text=True,
                                check=False, timeout=120, **options)
    except FileNotFoundError:
        return ["promtool is not installed (Debian: prometheus)"]
    said = (answer.stdout + answer.stderr).strip()
    # Advice on metrics comes with status 3.
    if answer.returncode:
        return [f"promtool {' '.join(arguments)}: status {answer.returncode}, {said}"]
    return []


def check(text, config, readme):
    """All of it; returns what is wrong, and a sentence of what was seen."""
    import yaml

    metrics = Metrics(text)
    if "segmentd_ready" not in metrics.kinds:
        return ["that is no body of /metrics"], ""
    found = promtool(["check", "metrics"], input=text)
    found += promtool(["check", "rules", str(config / RULES)])
    found += promtool(["test", "rules", *RULE_TESTS], cwd=config)
    tests = [yaml.safe_load((config / name).read_text()) for name in RULE_TESTS]
    wrong, rules = check_rules((config / RULES).read_text(), tests, metrics)
    found += wrong
    wrong, panels = check_dashboard(json.loads((config / "dashboard.json").read_text()), metrics)
    found += wrong
    found += check_readme(readme, metrics)
    found = list(dict.fromkeys(found))
    return found, f"{len(metrics.kinds)} metrics, {rules} alerts, {panels} panels"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--metrics", metavar="FILE")
    parser.add_argument("--admin", metavar="HOST:PORT")
    parser.add_argument("--config", metavar="FOLDER", type=pathlib.Path, default=CONFIG)
    parser.add_argument("--readme", metavar="FILE", type=pathlib.Path, default=ROOT / "README.md")
    parser.add_argument("--self-test", action="store_true", help="run the examples in the code")
    arguments = parser.parse_args()
    if arguments.self_test:
        sys.exit(doctest.testmod().failed > 0)
    if arguments.metrics:
        text = pathlib.Path(arguments.metrics).read_text()
    elif arguments.admin:
        with urllib.request.urlopen(f"http://{arguments.admin}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    else:
        parser.error("--metrics or --admin is required")
    found, told = check(text, arguments.config, arguments.readme.read_text())
    for line in found[:40]:
        print(line)
    if len(found) > 40:
        print(f"... and {len(found) - 40} more")
    print(f"monitoring: {'FAILED' if found else 'ok'}; {told}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
