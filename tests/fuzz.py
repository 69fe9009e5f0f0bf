"""Bodies of requests gone wrong: good ones, changed at random, the same at every run of a seed."""

import random
from collections.abc import Iterator

FORMS = [
    b"event_name=calls&payload[stripe_customer_id]=cus_1&payload[value]=25&identifier=a-1&timestamp=1767225600",
    b"items[0][price]=price_1&items[1][price_data][recurring][interval]=month&items[1][quantity]=2&customer=cus_1",
    b"display_name=M&event_name=e&default_aggregation[formula]=sum&customer_mapping[type]=by_id&expand[]=a&expand[]=b.c",
    b"metadata[k]=a%2Bb%26c%3Dd&metadata[7]=x&name=Ada+L%C3%A9v%C3%AA&email=&address[line1]=1%20Main",
    b"i[][p]=x&i[][q]=2&i[][p]=y&created[gte]=1&created[lt]=2&limit=3",
]
JSONS = [
    b'{"events": [{"event_name": "calls", "payload": {"stripe_customer_id": "cus_1", "value": "25"}}, {"a": "b"}]}',
    b'{"event_name": "calls", "payload": {"stripe_customer_id": "cus_1", "value": "1e3"}, "timestamp": '
    b'"2026-01-01T00:00:00.000Z"}',
    b'{"a": [1, -2, true, false, null, "\\u00e9\\ud83d\\ude00", {"b": [[], {}]}], "": 9223372036854775807}',
    b"{}",
]
PIECES = [
    b"[", b"]", b"[]", b"[0]", b"[1000]", b"[x]", b"=", b"&", b"%", b"%00", b"%zz", b"%C3", b"+", b"\x00", b"\xff",
    b"{", b"}", b'"', b"\\", b"\\u0000", b"\\ud800", b":", b",", b"NaN", b"Infinity", b"-0", b"1.5", b"1e999",
    b"9" * 400, b"\xc3\xa9",
    b'"a": 1, "a": 2', b"\n", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"null", b"'", b"--", b";",
]  # fmt: skip
LONGEST = 256 * 1024


def bodies(seeds: list[bytes], count: int, *, changes: int) -> Iterator[bytes]:
    """`count` bodies, each one of `seeds` after one to `changes` changes; one in 500 blown up as far as it may be."""
    draw = random.Random(changes)
    for n in range(count):
        body = draw.choice(seeds)
        for _ in range(draw.randint(1, changes)):
            body = _changed(body, draw, seeds)
        yield _blown_up(body, draw) if n % 500 == 0 else body[:LONGEST]


def _changed(body: bytes, draw: random.Random, seeds: list[bytes]) -> bytes:
    start = draw.randint(0, len(body))
    end = draw.randint(start, min(len(body), start + 40))
    match draw.randrange(7):
        case 0:
            return body[:start] + draw.choice(PIECES) + body[start:]
        case 1:
            return body[:start] + draw.choice(PIECES) + body[end:]
        case 2:
            return body[:start] + body[end:]
        case 3:
            return body[:start] + body[start:end] * draw.randint(2, 30) + body[end:]
        case 4:
            return body[:start] + draw.randbytes(draw.randint(1, 4)) + body[start:]
        case 5:
            other = draw.choice(seeds)
            return body[:start] + other[draw.randint(0, len(other)) :]
        case _:
            return body[:start]


def _blown_up(body: bytes, draw: random.Random) -> bytes:
    """`body` with one piece of it repeated until it is as long as a body may be."""
    start = draw.randint(0, len(body))
    middle = body[start : start + draw.randint(1, 30)] or draw.choice(PIECES)
    return (body[:start] + middle * (LONGEST // len(middle)))[:LONGEST]
