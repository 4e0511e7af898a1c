import {
  CommandAction,
  HubError,
  type Message,
  MessagePriority,
  MessageType,
  SSENotificationSDK,
} from "tidings";
import { indexedDbStore } from "tidings/store";

interface Order {
  id: string;
  state: "paid" | "shipped";
}

declare function freshToken(refused: boolean): Promise<string>;
declare function save(order: Order): Promise<void>;
declare function reload(): Promise<void>;
declare function show(text: string): void;

const sdk = new SSENotificationSDK({
  endpoint: "https://hub.example.com",
  clientId: "alice",
  authToken: ({ refused }) => freshToken(refused),
  topics: ["orders/#"],
  maxReconnectAttempts: Number.POSITIVE_INFINITY,
  store: indexedDbStore("alice"),
});

sdk.subscribe<Order>([MessageType.JSON], async ({ payload }) => {
  await save(payload);
});
sdk.setDefaultHandlers({
  [MessageType.TEXT]: ({ payload }) => show(payload.content),
  onStateChange: (state) => show(state),
  onReconnecting: (attempt, maxAttempts) => show(`${attempt} of ${maxAttempts}`),
});

sdk.on("gap", reload);
sdk.on("replaced", () => show("open in another window"));
sdk.on("error", ({ code, retryable }) => {
  if (!retryable) {
    show(`the connection has ended: ${code}`);
  }
});

await sdk.ready({ timeout: 10_000 });
await sdk.sendJSON({ id: "42", state: "paid" } satisfies Order, {
  target: "warehouse",
  requireAck: true,
  priority: MessagePriority.HIGH,
  callback: { onTimeout: ({ id }) => show(`${id} is late`) },
  timeout: 60_000,
});

try {
  await sdk.subscribeTopic("prices/+");
} catch (error) {
  show(error instanceof HubError ? error.code : "unknown");
}

const report = sdk.command<{ url: string }>("report", { year: 2026 });
for await (const { progress } of report.progress()) {
  show(`${progress} %`);
}
show((await report.result).url);

const id: string = await sdk.sendCommand(CommandAction.EXECUTE, { year: 2026 }, { requireAck: true });
await sdk.cancelTask(id);

const controller = new AbortController();
for await (const message of sdk.messages<Order>({ types: [MessageType.JSON], signal: controller.signal })) {
  const order: Message<Order> = message;
  if (order.payload.state === "shipped") {
    controller.abort();
  }
}

sdk.dispose();

// Another client that runs commands.
const worker = new SSENotificationSDK({ endpoint: "https://hub.example.com", clientId: "worker" });
worker.subscribe([MessageType.COMMAND], async ({ source, payload: { commandId, params } }) => {
  const target = source;
  await worker.send({ type: MessageType.PROGRESS, target, payload: { taskId: commandId, progress: 50 } });
  await worker.sendJSON({ commandId, result: { pages: params.pages } }, { target });
});
