import { expect, test } from "vitest";
import { VirtualClock } from "../../src/testing/index.ts";

test("timers run at their moment, in their order, and promises settle between them", async () => {
  const clock = new VirtualClock(1000);
  const ran: string[] = [];
  const note = (name: string) => ran.push(`${name} ${clock.now()}`);
  clock.setTimeout(() => note("late"), 30);
  clock.setTimeout(() => {
    note("first");
    Promise.resolve()
      .then(() => {})
      .then(() => note("after first"));
  }, 10);
  clock.setTimeout(() => note("second"), 10);
  clock.clearTimeout(clock.setTimeout(() => note("never"), 5));
  await clock.advance(20);
  expect(ran).toEqual(["first 1010", "after first 1010", "second 1010"]);
  expect(clock.now()).toBe(1020);
  expect(clock.timers()).toBe(1);
  await clock.advance(10);
  expect(ran.at(-1)).toBe("late 1030");
  expect(clock.timers()).toBe(0);
});

test("a timer set by a timer runs in the same advance when it is due by its end", async () => {
  const clock = new VirtualClock(0);
  const at: number[] = [];
  const tick = () => {
    at.push(clock.now());
    clock.setTimeout(tick, 10);
  };
  clock.setTimeout(tick, 10);
  await clock.advance(35);
  expect(at).toEqual([10, 20, 30]);
});

test("after a sleep of the computer overdue timers run late, once", async () => {
  const clock = new VirtualClock(0);
  const at: number[] = [];
  clock.setTimeout(() => at.push(clock.now()), 10);
  await clock.sleep(5000);
  expect(at).toEqual([5000]);
});

test("timers of the hub's side run and are not counted", async () => {
  const clock = new VirtualClock(0);
  let ran = 0;
  clock.background(() => {
    ran += 1;
  }, 10);
  clock.background(() => {
    ran += 100;
  }, 10)();
  expect(clock.timers()).toBe(0);
  await clock.advance(10);
  expect(ran).toBe(1);
});
