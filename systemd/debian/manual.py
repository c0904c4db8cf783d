#!/usr/bin/env python3
"""Write the manual page of segmentd from what the program says of itself.

    segmentd --experimental-dump-help | manual.py --readme README.md --date 2026-03-01 > segmentd.1

Commands and options come from the program, exit statuses from the README's table; the rest stands here.
"""

import argparse
import doctest
import json
import re
import sys

FILES = (
    ("/etc/segmentd/segmentd.yaml", "The configuration; every key is explained in it."),
    ("/etc/segmentd/NAME.yaml", "The configuration of segmentd@NAME.service."),
    ("/var/lib/segmentd", "Checkpoints of the customer table, personal data. May be deleted while the "
     "service is stopped: the next start takes longer, nothing is lost."),
    ("/usr/share/segmentd", "Alert rules, dashboard, schemas and configurations to start from."),
    ("/usr/share/doc/segmentd/README.Debian", "From the installation to the first segments."),
)
SIGNALS = (
    ("SIGTERM, SIGINT", "Drain: the open transaction is committed, or aborted, and the program ends, "
     "within 30 seconds."),
    ("SIGHUP", "Read the configuration again and take over what can change while it runs; the log says "
     "what cannot."),
)
ENVIRONMENT = (
    ("OPENBLAS_NUM_THREADS", "Set it to 1 where OpenBLAS is the linear algebra of the system: matrices are "
     "small, and it would start a thread per core. The units do."),
    ("NOTIFY_SOCKET, JOURNAL_STREAM", "Set by systemd: readiness, status and watchdog; log lines with "
     "priorities instead of times."),
)


def text(words):
    r"""Words as roff prints them.

    >>> print(text("a-b\\c 'd'"))
    a\-b\ec \(aqd\(aq
    """
    words = words.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return words.replace("~", "\\(ti").replace("^", "\\(ha").replace("`", "\\(ga")


def paragraph(words):
    """Lines of a paragraph, none of which is taken for a request.

    >>> paragraph(".x is\\n'y'")
    ['\\\\&.x is', '\\\\(aqy\\\\(aq']
    """
    lines = [text(line) for line in words.strip().split("\n")]
    return ["\\&" + line if line.startswith(".") else line for line in lines]


def discussion(words):
    """Paragraphs of an explanation; indented lines stay as they are.

    >>> discussion("One.\\n\\nExamples:\\n  a b")
    ['.PP', 'One.', '.PP', 'Examples:', '.PP', '.RS 2', '.nf', 'a b', '.fi', '.RE']
    """
    lines = []
    for block in re.split(r"\n\s*\n", words.strip()):
        parts, indented = [], None
        for line in block.split("\n"):
            if line.startswith("  ") != indented:
                indented = line.startswith("  ")
                parts.append((indented, []))
            parts[-1][1].append(line[2:] if indented else line)
        for indented, part in parts:
            body = paragraph("\n".join(part))
            lines += [".PP"] + ([".RS 2", ".nf"] + body + [".fi", ".RE"] if indented else body)
    return lines


def synopsis(argument):
    """An argument as in a line of usage.

    >>> synopsis({"kind": "option", "names": [{"kind": "long", "name": "set"}], "valueName": "k=v",
    ...           "isOptional": True, "isRepeating": True})
    '[\\\\fB\\\\-\\\\-set\\\\fR \\\\fIk=v\\\\fR]...'
    >>> synopsis({"kind": "positional", "valueName": "customer", "isOptional": False})
    '\\\\fIcustomer\\\\fR'
    """
    value = f"\\fI{text(argument.get('valueName', ''))}\\fR"
    names = [("--" if name["kind"] == "long" else "-") + name["name"]
             for name in argument.get("names", [])]
    shown = value
    if argument["kind"] != "positional":
        shown = f"\\fB{text(names[-1])}\\fR" + (f" {value}" if argument["kind"] == "option" else "")
    if argument.get("isOptional"):
        shown = f"[{shown}]"
    return shown + ("..." if argument.get("isRepeating") else "")


