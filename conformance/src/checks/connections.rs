//! `GET /api/connections`.

use serde_json::{Value, json};

use crate::check::{Claim, checks, ensure, same};
use crate::context::{Client, Context};

checks! {
    "GET /api/connections" {
        Client a_connection_is_listed_with_all_its_members,
        Client connections_are_listed_oldest_first,
        Client a_connection_that_was_closed_leaves_the_list,
        Open in_open_mode_everyone_sees_all,
        Admin a_client_sees_its_own_connections_and_an_admin_sees_all,
    }
}

fn list(client: &Client<'_>) -> Result<Vec<Value>, String> {
    let answer = client.get("/api/connections")?.ok()?;
    answer
        .as_array()
        .cloned()
        .ok_or_else(|| format!("not a list: {answer}"))
}

fn of<'l>(list: &'l [Value], id: &Value) -> Option<&'l Value> {
    list.iter()
        .find(|connection| &connection["connectionId"] == id)
}

fn a_connection_is_listed_with_all_its_members(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topics = [cx.topic("a"), cx.topic("b/+")];
    let mut stream = alice.stream(&format!("topics={}", topics.join(",")))?;
    let id = stream.system("connect")?["connectionId"].take();
    let all = list(&alice)?;
    let connection = of(&all, &id).ok_or("an open stream is not in the list")?;
    same("clientId", &connection["clientId"], &alice.id)?;
    same("topics", &connection["topics"], &json!(topics))?;
    for name in ["createdAt", "lastActiveAt"] {
        let time = connection[name].as_u64().unwrap_or_default();
        ensure!(time > 1_600_000_000_000, "{name} is no time: {connection}");
    }
    for name in ["uptime", "queued"] {
        ensure!(
            connection[name].is_u64(),
            "{name} is no number: {connection}"
        );
    }
    let local = stream
        .socket()
        .local_addr()
        .map_err(|error| error.to_string())?;
    let remote = connection["remoteAddr"].as_str().unwrap_or_default();
    ensure!(
        remote
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok()),
        "remoteAddr is `{remote}`, the socket's is {local}"
    );
    Ok(())
}

fn connections_are_listed_oldest_first(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(alice.stream("")?);
        streams.last_mut().ok_or("none")?.system("connect")?;
    }
    let all = list(&alice)?;
    let times: Vec<u64> = all
        .iter()
        .filter_map(|connection| connection["createdAt"].as_u64())
        .collect();
    same("the number with createdAt", times.len(), all.len())?;
    ensure!(
        times.len() >= 3 && times.is_sorted(),
        "createdAt: {times:?}"
    );
    Ok(())
}

fn a_connection_that_was_closed_leaves_the_list(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let mut closed = alice.stream("")?;
    let mut open = alice.stream("")?;
    let closed_id = closed.system("connect")?["connectionId"].take();
    let open_id = open.system("connect")?["connectionId"].take();
    closed.close();
    while of(&list(&alice)?, &closed_id).is_some() {}
    ensure!(
        of(&list(&alice)?, &open_id).is_some(),
        "the other connection of the client left as well"
    );
    alice.publish(json!({"target": alice.id, "payload": 1}))?;
    open.expect(1).map(drop)
}

fn in_open_mode_everyone_sees_all(cx: &Context<'_>) -> Claim {
    let (alice, bob) = (cx.alice(), cx.bob());
    let (_alices, _) = alice.listen("")?;
    let (_bobs, _) = bob.listen("")?;
    let all = list(&alice)?;
    for client in [&alice, &bob] {
        ensure!(
            all.iter()
                .any(|connection| connection["clientId"] == client.id),
            "{} is not in the list",
            client.id
        );
    }
    Ok(())
}

fn a_client_sees_its_own_connections_and_an_admin_sees_all(cx: &Context<'_>) -> Claim {
    let (alice, admin) = (cx.alice(), cx.bob());
    let (_alices, _) = alice.listen("")?;
    let (_admins, _) = admin.listen("")?;
    let seen =
        |list: &[Value], id: &str| list.iter().any(|connection| connection["clientId"] == id);
    let all = list(&admin)?;
    ensure!(
        seen(&all, &alice.id) && seen(&all, &admin.id),
        "an admin does not see all: {all:?}"
    );
    let own = list(&alice)?;
    ensure!(
        !own.is_empty()
            && own
                .iter()
                .all(|connection| connection["clientId"] == alice.id),
        "{} sees {own:?}",
        alice.id
    );
    Ok(())
}
