//! Keys of a provider that takes its time, fails, or sends too much.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::limits::KEY_SET_BYTES_MAX;
use crate::logs::lines::Lines;

/// A provider that answers when it is told to, and what.
struct Provider {
    url: String,
    asked: Arc<AtomicUsize>,
    answers: Sender<Vec<u8>>,
}

impl Provider {
    fn start() -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (answers, told) = channel::<Vec<u8>>();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4_096];
                let _ = stream.read(&mut request);
                count.fetch_add(1, Ordering::SeqCst);
                let Ok(answer) = told.recv() else { return };
                // A client that went away is no concern of the provider's.
                let _ = stream.write_all(&answer);
            }
        });
        Provider { url, asked, answers }
    }

    fn answer(&self, status: &str, headers: &str, body: &[u8]) {
        let head = format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        self.answers.send([head.as_bytes(), body].concat()).unwrap();
    }

    async fn was_asked(&self, times: usize) {
        while self.asked.load(Ordering::SeqCst) < times {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Those that came while the first one had the set read were told that their tokens are none.
#[tokio::test]
async fn all_who_come_while_the_set_is_read_wait_for_it() {
    let (provider, signer) = (Provider::start(), Signer::new("first"));
    let jwt = Arc::new(jwt_of(&provider.url, Duration::from_secs(300)));
    let verify = |_| {
        let (jwt, token) = (Arc::clone(&jwt), signer.token(&claims()));
        tokio::spawn(async move { jwt.verify(&token).await.map(drop) })
    };
    let calls: Vec<_> = (0..6).map(verify).collect();
    provider.was_asked(1).await;
    provider.answer("200 OK", "", set(&[&signer]).as_bytes());
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(()));
    }
    assert_eq!(provider.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_set_that_cannot_be_read_says_nothing_of_a_token() {
    let (provider, signer) = (Provider::start(), Signer::new("first"));
    let jwt = jwt_of(&provider.url, Duration::from_secs(300));
    provider.answer("500 Broken", "", b"");
    for _ in 0..2 {
        // The second one comes before the set may be read again.
        assert_eq!(jwt.verify(&signer.token(&claims())).await.map(drop), Err(NOT_READ));
    }
    jwt.keys.forget_the_pause();
    provider.answer("200 OK", "", set(&[&signer]).as_bytes());
    assert!(jwt.verify(&signer.token(&claims())).await.is_ok());
}

/// The token in the URL of the set was in the log whenever the provider was away.
#[tokio::test]
async fn a_set_that_cannot_be_read_is_told_of_without_secrets() {
    let (log, provider, signer) = (Lines::begin(), Provider::start(), Signer::new("first"));
    let jwt = jwt_of(&format!("{}?token=swordfish", provider.url), Duration::from_secs(300));
    provider.answer("500 Broken", "", b"");
    assert_eq!(jwt.verify(&signer.token(&claims())).await.map(drop), Err(NOT_READ));
    let text = log.text();
    assert!(text.contains(&format!("{}?token=(redacted)", provider.url)), "{text}");
    assert!(!text.contains("swordfish"), "{text}");
}

/// One call waited for a provider that did not answer, though its key was known.
#[tokio::test]
async fn the_keys_that_are_known_hold_while_the_set_is_read_again() {
    let provider = Provider::start();
    let (first, second) = (Signer::new("first"), Signer::new("second"));
    let jwt = jwt_of(&provider.url, Duration::from_millis(1));
    provider.answer("200 OK", "", set(&[&first]).as_bytes());
    assert!(jwt.verify(&first.token(&claims())).await.is_ok());
    std::thread::sleep(Duration::from_millis(2));
    jwt.keys.forget_the_pause();
    assert!(jwt.verify(&first.token(&claims())).await.is_ok(), "the provider has not answered");
    provider.was_asked(2).await;
    provider.answer("200 OK", "", set(&[&second]).as_bytes());
    assert!(jwt.verify(&second.token(&claims())).await.is_ok(), "it is waited for");
    assert!(jwt.verify(&first.token(&claims())).await.is_err());
}

/// The limit was on what came: 600 KB of zeros in gzip became a gigabyte.
#[tokio::test]
async fn a_set_is_limited_by_what_it_becomes() {
    let (provider, signer) = (Provider::start(), Signer::new("first"));
    let jwt = jwt_of(&provider.url, Duration::from_secs(300));
    let packed = |spaces: usize| {
        let mut writer = GzEncoder::new(Vec::new(), Compression::best());
        writer.write_all(set(&[&signer]).as_bytes()).unwrap();
        writer.write_all(&vec![b' '; spaces]).unwrap();
        writer.finish().unwrap()
    };
    let large = packed(KEY_SET_BYTES_MAX);
    assert!(large.len() < KEY_SET_BYTES_MAX / 100);
    provider.answer("200 OK", "content-encoding: gzip\r\n", &large);
    assert_eq!(jwt.verify(&signer.token(&claims())).await.map(drop), Err(NOT_READ));
    jwt.keys.forget_the_pause();
    provider.answer("200 OK", "content-encoding: gzip\r\n", &packed(0));
    assert!(jwt.verify(&signer.token(&claims())).await.is_ok());
}
