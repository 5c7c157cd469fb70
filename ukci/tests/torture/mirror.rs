//! A mirror that lies in every way that it can.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Attack, KERNEL, assert_orderly, ended, random::Random, start};

#[test]
fn a_mirror_that_lies_gets_nothing_into_the_store() {
    let Some(mut attack) = Attack::begin("mirror", 5) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicU64::new(0));
    let mut random = Random(attack.random.next());
    let counted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::Relaxed);
            let lie = random.next();
            std::thread::spawn(move || answer(stream, lie));
        }
    });
    let mut fetches = 0;
    while attack.goes_on() {
        let cache = attack.path("cache");
        let mut fetch = attack.ukci(&["kernels", "fetch", KERNEL]);
        fetch
            .env("XDG_CACHE_HOME", &cache)
            .env("UKCI_MIRROR_DEBIAN", &address)
            .env("UKCI_MIRROR_DEBIAN_SECURITY", &address);
        let output = ended(start(&mut fetch), Duration::from_mins(5), "fetch");
        assert_orderly(&output, "fetch");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        attack.assert_swept("fetch");
        // No file has the name of a package or of boot files: its bytes would be others.
        for dir in ["packages", "store"] {
            for entry in fs::read_dir(cache.join("ukci").join(dir))
                .into_iter()
                .flatten()
            {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let is_whole = name.strip_suffix(".deb").unwrap_or(&name).len() == 64;
                assert!(!is_whole, "{dir}/{name} came from a mirror that lies");
            }
        }
        if attack.random.below(3) == 0 {
            let _ = fs::remove_dir_all(&cache);
        }
        fetches += 1;
    }
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked > 0, "the mirror was never asked");
    eprintln!("fetches: {fetches}, requests: {asked}");
}

/// One lie. The client may hang up in the middle of it.
fn answer(mut stream: TcpStream, lie: u64) {
    let mut request = [0; 4096];
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let _ = stream.read(&mut request);
    let junk = vec![u8::try_from(lie >> 56).unwrap(); 70_000];
    let head = |status: &str, rest: &str| format!("HTTP/1.1 {status}\r\n{rest}\r\n");
    let length = |n: usize| format!("Content-Length: {n}\r\nConnection: close\r\n");
    let (head, body): (String, &[u8]) = match lie % 14 {
        0 => (head("404 Not Found", &length(0)), &[]),
        1 => (head("500 Internal Server Error", &length(5)), b"hello"),
        2 => (head("200 OK", &length(70_000)), &junk),
        3 => (head("200 OK", &length(26_713_492)), &junk),
        4 => (
            head("200 OK", "Content-Length: 99999999999999999999\r\n"),
            &junk,
        ),
        5 => (head("302 Found", "Location: file:///etc/passwd\r\n"), &[]),
        6 => (
            head("302 Found", "Location: /again\r\nContent-Length: 0\r\n"),
            &[],
        ),
        7 => (String::new(), &junk),
        8 => (
            head("200 OK", "Transfer-Encoding: chunked\r\n"),
            b"5\r\nhello\r\nzz\r\n",
        ),
        9 => (
            head("206 Partial Content", "Content-Range: bytes 9-8/7\r\n"),
            &junk,
        ),
        10 => (
            head("200 OK", &format!("X: {}\r\n", "x".repeat(200_000))),
            &[],
        ),
        11 => (
            head("200 OK", "Content-Encoding: gzip\r\nContent-Length: 9\r\n"),
            &junk,
        ),
        12 => (head("416 Range Not Satisfiable", &length(0)), &[]),
        _ => (String::new(), &[]),
    };
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
}
