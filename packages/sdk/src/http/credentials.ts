/** The headers of every request, streams included; the one owner of the token. */
export interface Credentials {
  /** `Authorization` and the application's own headers. Functions are called anew each time. */
  headers(signal?: AbortSignal): Promise<Record<string, string>>;
  /**
   * Called after a 401 with the headers of the refused request.
   *
   * One refresh serves all callers, and none is made when the token has changed since that request. Resolves to whether
   * another attempt can do better: `false` when the token is fixed text that was refused. Rejects as the function did.
   */
  refresh(refused: Record<string, string>): Promise<boolean>;
  set(token: string): void;
  clear(): void;
}
