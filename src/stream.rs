//! A client's stream as `stream.mjs` holds it: what is read next and what is written, decided in core.

use fieldhook_core::stream::client::Client;
use std::panic::RefUnwindSafe;
use wasm_bindgen::prelude::*;

/// One client's stream. JavaScript frees it when the stream ends.
#[wasm_bindgen]
pub struct Stream {
    client: Client,
}

/// After a panic the stream is ended; nobody reads what was half changed.
impl RefUnwindSafe for Stream {}

impl Stream {
    pub fn new(client: Client) -> Self {
        Stream { client }
    }
}

#[wasm_bindgen]
impl Stream {
    pub fn shards(&self) -> u32 {
        u32::try_from(self.client.shards()).unwrap_or(0)
    }

    /// The position behind which a connection begins, `undefined` for the head.
    pub fn begins(&self, shard: u32) -> Option<f64> {
        self.client.begins(shard as usize).map(|position| position as f64)
    }

    /// There are so many shards: see [`fieldhook_core::stream::merge::Reader::grow`].
    pub fn grow(&mut self, shards: u32) {
        self.client.grow(shards as usize);
    }

    pub fn connected(&mut self, shard: u32) {
        self.client.connected(shard as usize);
    }

    pub fn lost(&mut self, shard: u32) {
        self.client.lost(shard as usize);
    }

    pub fn opening(&self) -> Vec<u8> {
        self.client.opening().as_bytes().to_vec()
    }

    /// See [`Client::lone`]; `undefined` for `None`.
    pub fn lone(&self) -> Option<f64> {
        self.client.lone().map(|position| position as f64)
    }

    #[wasm_bindgen(js_name = hasMoved)]
    pub fn has_moved(&self) -> bool {
        self.client.has_moved()
    }

    /// See [`Client::follow`].
    pub fn follow(&mut self, to: f64, moved: bool) {
        self.client.follow(to as u64, moved);
    }

    /// What a shard's message lets the client read, as bytes.
    ///
    /// # Errors
    /// Throws where the message is none: the connection is of no use.
    pub fn receive(&mut self, shard: u32, message: &str) -> Result<Vec<u8>, JsError> {
        self.text(shard, message).map(String::into_bytes)
    }

    /// The same as text, for a WebSocket.
    #[wasm_bindgen(js_name = receiveText)]
    pub fn receive_text(&mut self, shard: u32, message: &str) -> Result<String, JsError> {
        self.text(shard, message)
    }

    /// Pages to ask for, as `shard position` on a line each; `undefined` once every shard is live.
    pub fn ask(&mut self, may_read: bool) -> Option<String> {
        let asked = self.client.ask(may_read);
        if self.client.is_live() {
            return None;
        }
        Some(asked.iter().map(|(shard, position)| format!("{shard} {position}\n")).collect())
    }

    #[wasm_bindgen(js_name = keepAlive)]
    pub fn keep_alive(&mut self) -> Vec<u8> {
        self.client.keep_alive().into_bytes()
    }

    /// The last words to a client that reads too slowly.
    pub fn dropped(&self) -> String {
        self.client.dropped()
    }
}

impl Stream {
    fn text(&mut self, shard: u32, message: &str) -> Result<String, JsError> {
        self.client.receive(shard as usize, message).map_err(|_| JsError::new("no message of a shard"))
    }
}
