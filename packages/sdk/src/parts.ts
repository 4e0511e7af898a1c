import { type Commands, createCommands } from "./commands/commands.ts";
import type { Settings } from "./config.ts";
import { type Connection, createConnection } from "./connection/connection.ts";
import type { Emitter, SdkEvents } from "./emitter.ts";
import type { Env } from "./env.ts";
import type { HubError } from "./errors.ts";
import { createApi } from "./http/api.ts";
import type { Credentials } from "./http/credentials.ts";
import { createAcks } from "./inbox/acks.ts";
import { EventDispatcher } from "./inbox/dispatcher.ts";
import { createInbox, HANDLER_RETRY_DELAYS, HUB } from "./inbox/inbox.ts";
import { createOutbox, type Outbox } from "./outbox/outbox.ts";
import { Queue } from "./outbox/queue.ts";
import { type ChangeTopic, createTopics } from "./topics.ts";
import { MessageType, type ProgressMessage, type ReceiptMessage } from "./types.ts";
import { attempt } from "./wait.ts";

/** What outlives a dispose: only what has neither timers nor listeners nor sockets. */
export interface Base {
  env: Env;
  settings: Settings;
  credentials: Credentials;
  emitter: Emitter<SdkEvents>;
}

/** The parts of one life of an SDK. */
export interface Parts extends Base {
  connection: Connection;
  queue: Queue;
  outbox: Outbox;
  dispatcher: EventDispatcher;
  commands: Commands;
  changeTopic: ChangeTopic;
  /** Aborted by dispose. */
  ended: AbortController;
  dispose(): void;
}

/** Builds the parts and joins them. They are idle until the connection is told to connect. */
export function compose(base: Base): Parts {
  const { env, settings, credentials, emitter } = base;
  const { apiUrl, clientId, connectionTimeout, messageQueueSize, store } = settings;
  const api = createApi(env, credentials, apiUrl.href, connectionTimeout);
  const queue = new Queue(messageQueueSize, env);
  const outbox = createOutbox(env, api, queue, settings);
  const commands = createCommands(env, outbox);
  const dispatcher = new EventDispatcher({
    env,
    retryDelays: HANDLER_RETRY_DELAYS,
    onError: (error) => emitter.emit("error", error),
  });
  const acks = createAcks(env, api, settings);
  const inbox = createInbox(dispatcher, acks, clientId, (message) => {
    const { type, source } = message;
    if (type !== MessageType.SYSTEM && type !== MessageType.HEARTBEAT) {
      emitter.emit("message", message);
    }
    if (type === MessageType.PROGRESS || (type === MessageType.ACKNOWLEDGE && source === HUB)) {
      emitter.emit(type, message as ProgressMessage & ReceiptMessage);
    }
    return commands.receive(message);
  });
  const ended = new AbortController();
  let loading: Promise<void> | undefined;
  let unlisten: (() => void)[] = [];
  const load = async (): Promise<void> => {
    const kept = await store?.load();
    if (kept && !ended.signal.aborted) {
      connection.cursor ||= kept.cursor ?? "";
      outbox.restore(kept.outbox);
    }
  };
  const connection = createConnection({
    ...base,
    sink: inbox,
    prepare() {
      if (!unlisten.length) {
        unlisten = (["hidden", "pagehide"] as const).map((event) =>
          env.page.listen(event, () => acks.flush(true)),
        );
      }
      loading ??= load().catch((error) => env.log.warn("the store failed", error));
      return loading;
    },
  });

  queue.onFailure = (error, message) => {
    if (/^(evicted|queue_full)$/.test((error as HubError).code)) {
      emitter.emit("queueOverflow", message);
    }
  };
  emitter.on("stateChange", ({ to }) => outbox.setOnline(to === "connected"));
  emitter.on("connected", ({ idempotencyWindow }) => {
    outbox.idempotencyWindow = idempotencyWindow?.ms ?? outbox.idempotencyWindow;
  });

  return {
    ...base,
    connection,
    queue,
    outbox,
    dispatcher,
    commands,
    changeTopic: createTopics(connection, api, emitter),
    ended,
    dispose() {
      ended.abort();
      connection.disconnect("disposed", "disposed");
      commands.dispose();
      outbox.dispose();
      inbox.dispose();
      for (const end of unlisten) {
        end();
      }
      attempt(env.log, () => store?.close());
      emitter.clear();
    },
  };
}
