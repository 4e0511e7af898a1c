import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createDecoder, type Decoded, type TooLarge } from "../src/connection/decoder.ts";

interface Case {
  name: string;
  bytes: string;
  eventBytesMax?: number;
  expect: unknown[];
  lastEventId: string;
  retry?: number;
}

const vectors = new URL("../../../conformance/vectors/sse-decode.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(vectors, "utf8")) as { cases: Case[] };

function decode({ eventBytesMax }: Case, chunks: Uint8Array[]): Omit<Case, "name" | "bytes"> {
  const found: { retry?: number } = {};
  const decoder = createDecoder(eventBytesMax ?? 1 << 20, "", (retry) => {
    found.retry = retry;
  });
  const events = chunks.flatMap((chunk) => decoder.feed(chunk));
  return { ...found, expect: events.map(asVector), lastEventId: decoder.lastEventId };
}

function asVector(event: Decoded | TooLarge): unknown {
  return event === "event_too_large"
    ? { error: event }
    : { type: event.name, data: event.data, lastEventId: event.lastEventId };
}

describe.each(cases)("$name", (vector) => {
  const bytes = Uint8Array.from(vector.bytes, (char) => char.charCodeAt(0));
  const { name: _, bytes: __, eventBytesMax: ___, ...expected } = vector;

  test("in one piece and byte by byte", () => {
    expect(decode(vector, [bytes])).toEqual(expected);
    expect(
      decode(
        vector,
        [...bytes].map((byte) => Uint8Array.of(byte)),
      ),
    ).toEqual(expected);
  });

  test("cut in two at every place, with empty chunks between", () => {
    for (let at = 0; at <= bytes.length; at++) {
      const chunks = [bytes.subarray(0, at), new Uint8Array(), bytes.subarray(at)];
      expect(decode(vector, chunks), `cut at ${at}`).toEqual(expected);
    }
  });
});

test("an event in 64,000 chunks comes out whole", () => {
  const decoder = createDecoder(1 << 20, "", () => {});
  decoder.feed(new TextEncoder().encode("data: "));
  const piece = new TextEncoder().encode("0123456789abcdef");
  for (let i = 0; i < 64_000; i++) {
    decoder.feed(piece);
  }
  const [event] = decoder.feed(new TextEncoder().encode("\n\n"));
  expect(event).toMatchObject({ data: "0123456789abcdef".repeat(64_000) });
});
