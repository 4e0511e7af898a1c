const ONE: ReadonlySet<string> = new Set(["+", "*"]);
const REST: ReadonlySet<string> = new Set(["#", "**"]);

/** Whether a topic is one of a pattern's: `+` and `*` are one level, `#` and `**` at the end all the rest, also nothing. */
export function matches(pattern: string, topic: string): boolean {
  const wanted = pattern.split("/");
  const levels = topic.split("/");
  for (const [i, level] of wanted.entries()) {
    if (i === wanted.length - 1 && REST.has(level)) {
      return levels.length >= i;
    }
    if (i >= levels.length || (level !== levels[i] && !ONE.has(level))) {
      return false;
    }
  }
  return levels.length === wanted.length;
}

/** Returns the rule that a topic, or with `wildcards` a pattern, breaks. */
export function brokenRule(text: string, wildcards: boolean): string | undefined {
  const levels = text.split("/");
  for (const [i, level] of levels.entries()) {
    if (level === "" || level === "." || level === "..") {
      return "must not have an empty level, `.` or `..`";
    }
    if (level.includes(",")) {
      return "must not contain `,`";
    }
    const last = i === levels.length - 1;
    const wild = wildcards && (ONE.has(level) || (last && REST.has(level)));
    if (/[+*#]/.test(level) && !wild) {
      return wildcards ? "must have wildcards as whole levels, `#` last" : "must not contain `+`, `*` or `#`";
    }
  }
  return undefined;
}
