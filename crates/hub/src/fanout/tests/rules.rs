use tidings_store::{Keep, Options, Retention, Subject};

use super::super::opening::Since;
use super::world::{Client, World, mailbox, record, settings, topic};

const LOW: u8 = 0;
const NORMAL: u8 = 1;
const HIGH: u8 = 2;
const CRITICAL: u8 = 3;

/// One commit each, so that they could arrive at different times.
fn publish_each(
    world: &mut World,
    subject: &Subject,
    priority: u8,
    ids: impl IntoIterator<Item = String>,
    size: usize,
) {
    for id in ids {
        world.publish(vec![record(subject.clone(), "s", &id, priority, size)]);
    }
}

/// Retention keeps so many of each class, and the ring next to nothing.
fn keeping(count: u64) -> World {
    let keep = Keep {
        count,
        ..Keep::default()
    };
    let options = Options {
        retention: Retention::from_fn(|_| keep),
        ..Options::default()
    };
    let settings = Settings {
        ring_bytes_max: 1,
        ..settings()
    };
    World::with_store(settings, options)
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

#[test]
fn what_fits_into_one_write_goes_in_position_order_whatever_its_priority() {
    let mut world = World::new(settings());
    let mut client = Client::new("alice", &["t"]);
    world.connect(&mut client, None);
    world.settle();
    publish_each(&mut world, &topic("t"), LOW, names("low", 2), 10);
    publish_each(&mut world, &topic("t"), CRITICAL, names("critical", 1), 10);
    world.read_all(&mut client);
    assert_eq!(client.ids(), ["low0", "low1", "critical0"]);
}

#[test]
fn a_critical_message_overtakes_a_live_backlog_and_its_cursor_says_so() {
    let mut world = World::new(settings());
    let mut client = Client::new("alice", &["t"]);
    world.connect(&mut client, None);
    world.settle();
    publish_each(&mut world, &topic("t"), NORMAL, names("normal", 20), 300);
    publish_each(&mut world, &topic("t"), CRITICAL, names("critical", 1), 10);
    world.make_room(&client, 100);
    world.settle();
    client.read();
    world.read_all(&mut client);
    assert_eq!(client.ids()[0], "critical0");
    assert!(
        client.received[0].cursor.contains('+'),
        "{}",
        client.received[0].cursor
    );
    assert_eq!(client.ids()[1..], names("normal", 20));
    assert!(!client.received.last().expect("some").cursor.contains('+'));
}

#[test]
fn at_most_64_messages_are_ahead_and_then_the_oldest_goes_next() {
    let mut world = World::new(Settings {
        pending_max: 200,
        ring_frames_max: 1_000,
        ring_bytes_max: 1 << 20,
        ..settings()
    });
    let mut client = Client::new("alice", &["t"]);
    world.connect(&mut client, None);
    world.settle();
    publish_each(&mut world, &topic("t"), NORMAL, names("normal", 3), 300);
    publish_each(&mut world, &topic("t"), CRITICAL, names("critical", 70), 40);
    world.read_all(&mut client);
    let first_normal = client
        .ids()
        .iter()
        .position(|id| *id == "normal0")
        .expect("arrives");
    assert_eq!(first_normal, 64);
    assert_eq!(client.received.len(), 73);
    let most = client
        .received
        .iter()
        .map(|seen| seen.cursor.matches('+').count())
        .max();
    assert_eq!(most, Some(64));
}

#[test]
fn a_critical_message_overtakes_a_backlog_that_is_read_from_history() {
    let mut world = World::new(settings());
    let mut client = Client::new("alice", &["t"]);
    publish_each(&mut world, &topic("t"), NORMAL, names("normal", 1_000), 300);
    world.connect(&mut client, Some(Since::Earliest));
    world.make_room(&client, 5_000);
    world.settle();
    client.read();
    publish_each(&mut world, &topic("t"), CRITICAL, names("critical", 1), 10);
    world.read_all(&mut client);
    let at = client
        .ids()
        .iter()
        .position(|id| *id == "critical0")
        .expect("arrives");
    assert!(at < 30, "came after {at} others");
    assert_eq!(client.received.len(), 1_001);
}

#[test]
fn a_critical_message_stored_while_away_overtakes_the_backlog_on_return() {
    let mut world = World::new(settings());
    let mut client = Client::new("alice", &["t"]);
    publish_each(&mut world, &topic("t"), NORMAL, names("normal", 500), 300);
    publish_each(&mut world, &topic("t"), HIGH, names("high", 1), 10);
    publish_each(&mut world, &topic("t"), CRITICAL, names("critical", 1), 10);
    publish_each(&mut world, &topic("t"), NORMAL, names("later", 500), 300);
    world.connect(&mut client, Some(Since::Earliest));
    world.read_all(&mut client);
    assert_eq!(client.ids()[..2], ["critical0", "high0"]);
    assert_eq!(client.received.len(), 1_002);
}

#[test]
fn a_reconnect_right_after_an_overtaking_message_loses_nothing_and_repeats_nothing() {
    let mut world = World::new(settings());
    let mut client = Client::new("alice", &["t"]);
    publish_each(&mut world, &topic("t"), NORMAL, names("normal", 200), 300);
    publish_each(&mut world, &topic("t"), CRITICAL, names("critical", 1), 10);
    world.connect(&mut client, Some(Since::Earliest));
    while !client.ids().contains(&"critical0") {
        world.make_room(&client, 50);
        world.settle();
        client.read();
    }
    world.cut(&mut client);
    world.connect(&mut client, None);
    world.read_all(&mut client);
    let mut ids = client.ids();
    assert_eq!(ids.len(), 201, "each once");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 201);
}

