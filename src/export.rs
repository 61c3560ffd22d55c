//! A whole log in one answer: page behind page, each asked for only when the one before has been taken.
//!
//! What is held at any time is one page, however long the log and however slow its reader.

use crate::rpc;
use fieldhook_core::event::DeviceId;
use fieldhook_core::history::{Page, Query};
use fieldhook_core::json;
use fieldhook_core::problem::{Code, Problem, Result};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, RefUnwindSafe};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use worker::js_sys::futures::future_to_promise;
use worker::js_sys::{Promise, Uint8Array};
use worker::{Env, console_error};

#[wasm_bindgen(module = "/src/export.mjs")]
extern "C" {
    /// A `ReadableStream` of what `pages.next()` gives.
    fn streamed(pages: Pages) -> JsValue;
}

/// One page of a device's log.
pub async fn page(env: &Env, device: &str, query: &Query) -> Result<Page> {
    let unreadable = |_| Problem::new(Code::Internal, "the page cannot be read");
    let text = serde_json::to_string(query).map_err(unreadable)?;
    let page = rpc::device(env, device).history(&text).await?;
    json::read(&page).map_err(unreadable)
}

/// All pages from `first` on, as a `ReadableStream`.
pub fn stream(env: &Env, device: &DeviceId, query: Query, first: Page) -> JsValue {
    let (env, device, next) = (env.clone(), device.as_str().to_owned(), RefCell::new(Next::Ready(first)));
    streamed(Pages(Rc::new(Source { env, device, query, next })))
}

/// What the stream pulls from.
#[wasm_bindgen]
pub struct Pages(Rc<Source>);

/// A page that was begun and not finished is the end: see [`Source::take`].
impl RefUnwindSafe for Pages {}

struct Source {
    env: Env,
    device: String,
    query: Query,
    next: RefCell<Next>,
}

enum Next {
    Ready(Page),
    /// The cursor that it lies behind.
    Behind(String),
    End,
}

#[wasm_bindgen]
impl Pages {
    /// The next page's bytes, `undefined` at the end. Rejects where a page cannot be read: the connection is then
    /// cut, so that no part of a log can be taken for all of it.
    pub fn next(&self) -> Promise {
        let source = self.0.clone();
        future_to_promise(AssertUnwindSafe(async move {
            match source.take().await {
                Ok(body) => {
                    Ok(body.map_or(JsValue::UNDEFINED, |body| Uint8Array::from(body.as_bytes()).into()))
                }
                Err(problem) => {
                    console_error!("an export ended early: {}", problem.detail);
                    Err(JsError::new(problem.code.as_str()).into())
                }
            }
        }))
    }
}

impl Source {
    async fn take(&self) -> Result<Option<String>> {
        let page = match self.next.replace(Next::End) {
            Next::Ready(page) => page,
            Next::Behind(cursor) => page(&self.env, &self.device, &self.query.behind(&cursor)?).await?,
            Next::End => return Ok(None),
        };
        if let Some(cursor) = page.next {
            self.next.replace(Next::Behind(cursor));
        }
        Ok(Some(page.body))
    }
}
