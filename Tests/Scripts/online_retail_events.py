#!/usr/bin/env python3
"""Turn the UCI Online Retail invoices into events, one line each, in order of time.

    online_retail_events.py online_retail_2010_2011.csv.gz > events.ndjson

Standard library only. Counts of everything used and left out go to stderr as JSON.

Rules, with their counts on the whole file of 541,909 lines:

- An invoice is one `order.placed`: order_id = invoice number, time = the earliest time of its lines
  (43 invoices span two minutes) taken as UTC, currency GBP, channel web, amount = the sum of quantity
  x price over lines with positive quantity and price. Repeated lines are real and all count.
  Money is summed in thousandths of a pound, which is exact for this file.
- 18,532 such invoices have a customer. 1,427 have none: they are written without `customer_id`, one
  line each, and have to be rejected as `missing_customer`.
- Left out: 1,179 lines with a positive quantity and no price (gifts, corrections; 4 invoices with a
  customer consist of nothing else), 1,336 lines with a quantity below 1 on ordinary invoices (stock
  corrections, never with a customer), 3 lines of bad debt adjustment (invoices `A...`), 182
  cancellations without a customer.
- A cancellation is an invoice `C...` with negative quantities; it does not name the invoice that it
  cancels. Each of its lines is matched to the latest earlier invoice of the same customer that has the
  stock code with enough quantity, and enough of its amount, not yet returned. Lines of one
  cancellation that meet the same invoice become one `order.reversed` with their total amount. Lines
  without a match become one unmatched `order.reversed` whose order_id is the number of
  the cancellation itself. Of 8,905 lines 7,479 find their invoice; 3,654 cancellations become 4,551
  events, 783 of them unmatched (goods bought before the file begins, discounts, manual entries).
  An order returned to the last penny stays an order: reversals are by amount, never in full, so
  purchase days are what they were.
- Event ids: the invoice number, for reversals followed by `-1`, `-2`, ... Two events at the same
  time keep the order of the file.
"""

import argparse
import csv
import doctest
import gzip
import io
import json
import sys
from collections import Counter, defaultdict

SOURCE = "uci-online-retail"


def thousandths(price):
    """Price text as whole thousandths of a pound.

    >>> thousandths("2.55"), thousandths("0.001"), thousandths("-11062.06")
    (2550, 1, -11062060)
    """
    return round(float(price) * 1000)


def amount_text(value):
    """Thousandths as the shortest JSON number.

    >>> [amount_text(v) for v in (15300, 0, 2550, 1, 77183600)]
    ['15.3', '0', '2.55', '0.001', '77183.6']
    """
    pounds, rest = divmod(value, 1000)
    return f"{pounds}.{rest:03d}".rstrip("0").rstrip(".")


def read_invoices(rows, counts):
    """Gather lines into invoices: {number: {number, customer, time, lines}}, in file order.

    Only lines that carry money are kept; a line is (stock code, quantity > 0, money > 0).
    """
    invoices = {}
    for row in rows:
        counts["lines"] += 1
        number = row["InvoiceNo"]
        if number.startswith("A"):
            counts["lines_adjustment"] += 1
            continue
        invoice = invoices.setdefault(
            number,
            {"number": number, "customer": row["CustomerID"], "time": row["InvoiceDate"],
             "lines": []},
        )
        invoice["time"] = min(invoice["time"], row["InvoiceDate"])
        quantity = int(row["Quantity"])
        if number.startswith("C"):
            quantity = -quantity
        price = thousandths(row["UnitPrice"])
        if quantity <= 0:
            counts["lines_quantity_not_positive"] += 1
        elif price <= 0:
            counts["lines_price_not_positive"] += 1
        else:
            invoice["lines"].append((row["StockCode"], quantity, quantity * price))
    return invoices