def own_arguments(command):
    """What a command takes besides --help and --version."""
    return [argument for argument in command.get("arguments", [])
            if argument.get("shouldDisplay", True)
            and not {name["name"] for name in argument.get("names", [])} & {"help", "version"}]


def commands(command, names):
    """Sections of a command and of those below it."""
    lines = []
    path = names + [command["commandName"]]
    below = [child for child in command.get("subcommands", [])
             if child.get("shouldDisplay", True) and child["commandName"] != "help"]
    if len(path) > 1 and not below:
        lines += [f".SS {text(' '.join(path))}"]
        lines += [" ".join([f"\\fB{text(' '.join(path))}\\fR"]
                           + [synopsis(argument) for argument in own_arguments(command)])]
        lines += [".PP"] + paragraph(command.get("abstract", ""))
        lines += discussion(command["discussion"]) if command.get("discussion") else []
        for argument in own_arguments(command):
            about = argument.get("abstract", "")
            if argument.get("discussion"):
                about += "\n" + argument["discussion"]
            if argument.get("allValues"):
                about += f" One of: {', '.join(argument['allValues'])}."
            if argument.get("defaultValue"):
                about += f" Default: {argument['defaultValue']}."
            shown = dict(argument, isOptional=False, isRepeating=False)
            lines += [".TP", synopsis(shown)] + paragraph(about or "Needed.")
    for child in below:
        lines += commands(child, path)
    return lines


def exit_statuses(readme):
    """Rows of the README's table of exit statuses.

    >>> exit_statuses("| exit status | means |\\n| --- | --- |\\n| 0 | done |\\n| 1 | no `x` |\\n\\n| 2 | y |")
    [('0', 'done'), ('1', 'no x')]
    """
    table = re.search(r"\| exit status \| means \|\n\| --- \| --- \|\n((?:\|.*\n?)+)", readme)
    if not table:
        sys.exit("the README has no table of exit statuses")
    rows = [row.strip("|").split("|", 1) for row in table[1].strip().split("\n")]
    return [(number.strip(), means.strip().replace("`", "")) for number, means in rows]


def section(name, rows):
    """A section of terms and what they mean."""
    lines = [f".SH {name}"]
    for term, means in rows:
        lines += [".TP", f"\\fB{text(term)}\\fR"] + paragraph(means)
    return lines


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readme", required=True)
    parser.add_argument("--date", required=True, help="of the release, as YYYY-MM-DD")
    parser.add_argument("--version", required=True)
    arguments = parser.parse_args()
    program = json.load(sys.stdin)["command"]
    with open(arguments.readme, encoding="utf-8") as file:
        statuses = exit_statuses(file.read())
    lines = [f".TH SEGMENTD 1 {text(arguments.date)} \"segmentd {text(arguments.version)}\"",
             ".SH NAME", f"segmentd \\- customer segments and churn flags from Kafka", ".SH SYNOPSIS",
             "\\fBsegmentd\\fR \\fIcommand\\fR [\\fIoption\\fR]...", ".SH DESCRIPTION"]
    lines += paragraph(program["abstract"]) + discussion(program.get("discussion", ""))
    lines += [".PP", "Every command has \\fB\\-\\-help\\fR; \\fB\\-\\-version\\fR prints the version. Standard "
              "output has what was asked for, everything else goes to standard error.", ".SH COMMANDS"]
    lines += commands(program, [])
    lines += section("EXIT STATUS", statuses) + section("SIGNALS", SIGNALS)
    lines += section("ENVIRONMENT", ENVIRONMENT) + section("FILES", FILES)
    lines += [".SH SEE ALSO", ".BR systemctl (1),", ".BR systemd\\-creds (1),", ".BR journalctl (1)"]
    print("\n".join(lines))


if __name__ == "__main__":
    doctest.testmod()
    main()
