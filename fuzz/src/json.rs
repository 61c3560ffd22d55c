//! JSON beside which the targets hold what `core` makes of it: serde_json's own reading, and a merge patch word for
//! word.

use fieldhook_core::canonical::Json;
use serde_json::{Value, json};

/// A name that stands in nobody's JSON, and by which serde_json's `Value` takes an object for a number.
pub const PRIVATE: &str = "$serde_json";

/// How serde_json reads it; `None` also for what has that name in it.
pub fn read(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(|_| !text.contains(PRIVATE))
}

/// Whether two values say the same, numbers in any spelling.
pub fn same(a: &Value, b: &Value) -> bool {
    let parse = |value: &Value| Json::parse(&value.to_string(), 128);
    matches!((parse(a), parse(b)), (Ok(a), Ok(b)) if a.same(&b))
}

/// RFC 7396, section 2.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(target) = target.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge_patch(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
