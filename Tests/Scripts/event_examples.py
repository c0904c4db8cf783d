#!/usr/bin/env python3
"""Events of every type, as they have to be, and what one change makes of them.

For check_schemas.py. `EVENTS` are examples of every type, plain; `REFUSED`, `ACCEPTED` and `BEYOND` are
changes of one field each: what schema and decoder refuse, what both accept, and what only the decoder can
see.
"""

import copy
import json

NOTHING = object()
EVENTS = [json.loads(line) for line in '''
{"id":"e-1","source":"shop","type":"order.placed","time":"2026-03-01T10:15:00Z","customer_id":"c-42","order_id":"o-7","amount":61.5,"currency":"EUR","categories":{"wines":41.5,"meat":20},"channel":"web","discount":true}
{"id":"e-2","type":"order.reversed","time":1772442900000,"customer_id":"c-42","order_id":"o-7","amount":20,"categories":{"meat":20}}
{"id":"e-3","type":"order.reversed","time":"2026-03-02T09:15:00Z","customer_id":"c-42","order_id":"o-7","full":true}
{"id":"e-4","type":"customer.profile","time":"2026-03-02","customer_id":"c-42","birth_year":1970,"education":"Master","marital_status":"Married","income":52000,"kids_home":1,"teens_home":0,"enrolled_at":"2025-06-01"}
{"id":"e-5","type":"customer.snapshot","time":"2014-06-29","customer_id":"5524","ID":5524,"Year_Birth":1957,"Education":"Graduation","Marital_Status":"Single","Income":58138,"Kidhome":0,"Teenhome":0,"Dt_Customer":"04-09-2012","Recency":58,"MntWines":635,"MntFruits":88,"MntMeatProducts":546,"MntFishProducts":172,"MntSweetProducts":88,"MntGoldProds":88,"NumDealsPurchases":3,"NumWebPurchases":8,"NumCatalogPurchases":10,"NumStorePurchases":4,"NumWebVisitsMonth":7,"Complain":0,"Response":1}
{"id":"e-6","type":"engagement.visit","time":"2026-03-02T20:01:00Z","customer_id":"c-42"}
{"id":"e-7","type":"engagement.campaign","time":"2026-03-03T08:00:00Z","customer_id":"c-42","campaign_id":"spring","accepted":true}
{"id":"e-8","type":"engagement.complaint","time":"2026-03-04T08:00:00Z","customer_id":"c-42"}
{"id":"e-9","type":"privacy.erased","time":"2026-03-05T08:00:00Z","customer_id":"c-42"}
'''.strip().splitlines()]
# Type of the event, key of the body or the envelope, value (NOTHING: left out), reason.
MISSING, TYPE, RANGE = "missing_field", "wrong_type", "out_of_range"
REFUSED = [
    *[("*", "time", value, TYPE) for value in (
        "yesterday", "2026-03-01T25:00:00Z", "2026-13-01", "2026-03-01T10:15Z", "2026-03-01T10:15:00",
        "1772442900000", "2026-03-01T10:15:00+02", 1.5, True, [])],
    ("*", "time", 10 ** 15, RANGE), ("*", "time", -(10 ** 15), RANGE),
    ("*", "time", NOTHING, MISSING), ("*", "time", None, MISSING),
    ("*", "type", NOTHING, MISSING), ("*", "type", None, MISSING), ("*", "type", 5, TYPE),
    ("*", "type", "order.shipped", "unknown_type"), ("*", "type", "", "unknown_type"),
    ("*", "id", 5, TYPE), ("*", "source", True, TYPE), ("*", "customer_id", 5, TYPE),
    ("*", "customer_id", "", "missing_customer"),
    *[(kind, "order_id", value, reason) for kind in ("order.placed", "order.reversed")
      for value, reason in ((NOTHING, MISSING), (None, MISSING), ("", MISSING), (7, TYPE))],
    *[("order.placed", "amount", value, reason) for value, reason in (
        (NOTHING, MISSING), (None, MISSING), ("61.5", TYPE), (True, TYPE), (-1, RANGE), (1e9, RANGE))],
    *[("order.placed", "categories", value, reason) for value, reason in (
        ([], TYPE), ("wines", TYPE), ({"wines": "3"}, TYPE), ({"wines": None}, TYPE),
        ({"unheard": [1]}, TYPE), ({"wines": -1}, RANGE), ({"unheard": -1}, RANGE))],
    ("order.placed", "currency", 5, TYPE), ("order.placed", "currency", "euro", "unknown_currency"),
    ("order.placed", "channel", 5, TYPE), ("order.placed", "discount", "yes", TYPE),
    ("order.placed", "discount", 1, TYPE),
    ("order.reversed", "full", "true", TYPE), ("order.reversed", "full", 1, TYPE),
    ("order.reversed", "amount", "20", TYPE), ("order.reversed", "amount", -20, RANGE),
    *[("customer.profile", key, value, reason) for key in ("income", "birth_year", "kids_home", "teens_home")
      for value, reason in (("52000", TYPE), (-1, RANGE), ([1], TYPE), (1e16, RANGE))],
    ("customer.profile", "education", 5, TYPE), ("customer.profile", "marital_status", False, TYPE),
    ("customer.profile", "enrolled_at", "soon", TYPE), ("customer.profile", "enrolled_at", True, TYPE),
    ("customer.snapshot", "MntWines", "635", TYPE), ("customer.snapshot", "MntWines", -5, RANGE),
    ("customer.snapshot", "Income", "58138", TYPE), ("customer.snapshot", "Income", -1, RANGE),
    ("customer.snapshot", "Education", 1, TYPE), ("customer.snapshot", "Dt_Customer", "04/09/2012", TYPE),
    ("customer.snapshot", "Recency", "58", TYPE), ("customer.snapshot", "Recency", -1, RANGE),
    ("engagement.campaign", "accepted", "yes", TYPE), ("engagement.campaign", "accepted", 1, TYPE),
]
ACCEPTED = [
    *[("*", "time", value) for value in (
        0, -86_400_000, "2026-03-01", "2026-03-01t10:15:00z", "2026-03-01 10:15:00Z",
        "2026-03-01T10:15:00.123456Z", "2026-03-01T10:15:00-05:30", "2026-12-31T23:59:60Z")],
    ("*", "id", NOTHING), ("*", "id", None), ("*", "source", ""), ("*", "subject", "c-1"),
    ("*", "customer_id", "Zoë/1"), ("*", "unheard_of", {"a": [1, None]}),
    ("order.placed", "amount", 0), ("order.placed", "categories", None),
    ("order.placed", "categories", {}), ("order.placed", "categories", {"unheard": 1}),
    ("order.placed", "channel", "fax"), ("order.placed", "channel", None),
    ("order.placed", "discount", None), ("order.placed", "currency", None),
    ("customer.profile", "income", None), ("customer.profile", "income", NOTHING),
    ("customer.profile", "education", "unheard"), ("customer.profile", "education", None),
    ("customer.profile", "enrolled_at", "01-06-2025"), ("customer.profile", "enrolled_at", None),
    ("customer.profile", "enrolled_at", 1748736000000),
    ("customer.profile", "enrolled_at", "2025-06-01T12:00:00Z"),
    ("customer.snapshot", "Income", None), ("customer.snapshot", "Complain", False),
    ("engagement.campaign", "accepted", False), ("engagement.campaign", "accepted", NOTHING),
]
# What only the decoder can see.
BEYOND = [
    ("*", "time", "2026-02-30", TYPE), ("*", "subject", "somebody-else", "key_mismatch"),
    ("order.placed", "categories", {"wines": 60, "meat": 2}, RANGE),
    ("order.placed", "currency", "USD", "unknown_currency"),
    ("customer.profile", "enrolled_at", "31-02-2025", TYPE),
]