#[test]
fn shared_messages_never_go_before_an_unread_mailbox_and_count_from_now() {
    let mut world = World::new(settings());
    let mut client = Client::new("alice", &["t"]);
    publish_each(&mut world, &topic("t"), NORMAL, names("before", 3), 10);
    publish_each(
        &mut world,
        &mailbox("alice"),
        NORMAL,
        names("mail", 200),
        100,
    );
    world.connect(&mut client, None);
    world.settle();
    publish_each(&mut world, &topic("t"), NORMAL, names("after", 2), 10);
    world.read_all(&mut client);
    let expected: Vec<_> = names("mail", 200)
        .into_iter()
        .chain(names("after", 2))
        .collect();
    assert_eq!(client.ids(), expected);
    let dotted = client
        .received
        .iter()
        .filter(|seen| seen.cursor.contains('.'))
        .count();
    assert!(dotted > 0, "the two starts are both in the cursor");
}

#[test]
fn a_loss_in_a_topic_does_not_skip_a_mailbox_that_is_read_from_further_on() {
    let mut world = keeping(3);
    for n in 0..8 {
        publish_each(&mut world, &topic("t"), NORMAL, [format!("topic{n}")], 10);
        publish_each(
            &mut world,
            &mailbox("alice"),
            NORMAL,
            [format!("mail{n}")],
            10,
        );
    }
    publish_each(&mut world, &topic("t"), NORMAL, ["topic8".into()], 10);
    world.trim();
    let mut client = Client::new("alice", &["t"]);
    world.connect(&mut client, Some(Since::Earliest));
    world.read_all(&mut client);
    let expected = ["mail5", "topic6", "mail6", "topic7", "mail7", "topic8"];
    assert_eq!(client.ids(), expected);
    assert_eq!(
        client.gaps, 1,
        "what is gone of the mailbox is said; the topic was asked for as far as it is kept"
    );
}

#[test]
fn a_loss_in_the_mailbox_is_told_though_a_newer_one_in_a_topic_is_known() {
    let mut world = keeping(3);
    let mut client = Client::new("alice", &["t"]);
    publish_each(&mut world, &mailbox("alice"), NORMAL, names("early", 3), 10);
    publish_each(&mut world, &topic("t"), NORMAL, names("topic", 8), 10);
    world.trim();
    world.connect(&mut client, Some(Since::Earliest));
    publish_each(&mut world, &mailbox("alice"), NORMAL, names("late", 3), 10);
    world.trim();
    world.read_all(&mut client);
    assert_eq!(
        client.ids(),
        ["topic5", "topic6", "topic7", "late0", "late1", "late2"]
    );
    assert_eq!(
        client.gaps, 1,
        "the early ones are gone, and the client is told"
    );
}

#[test]
fn an_ack_of_a_message_of_a_topic_that_overtook_hides_it_from_nobody_who_asks_for_history() {
    let mut world = World::new(settings());
    let mut client = Client::new("alice", &["t"]);
    publish_each(
        &mut world,
        &mailbox("alice"),
        NORMAL,
        names("mail", 20),
        300,
    );
    world.connect(&mut client, None);
    world.make_room(&client, 500);
    world.settle();
    publish_each(&mut world, &topic("t"), CRITICAL, ["of-topic".into()], 10);
    publish_each(
        &mut world,
        &mailbox("alice"),
        CRITICAL,
        ["of-mailbox".into()],
        10,
    );
    while !client.ids().contains(&"of-mailbox") {
        world.make_room(&client, 100);
        world.settle();
        client.read();
    }
    assert_eq!(client.last_id.matches('+').count(), 2, "{}", client.last_id);
    assert!(world.ack(&client));
    world.cut(&mut client);
    let seen = client.received.len();
    let mut later = Client::new("alice", &["t"]);
    world.connect(&mut later, Some(Since::Earliest));
    world.read_all(&mut later);
    assert!(later.ids().contains(&"of-topic"));
    assert_eq!(
        later.received.len(),
        22 - seen + 1,
        "what was acked of the mailbox does not come"
    );
}