class Ledger:
    """What each customer bought and has not yet returned.

    >>> ledger = Ledger()
    >>> ledger.place("c", "1", [("mug", 5, 500)])
    >>> ledger.place("c", "2", [("mug", 2, 200)])
    >>> [ledger.match("c", "mug", q, 100 * q) for q in (2, 3, 3)]
    ['2', '1', None]
    """

    def __init__(self):
        self.bought = defaultdict(list)  # (customer, stock code) -> [[invoice, quantity left]]
        self.left = {}  # invoice -> money left

    def place(self, customer, number, lines):
        """Remember an order of a customer."""
        quantities = Counter()
        for code, quantity, _ in lines:
            quantities[code] += quantity
        for code, quantity in quantities.items():
            self.bought[customer, code].append([number, quantity])
        self.left[number] = sum(money for _, _, money in lines)

    def match(self, customer, code, quantity, money):
        """The invoice that a returned line most likely belongs to, None without one."""
        for entry in reversed(self.bought.get((customer, code), ())):
            if entry[1] >= quantity and self.left[entry[0]] >= money:
                entry[1] -= quantity
                self.left[entry[0]] -= money
                return entry[0]
        return None


def reversals(invoice, ledger, counts):
    """Money by order id that a cancellation takes back, in order of its lines.

    >>> ledger = Ledger()
    >>> ledger.place("c", "1", [("mug", 5, 500)])
    >>> cancellation = {"number": "C9", "customer": "c", "lines": [("mug", 2, 200), ("jug", 1, 9)]}
    >>> reversals(cancellation, ledger, Counter())
    {'1': 200, 'C9': 9}
    """
    taken = {}
    for code, quantity, money in invoice["lines"]:
        number = ledger.match(invoice["customer"], code, quantity, money)
        counts["reversed_lines_unmatched" if number is None else "reversed_lines_matched"] += 1
        number = number or invoice["number"]
        taken[number] = taken.get(number, 0) + money
    return taken


def events(invoices, counts):
    """Event lines in order of time."""
    ledger = Ledger()
    known = set()
    for invoice in sorted(invoices.values(), key=lambda invoice: invoice["time"]):
        number, customer = invoice["number"], invoice["customer"]
        money = sum(money for _, _, money in invoice["lines"])
        time = invoice["time"].replace(" ", "T") + "Z"
        who = f',"customer_id":"{customer}"' if customer else ""
        if not invoice["lines"]:
            counts["invoices_without_money"] += 1
            counts["customer_invoices_without_money"] += bool(customer)
        elif number.startswith("C"):
            if not customer:
                counts["cancellations_without_customer"] += 1
                continue
            counts["cancellations"] += 1
            known.add(customer)
            for index, (order, part) in enumerate(reversals(invoice, ledger, counts).items(), 1):
                counts["events_reversed"] += 1
                counts["events_reversed_unmatched"] += order == number
                counts["thousandths_reversed"] += part
                yield (
                    f'{{"id":"{number}-{index}","source":"{SOURCE}","type":"order.reversed",'
                    f'"time":"{time}"{who},"order_id":"{order}","amount":{amount_text(part)}}}'
                )
        else:
            if customer:
                counts["events_placed"] += 1
                counts["thousandths_placed"] += money
                known.add(customer)
                ledger.place(customer, number, invoice["lines"])
            else:
                counts["events_placed_without_customer"] += 1
            yield (
                f'{{"id":"{number}","source":"{SOURCE}","type":"order.placed",'
                f'"time":"{time}"{who},"order_id":"{number}","amount":{amount_text(money)},'
                f'"currency":"GBP","channel":"web"}}'
            )
    counts["customers"] = len(known)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", metavar="INPUT.csv[.gz]", nargs="?")
    parser.add_argument("--self-test", action="store_true", help="run the examples in the code")
    arguments = parser.parse_args()
    if arguments.self_test:
        sys.exit(doctest.testmod().failed > 0)
    if not arguments.input:
        parser.error("INPUT is required")
    counts = Counter()
    opener = gzip.open if arguments.input.endswith(".gz") else open
    with opener(arguments.input, "rt", encoding="utf-8", newline="") as file:
        invoices = read_invoices(csv.DictReader(file), counts)
    out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n", write_through=False)
    for line in events(invoices, counts):
        out.write(line + "\n")
    out.flush()
    print(json.dumps(dict(sorted(counts.items())), indent=1), file=sys.stderr)


if __name__ == "__main__":
    main()