def structured(event):
    """The same event as a CloudEvent in structured mode.

    >>> structured({"id": "e", "type": "t", "time": 1, "customer_id": "c", "x": 2}) == {
    ...     "specversion": "1.0", "id": "e", "source": "shop", "type": "t", "time": 1, "subject": "c",
    ...     "data": {"customer_id": "c", "x": 2}}
    True
    """
    envelope = {key: event[key] for key in ("id", "source", "type", "time", "subject") if key in event}
    data = {key: value for key, value in event.items() if key not in envelope}
    whole = {"specversion": "1.0", "id": "e", "source": "shop", **envelope, "data": data}
    if isinstance(data.get("customer_id"), str) and data["customer_id"]:
        whole.setdefault("subject", data["customer_id"])
    return whole


def cases(table):
    """Events with one change each, plain and structured, with the rest of each row of a table."""
    number = 0
    for kind, key, value, *rest in table:
        for event in EVENTS:
            if kind not in ("*", event["type"]):
                continue
            if key == "amount" and event.get("full"):
                continue
            number += 1
            changed = copy.deepcopy(event)
            if value is NOTHING:
                changed.pop(key, None)
            else:
                changed[key] = value
            # Another id for each, so that none is a duplicate of another.
            if isinstance(changed.get("id"), str):
                changed["id"] = f"{changed['id']}-{number}"
            if key == "amount" and value == 0:
                changed.pop("categories")
            if key == "subject" and value == "c-1":
                changed["customer_id"] = "c-1"
            yield changed, *rest
            if key not in ("id", "source"):
                yield structured(changed), *rest
