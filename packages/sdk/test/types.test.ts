import { expectTypeOf, test } from "vitest";
import type * as sketch from "../src/index.ts";
import { type Message, MessagePriority, MessageType, SSENotificationSDK } from "../src/index.ts";
import type * as wire from "../src/wire/message.ts";

test("the public types are those that the hub's own types are generated from", () => {
  expectTypeOf<`${MessageType}`>().toEqualTypeOf<wire.MessageType>();
  expectTypeOf<`${MessagePriority}`>().toEqualTypeOf<`${wire.Priority}`>();
  expectTypeOf<keyof Message>().toEqualTypeOf<keyof wire.Message>();
});

test("payloads are any by default, and can be named", () => {
  expectTypeOf<Message["payload"]>().toBeAny();
  const subscribe = (sdk: SSENotificationSDK): void => {
    sdk.subscribe([MessageType.JSON], (message) => {
      expectTypeOf(message.payload).toBeAny();
    });
    sdk.subscribe<{ n: number }>([MessageType.JSON], ({ payload }) => {
      expectTypeOf(payload).toEqualTypeOf<{ n: number }>();
    });
  };
  expectTypeOf(subscribe).toBeFunction();
});

test("what a program for the original sketch says still compiles", () => {
  const program = async (config: sketch.SSKSConfig): Promise<void> => {
    const sdk = new SSENotificationSDK(config);
    const id: string = sdk.subscribe(
      [MessageType.TEXT],
      async (message: Message) => console.log(message.payload.content),
      {
        id: "x",
        priority: 1,
        once: true,
      },
    );
    const known: boolean = sdk.unsubscribe(id);
    const command: string = await sdk.sendCommand(
      "execute" as sketch.CommandAction,
      { a: 1 },
      { requireAck: known },
    );
    await sdk.queryProgress(command);
    await sdk.send({
      id: "1",
      type: MessageType.TEXT,
      priority: MessagePriority.LOW,
      timestamp: 0,
      source: "me",
      payload: {},
    });
    sdk.onConnectionChange(
      (state: sketch.ConnectionState, prev: sketch.ConnectionState) => void [state, prev],
    );
    sdk.setDefaultHandlers({ [MessageType.PROGRESS]: () => {}, onError: (error: Error) => void error });
    const { queueSize }: { queueSize: number } = sdk.getStats().queue;
    void queueSize;
  };
  expectTypeOf(program).toBeFunction();
});
