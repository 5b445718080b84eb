//! API keys: made on a directory before a server has it, and through the server afterwards.

use crate::in_both_places_without_a_model;
use crate::support::{Scratch, Server};

#[test]
fn keys_are_made_listed_turned_and_taken_back() {
    in_both_places_without_a_model(|scratch, place| {
        let grant = "read on notes where tenant = $claims.tenant";
        let arguments =
            ["key", "create", "shop", "--grant", grant, "--claim", "tenant=a", "--expires", "90d"];
        let made = scratch.json(place, &arguments);
        let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
        assert!(secret.starts_with(&format!("rsk_{id}_")), "{made}");
        let listed = scratch.json(place, &["key", "list"]);
        assert_eq!((&listed["keys"][0]["id"], &listed["keys"][0]["grants"][0]), (&made["id"], &grant.into()));
        assert_eq!(listed["keys"][0]["claims"]["tenant"], "a");
        assert!(!listed.to_string().contains(secret), "nobody is told again");
        let turned = scratch.json(place, &["key", "rotate", id, "--keep", "1d"]);
        assert!(turned["secret"] != made["secret"] && turned["previous_until"].is_string());
        assert_eq!(scratch.json(place, &["key", "revoke", id])["revoked"], id);
        scratch.fails(place, &["key", "revoke", id], &[id, "does not exist"]);
        scratch.fails(place, &["key", "create", "x", "--grant", "fly"], &["grants[0]", "read"]);
    });
}

#[test]
fn a_server_that_asks_is_used_with_a_key() {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    let made = scratch.json(&["--data", &data], &["key", "create", "operator", "--grant", "admin"]);
    let key = made["secret"].as_str().unwrap();
    let server = Server::start_with(&data, &["--auth"]);
    let url = server.url();
    scratch.fails(&["--url", &url], &["collection", "list"], &["Bearer"]);
    scratch.fails(&["--url", &url, "--api-key", "wrong"], &["collection", "list"], &["not good"]);
    let place = ["--url", &url, "--api-key", key];
    scratch.json(&place, &["collection", "create", "notes", "--dimension", "2"]);
    assert_eq!(scratch.json(&place, &["collection", "list"])["collections"][0]["name"], "notes");
}