#[test]
fn when_as_many_are_ahead_as_may_be_a_live_only_message_still_goes_before_later_ones() {
    let mut world = World::new(Settings {
        pending_max: 200,
        ring_frames_max: 1_000,
        ring_bytes_max: 1 << 20,
        ..settings()
    });
    let mut client = Client::new("alice", &["t"]);
    world.connect(&mut client, None);
    world.settle();
    let mut live_only = record(topic("t"), "s", "live-only", NORMAL, 1);
    live_only.durable = false;
    world.publish(vec![live_only]);
    publish_each(&mut world, &topic("t"), NORMAL, names("normal", 3), 300);
    publish_each(&mut world, &topic("t"), CRITICAL, names("critical", 70), 40);
    world.read_all(&mut client);
    let at = |id| client.ids().iter().position(|seen| *seen == id);
    assert!(at("live-only").expect("arrives") < at("normal0").expect("arrives"));
}

#[test]
fn a_message_that_is_read_and_then_lost_is_not_overtaken_by_a_later_one_of_its_priority() {
    let mut world = keeping(8);
    let mail = mailbox("alice");
    publish_each(&mut world, &mail, HIGH, ["first".into()], 10);
    publish_each(&mut world, &mail, NORMAL, names("normal", 10), 300);
    publish_each(&mut world, &mail, HIGH, ["second".into()], 10);
    publish_each(&mut world, &mail, NORMAL, ["last".into()], 10);
    let mut client = Client::new("alice", &[]);
    world.connect(&mut client, None);
    // One slice is read; then retention takes its beginning.
    world.step();
    world.trim();
    world.read_all(&mut client);
    let high = client.received.iter().filter(|seen| seen.priority == 2);
    let high: Vec<_> = high.map(|seen| seen.id.as_str()).collect();
    assert_eq!(high, ["first", "second"]);
}

#[test]
fn a_live_only_message_does_not_overtake_and_a_connection_that_is_behind_does_not_get_it() {
    let mut world = World::new(settings());
    let mut live = Client::new("alice", &["t"]);
    let mut behind = Client::new("bob", &["t"]);
    world.connect(&mut live, None);
    world.connect(&mut behind, None);
    world.make_room(&live, 1 << 16);
    world.settle();
    publish_each(&mut world, &topic("t"), NORMAL, names("normal", 40), 100);
    world.settle();
    let mut record = record(topic("t"), "s", "live-only", NORMAL, 1);
    record.durable = false;
    world.publish(vec![record]);
    publish_each(&mut world, &topic("t"), NORMAL, names("later", 1), 100);
    world.read_all(&mut live);
    world.read_all(&mut behind);
    let expected: Vec<_> = names("normal", 40)
        .into_iter()
        .chain(["live-only".into()])
        .chain(names("later", 1))
        .collect();
    assert_eq!(live.ids(), expected);
    let expected: Vec<_> = names("normal", 40)
        .into_iter()
        .chain(names("later", 1))
        .collect();
    assert_eq!(behind.ids(), expected);
}

#[test]
fn a_message_whose_time_to_live_has_passed_is_not_sent() {
    let mut world = World::new(settings());
    let mut client = Client::new("alice", &["t"]);
    world.connect(&mut client, None);
    world.settle();
    let mut short = record(topic("t"), "s", "short", NORMAL, 1);
    short.ttl_ms = Some(1);
    world.publish(vec![short, record(topic("t"), "s", "kept", NORMAL, 1)]);
    world.now.wall_ms = super::super::clock::Clock::wall_ms() + 10_000;
    world.read_all(&mut client);
    assert_eq!(client.ids(), ["kept"]);
}

#[test]
fn a_batch_that_a_full_inbox_refused_is_read_from_history() {
    let mut world = World::new(settings());
    let mut client = Client::new("alice", &["t"]);
    world.connect(&mut client, None);
    world.settle();
    world.append(vec![record(topic("t"), "s", "missed", NORMAL, 1)]);
    world.miss();
    publish_each(&mut world, &topic("t"), NORMAL, names("later", 1), 1);
    world.read_all(&mut client);
    assert_eq!(client.ids(), ["missed", "later0"]);
}

#[test]
fn a_stream_without_heartbeats_gets_comments_which_no_client_sees_as_events() {
    let mut world = World::new(settings());
    let mut client = Client::new("alice", &[]);
    client.heartbeat_ms = 0;
    world.connect(&mut client, None);
    world.settle();
    world.now.mono_ms += 26_000;
    world.shard.advance(world.now);
    world.make_room(&client, 1_000);
    world.settle();
    assert_eq!(client.raw(), b": \n\n");
}

#[test]
fn a_socket_that_takes_nothing_is_closed_after_the_write_timeout() {
    let mut world = World::new(settings());
    let mut client = Client::new("alice", &["t"]);
    world.connect(&mut client, None);
    world.settle();
    publish_each(&mut world, &topic("t"), NORMAL, names("normal", 1), 100);
    world.settle();
    world.now.mono_ms += settings().timing.write_timeout_ms - 100;
    world.shard.advance(world.now);
    assert_eq!(world.shard.len(), 1);
    world.now.mono_ms += 200;
    world.shard.advance(world.now);
    assert_eq!(world.shard.len(), 0);
}

use super::super::settings::Settings;
