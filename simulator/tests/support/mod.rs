//! A server that shows what really arrived, and answers what it is told to.

#![allow(dead_code, reason = "each test uses its part")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Server {
    pub authority: String,
    seen: JoinHandle<Vec<u8>>,
}

impl Server {
    /// Takes one connection, reads a request, and answers it.
    pub fn answering(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let seen = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            // Reads on after the request, so that a byte too many would be seen.
            while let Ok(read) = stream.read(&mut buffer) {
                if read == 0 {
                    break;
                }
                bytes.extend_from_slice(&buffer[..read]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            bytes
        });
        Server { authority, seen }
    }

    /// Every byte that arrived.
    pub fn seen(self) -> String {
        String::from_utf8(self.seen.join().unwrap()).unwrap()
    }
}

/// Answers every connection with `begins` and then `goes_on`, `times` over, and leaves it open. Its address.
pub fn hostile(begins: &'static str, goes_on: String, times: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let goes_on = goes_on.clone();
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(begins.as_bytes()));
                for _ in 0..times {
                    if stream.write_all(goes_on.as_bytes()).is_err() {
                        return;
                    }
                }
                // Until the other side hangs up.
                while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
            });
        }
    });
    format!("http://{address}/")
}
