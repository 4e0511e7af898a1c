//! What is measured, beside whom, and what has to come out.

/// One workload of the load tool, as the runner uses it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// Whoever of these can be had is measured in turns with the hub.
    pub(crate) peers: &'static [&'static str],
    pub(crate) seconds: f64,
    /// Further options of the load tool.
    pub(crate) options: &'static [&'static str],
    /// The figure that the chart shows and that ratios are made of.
    pub(crate) figure: Figure,
}

/// A number in the answer of the load tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    /// Names from the outside in, separated by `.`.
    pub(crate) path: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) more_is_better: bool,
}

/// One goal: a figure of the hub, by itself or as a ratio to a peer's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) workload: &'static str,
    pub(crate) figure: Figure,
    pub(crate) against: Option<&'static str>,
    pub(crate) must: f64,
    pub(crate) aim: Option<f64>,
}

const fn more(path: &'static str, unit: &'static str) -> Figure {
    Figure {
        path,
        unit,
        more_is_better: true,
    }
}

const fn less(path: &'static str, unit: &'static str) -> Figure {
    Figure {
        path,
        unit,
        more_is_better: false,
    }
}

const DELIVERIES: Figure = more("deliveries_per_s", "deliveries/s");
const MESSAGES: Figure = more("messages_per_s", "messages/s");
const UNICAST: Figure = more("deliveries_per_s", "messages/s");
const CPU: Figure = less("server_cpu_percent", "% of a core");
const P99: Figure = less("latency_ms.p99", "ms p99");
const PSS: Figure = less("pss_per_connection_bytes", "B/connection");
const CPU_RATIO: Figure = less("cpu_ratio", "x CPU of the others alone");
const P99_RATIO: Figure = less("p99_ratio", "x p99 of the others alone");
const GROWTH: Figure = less("pss_growth_bytes", "B more");

const FAN: &[&str] = &[
    "raw",
    "nchan",
    "axum",
    "express",
    "centrifugo",
    "mercure",
    "durable-streams",
];
const UNICASTERS: &[&str] = &[
    "nchan",
    "axum",
    "express",
    "centrifugo",
    "mercure",
    "durable-streams",
];
const NOBODY: &[&str] = &[];
const HEARTBEAT: &[&str] = &["--heartbeat", "5000"];

const fn fan(name: &'static str, what: &'static str) -> Workload {
    Workload {
        name,
        what,
        peers: FAN,
        seconds: 2.5,
        options: &[],
        figure: DELIVERIES,
    }
}

pub(crate) const WORKLOADS: &[Workload] = &[
    fan("fan1k-o1", "fan-out to 1,000, one message at a time"),
    fan(
        "fan1k-w16",
        "fan-out to 1,000, at most 16 messages outstanding",
    ),
    fan(
        "fan1k-w64",
        "fan-out to 1,000, at most 64 messages outstanding",
    ),
    fan("fan10k-o1", "fan-out to 10,000, one message at a time"),
    fan(
        "fan10k-w8",
        "fan-out to 10,000, at most 8 messages outstanding",
    ),
    Workload {
        name: "rate50",
        what: "50 messages a second to 1,000",
        peers: FAN,
        seconds: 5.0,
        options: &[],
        figure: P99,
    },
    Workload {
        name: "unicast",
        what: "each message to one of 1,000",
        peers: UNICASTERS,
        seconds: 2.5,
        options: &[],
        figure: UNICAST,
    },
    Workload {
        name: "publish-single",
        what: "single publish, 256 connections, nobody listens",
        peers: &["axum-sink", "centrifugo", "mercure", "durable-streams"],
        seconds: 2.5,
        options: &[],
        figure: MESSAGES,
    },
    Workload {
        name: "publish-batch",
        what: "100 messages in a request, 16 connections, nobody listens",
        peers: &["store", "axum-sink", "centrifugo", "durable-streams"],
        seconds: 2.5,
        options: &[],
        figure: MESSAGES,
    },
    Workload {
        name: "idle10k",
        what: "10,000 idle connections, a heartbeat every 5 s where there is one",
        peers: FAN,
        seconds: 10.0,
        options: HEARTBEAT,
        figure: PSS,
    },
    Workload {
        name: "idle18k",
        what: "18,000 idle connections, a heartbeat every 5 s where there is one",
        peers: &["raw", "nchan", "axum", "durable-streams"],
        seconds: 5.0,
        options: HEARTBEAT,
        figure: PSS,
    },
    Workload {
        name: "after-load",
        what: "10,000 connections, idle after saturated fan-out to 1,000 and to 10,000",
        peers: &["nchan", "axum", "durable-streams"],
        seconds: 2.0,
        options: &[],
        figure: PSS,
    },
    Workload {
        name: "connect10k",
        what: "a burst of 10,000 connections",
        peers: &["raw", "nchan", "axum", "express", "durable-streams"],
        seconds: 2.5,
        options: &[],
        figure: more("connects_per_s", "connects/s"),
    },
    Workload {
        name: "reconnect",
        what: "1,000 clients come back, each missed 100 messages",
        peers: &["nchan", "mercure"],
        seconds: 2.5,
        options: &[],
        figure: less("all_caught_up_s", "s until all have all"),
    },
    Workload {
        name: "slow-tenth",
        what: "900 fast readers beside 100 slow ones, against the 900 alone",
        peers: NOBODY,
        seconds: 8.0,
        options: &[],
        figure: P99_RATIO,
    },
    Workload {
        name: "catch-up",
        what: "1,000 live readers beside 20 that read 100 MB of history each, against the 1,000 alone",
        peers: NOBODY,
        seconds: 5.0,
        options: &[],
        figure: P99_RATIO,
    },
    Workload {
        name: "memory-twice",
        what: "1,000,000 messages and 10,000 connects and disconnects, twice",
        peers: NOBODY,
        seconds: 2.5,
        options: &[],
        figure: less("pss_ratio", "x memory after the first time"),
    },
];

