// The application of the scenarios, the same in Node and in a page.

import { MessageType, SSENotificationSDK } from "../../src/index.ts";
import { indexedDbStore } from "../../src/store/index.ts";

export interface AppConfig {
  endpoint: string;
  /** Of the client and of its store. */
  clientId: string;
  connectionTimeout?: number;
  livenessTimeout?: number;
  /** The token comes from the world around. */
  withToken?: boolean;
}

/** What a scenario may ask of the application, wherever it runs. */
export class App {
  readonly #token: () => Promise<string>;
  #sdk: SSENotificationSDK | undefined;
  #seen: unknown[] = [];
  #errors: string[] = [];
  #clientId = "";

  constructor(token: () => Promise<string>) {
    this.#token = token;
  }

  open({ withToken, ...config }: AppConfig): void {
    this.#clientId = config.clientId;
    const sdk = new SSENotificationSDK({
      ...config,
      topics: [`${config.clientId}/#`],
      authToken: withToken ? this.#token : undefined,
      store: indexedDbStore(config.clientId),
      heartbeatInterval: 500,
      reconnectBaseDelay: 20,
      reconnectMaxDelay: 100,
      maxReconnectAttempts: Number.POSITIVE_INFINITY,
    });
    sdk.subscribe([MessageType.JSON], ({ payload }) => {
      this.#seen.push(payload);
    });
    sdk.on("error", (error) => this.#errors.push((error as { code?: string }).code ?? error.message));
    this.#sdk = sdk;
  }

  /** Sends, and does not wait: a reload may come first. */
  send(payload: unknown): void {
    this.#sdk?.sendJSON(payload, { topic: `${this.#clientId}/sent` }).catch(() => {});
  }

  /** The payloads that reached the handler, but those that the application sent itself. */
  seen(): unknown[] {
    return this.#seen.filter((payload) => !String(payload).startsWith("sent"));
  }

  errors(): string[] {
    return this.#errors;
  }

  state(): string {
    return String(this.#sdk?.getConnectionState());
  }

  /** What its store has for the next page. */
  async stored(): Promise<{ outbox: number; cursor: string | undefined }> {
    const { outbox, cursor } = await indexedDbStore(this.#clientId).load();
    return { outbox: outbox.length, cursor };
  }

  dispose(): void {
    this.#sdk?.dispose();
  }
}
