#!/usr/bin/env python3
"""A payment service in Python that knows nothing of Ringmaster but JSON: the same rules as the Rust one.

    pip install confluent-kafka
    python3 payment.py localhost:9092 payment.db [5000.00]        (brokers, ledger, decline above)

It takes the place of the Rust service (one of them at a time), with commands in JSON: setting `participants.payment.encoding = "json"`.
Money: sqlite3 payment.db 'SELECT sum(amount) FROM charges WHERE NOT refunded'  (hundredths)
"""
import json, sqlite3, sys
from decimal import Decimal
from confluent_kafka import Consumer, Producer

bootstrap, ledger, decline_above = (sys.argv[1:] + ["5000.00"])[:3]
db = sqlite3.connect(ledger)
db.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT)")
db.execute("CREATE TABLE IF NOT EXISTS charges (key TEXT PRIMARY KEY, amount INTEGER, refunded INTEGER DEFAULT 0)")


def answer(meta, body):
    key, undoes = meta["idempotency_key"], meta.get("undoes")
    known = db.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
    if known:  # a repeat
        return json.loads(known[0])
    if undoes:  # gives back what was charged; a charge that comes after its refund is refused
        db.execute("UPDATE charges SET refunded = 1 WHERE key = ?", (undoes,))
        late = {"outcome": "refused", "code": "UNDONE_BEFORE"}
        db.execute("INSERT OR IGNORE INTO answers VALUES (?, ?)", (undoes, json.dumps([late, None])))
        reply = [{"outcome": "succeeded"}, None]
    elif Decimal(body["amount"]) > Decimal(decline_above):
        reply = [{"outcome": "refused", "code": "CARD_DECLINED"}, None]
    else:
        db.execute("INSERT INTO charges (key, amount) VALUES (?, ?)", (key, int(Decimal(body["amount"]) * 100)))
        reply = [{"outcome": "succeeded"}, {"charge_id": "chg-" + body["order_id"]}]
    db.execute("INSERT INTO answers VALUES (?, ?)", (key, json.dumps(reply)))
    return reply


consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "ringmaster.participant.payment", "session.timeout.ms": 6000,
                     "enable.auto.commit": False, "auto.offset.reset": "earliest"})
consumer.subscribe(["payment.commands"])
producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
while True:
    replies = []
    for record in consumer.consume(500, timeout=0.05):
        if record.error():
            print(record.error(), file=sys.stderr)
            continue
        command = json.loads(record.value())
        meta, (reply, result) = command["meta"], answer(command["meta"], command["body"])
        reply |= {"idempotency_key": meta["idempotency_key"], "attempt": meta["attempt"]}
        replies.append((meta, record.key(), json.dumps({"meta": reply, "body": result})))
    db.commit()  # first remember, then reply, then never read it again
    for meta, key, value in replies:
        producer.produce(meta["reply_to"], value, key=key, partition=meta["reply_partition"])
    if producer.flush() == 0 and replies:
        consumer.commit(asynchronous=False)