const fn goal(
    workload: &'static str,
    figure: Figure,
    against: &'static str,
    must: f64,
    aim: f64,
) -> Goal {
    Goal {
        workload,
        figure,
        against: Some(against),
        must,
        aim: Some(aim),
    }
}

const fn alone(workload: &'static str, figure: Figure, must: f64, aim: Option<f64>) -> Goal {
    Goal {
        workload,
        figure,
        against: None,
        must,
        aim,
    }
}

const MIB: f64 = 1024.0 * 1024.0;

pub(crate) const GOALS: &[Goal] = &[
    goal("fan1k-o1", DELIVERIES, "nchan", 1.3, 1.3),
    goal("fan1k-o1", DELIVERIES, "raw", 0.85, 0.95),
    goal("fan1k-w64", DELIVERIES, "nchan", 10.0, 15.0),
    goal("fan1k-w64", DELIVERIES, "axum", 1.5, 2.0),
    goal("fan10k-w8", DELIVERIES, "nchan", 7.0, 10.0),
    goal("fan10k-w8", DELIVERIES, "axum", 1.3, 1.6),
    goal("rate50", CPU, "raw", 1.25, 1.1),
    goal("rate50", P99, "nchan", 0.8, 0.65),
    goal("unicast", UNICAST, "nchan", 0.8, 1.2),
    goal("publish-single", MESSAGES, "axum-sink", 0.6, 0.8),
    goal("publish-batch", MESSAGES, "store", 0.5, 0.7),
    alone("idle10k", PSS, 1024.0, Some(512.0)),
    goal("idle10k", CPU, "raw", 1.5, 1.5),
    alone("after-load", PSS, 4096.0, Some(1024.0)),
    goal(
        "reconnect",
        less("all_caught_up_s", "s until all have all"),
        "nchan",
        0.4,
        0.2,
    ),
    alone("slow-tenth", CPU_RATIO, 1.2, Some(1.05)),
    alone("slow-tenth", P99_RATIO, 1.5, Some(1.05)),
    alone("slow-tenth", GROWTH, 64.0 * MIB, None),
    alone("catch-up", CPU_RATIO, 1.2, Some(1.05)),
    alone("catch-up", P99_RATIO, 1.5, Some(1.05)),
    alone("catch-up", GROWTH, 64.0 * MIB, None),
    // A SYN that was lost is sent again after a second.
    alone(
        "connect10k",
        less("connect_ms.max", "ms, the slowest connect"),
        999.0,
        None,
    ),
    goal(
        "connect10k",
        more("connects_per_s", "connects/s"),
        "nchan",
        0.8,
        1.0,
    ),
    alone(
        "memory-twice",
        less("pss_ratio", "x memory after the first time"),
        1.1,
        None,
    ),
];
