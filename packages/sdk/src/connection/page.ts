import type { Page } from "../env.ts";

export interface PageWatcher {
  /** The page may have missed something. `shown`: its user is back. */
  onWake(shown: boolean): void;
  onOnline(): void;
  onOffline(): void;
  onHidden(): void;
  /** The page is left, for good or for the back-forward cache. */
  onLeave(): void;
}

/** Returns what ends it. `unload` is left alone: it would keep the page out of the back-forward cache. */
export function watchPage(page: Page, watcher: PageWatcher): () => void {
  const ends = [
    page.listen("visible", () => watcher.onWake(true)),
    page.listen("pageshow", () => watcher.onWake(true)),
    page.listen("resume", () => watcher.onWake(page.visible())),
    page.listen("online", () => watcher.onOnline()),
    page.listen("offline", () => watcher.onOffline()),
    page.listen("hidden", () => watcher.onHidden()),
    page.listen("pagehide", () => watcher.onLeave()),
  ];
  return () => {
    for (const end of ends) {
      end();
    }
  };
}
