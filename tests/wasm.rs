//! What touches JavaScript, run in a JavaScript engine without the platform around it: an answer becomes a
//! `Response` in one call, with the headers and the parts that were decided.
#![cfg(target_arch = "wasm32")]

use fieldhook::answer::Answer;
use fieldhook_core::event::{DedupKey, DeviceId};
use fieldhook_core::problem::{Code, Problem};
use fieldhook_core::reply::{Framing, Reply};
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Reflect, Uint8Array};
use worker::worker_sys::web_sys::{ReadableStreamDefaultReader, Response};

wasm_bindgen_test_configure!(run_in_node_experimental);

fn response(answer: Answer) -> Response {
    answer.into_response().unchecked_into()
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).unwrap()
}

fn reply(text: &str) -> Answer {
    let key = DedupKey::of(&DeviceId::parse("d").unwrap(), "1");
    Answer::reply(&Reply::within(text.to_owned(), Framing::Plain, 5_119).unwrap(), &key, true)
}

/// The sizes of the chunks that the body's stream gives.
async fn chunk_sizes(response: &Response) -> Vec<u32> {
    let reader: ReadableStreamDefaultReader = response.body().unwrap().get_reader().unchecked_into();
    let mut sizes = Vec::new();
    loop {
        let read = JsFuture::from(reader.read()).await.unwrap();
        if Reflect::get(&read, &"done".into()).unwrap().is_truthy() {
            return sizes;
        }
        let chunk: Uint8Array = Reflect::get(&read, &"value".into()).unwrap().unchecked_into();
        sizes.push(chunk.length());
    }
}

#[wasm_bindgen_test]
async fn a_reply_goes_out_in_parts_of_512_bytes() {
    let response = response(reply(&"x".repeat(1024)));
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "fieldhook-duplicate").as_deref(), Some("true"));
    assert_eq!(header(&response, "content-length"), None);
    assert_eq!(chunk_sizes(&response).await, [512, 512, 1]);
}

#[wasm_bindgen_test]
fn nothing_to_say_is_204_without_a_body() {
    let response = response(reply(""));
    assert_eq!(response.status(), 204);
    assert!(response.body().is_none());
}

#[wasm_bindgen_test]
async fn a_problem_keeps_its_text_and_names_when_to_try_again() {
    let response =
        response(Answer::problem(&Problem::new(Code::CommitFailed, "snow \u{2603} and \"quotes\"")));
    assert_eq!((response.status(), header(&response, "retry-after").as_deref()), (503, Some("5")));
    assert_eq!(header(&response, "content-type").as_deref(), Some("application/problem+json"));
    let text = JsFuture::from(response.text().unwrap()).await.unwrap().as_string().unwrap();
    assert!(text.contains(r#""detail":"snow ☃ and \"quotes\"""#), "{text}");
}

#[wasm_bindgen_test]
fn a_value_that_could_end_a_header_is_left_out() {
    let response = response(Answer::empty(204).with("x-a", "one\r\nx-b: two").with("x-c", "three"));
    assert_eq!(header(&response, "x-a"), None);
    assert_eq!(header(&response, "x-b"), None);
    assert_eq!(header(&response, "x-c").as_deref(), Some("three"));
}
