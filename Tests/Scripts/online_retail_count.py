#!/usr/bin/env python3
"""Count UCI Online Retail with pandas, straight from the CSV, as a check on the event script.

    online_retail_count.py online_retail_2010_2011.csv.gz [events.ndjson ...]

Prints JSON. With event files it counts those too, and ends with status 1 if orders, customers or
money differ. It shares no code with the event script; it cannot check which invoice a
cancellation was matched to, only that the money taken back is the same.

Money is in pounds, from integer thousandths. `purchase_days` are distinct (customer, UTC day) of
orders; `repeat_customers` have more than one.
"""

import argparse
import json
import sys

import pandas


def from_table(path):
    """Figures from the invoice lines."""
    table = pandas.read_csv(
        path, dtype={"InvoiceNo": str, "StockCode": str, "CustomerID": str}, encoding="utf-8"
    )
    table["money"] = table.Quantity * (table.UnitPrice * 1000).round().astype("int64")
    kind = table.InvoiceNo.str[0]
    placed = table[(kind != "C") & (kind != "A") & (table.Quantity > 0) & (table.money > 0)]
    cancelled = table[(kind == "C") & (table.Quantity < 0) & (table.money < 0)]
    named = placed[placed.CustomerID.notna()]
    returned = cancelled[cancelled.CustomerID.notna()]
    orders = named.groupby("InvoiceNo").agg(customer=("CustomerID", "first"),
                                            time=("InvoiceDate", "min"))
    days = orders.assign(day=orders.time.str[:10]).groupby("customer").day.nunique()
    return {
        "orders": len(orders),
        "orders_without_customer": int(placed[placed.CustomerID.isna()].InvoiceNo.nunique()),
        "customers": int(pandas.concat([named.CustomerID, returned.CustomerID]).nunique()),
        "customers_with_orders": int(orders.customer.nunique()),
        "money_placed": int(named.money.sum()) / 1000,
        "money_reversed": -int(returned.money.sum()) / 1000,
        "purchase_days": int(days.sum()),
        "repeat_customers": int((days > 1).sum()),
        "last_time": str(max(named.InvoiceDate.max(), returned.InvoiceDate.max())),
    }, {"cancellations": int(returned.InvoiceNo.nunique())}


def from_events(paths):
    """The same figures from event files."""
    records = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            records += [json.loads(line) for line in file]
    table = pandas.DataFrame(records)
    table["money"] = (table.amount * 1000).round().astype("int64")
    placed = table[table.type == "order.placed"]
    named = placed[placed.customer_id.notna()]
    returned = table[table.type == "order.reversed"]
    days = named.assign(day=named.time.str[:10]).groupby("customer_id").day.nunique()
    last = max(named.time.max(), returned.time.max())
    return {
        "orders": int(named.order_id.nunique()),
        "orders_without_customer": int(placed.customer_id.isna().sum()),
        "customers": int(table.customer_id.nunique()),
        "customers_with_orders": int(named.customer_id.nunique()),
        "money_placed": int(named.money.sum()) / 1000,
        "money_reversed": int(returned.money.sum()) / 1000,
        "purchase_days": int(days.sum()),
        "repeat_customers": int((days > 1).sum()),
        "last_time": last.replace("T", " ").removesuffix("Z"),
    }, {"reversals": len(returned), "lines": len(table)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", metavar="INPUT.csv[.gz]")
    parser.add_argument("events", metavar="events.ndjson", nargs="*")
    arguments = parser.parse_args()
    figures, more = from_table(arguments.input)
    if not arguments.events:
        print(json.dumps(figures | more, indent=1))
        return
    counted, events_more = from_events(arguments.events)
    differences = {name: [figures[name], counted[name]]
                   for name in figures if figures[name] != counted[name]}
    print(json.dumps({"table": figures | more, "events": counted | events_more,
                      "differences": differences}, indent=1))
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
