//! A source: one way in, `/hook/{source}`, with settings of its own (DESIGN.md, "Sources and transforms").

use crate::definition::{Properties, bad, document};
use crate::dialogue::REPORT_EVENT;
use crate::event::{Event, EventName};
use crate::home::{Room, Way};
use crate::log::Plan;
use crate::problem::Result;
use crate::proof::token::TokenHash;
use crate::reply::{Framing, RENDERED_BUDGET, RENDERED_BUDGET_MAX, Reply, TooLarge};
use crate::settings::Settings;
use crate::template::{Context, Document, Fields, Parts, Variables};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The most tokens and report events of one source.
const LIST_MAX: usize = 50;
/// What stands for a stored token where a source is shown; a number follows.
const MASK: &str = "********";

/// The settings as they are stored: parsed once at `PUT`, so that what is stored is always valid.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Definition {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_template: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_budget: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_framing: Option<Framing>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub report_events: Vec<String>,
    /// SHA-256 of each token, hexadecimal. The tokens themselves are never stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_hashes: Vec<String>,
}

impl Definition {
    /// Reads what a caller sent. `before` is what is stored, for masked tokens that come back.
    ///
    /// # Errors
    /// `bad-definition` or `bad-template`, naming the property.
    pub fn read(body: &[u8], before: Option<&Definition>) -> Result<Self> {
        let mut properties = Properties::parse(body)?;
        properties.take("name"); // as it is shown; the path says the name
        let response_template = properties.take("responseTemplate");
        if let Some(value) = &response_template {
            document("responseTemplate", value)?;
        }
        let reply_budget = properties.number("replyBudget", 1, RENDERED_BUDGET_MAX as u64)?;
        let reply_framing = match properties.text("replyFraming")?.as_deref() {
            None => None,
            Some("plain") => Some(Framing::Plain),
            Some("framed") => Some(Framing::Framed),
            Some(_) => return Err(bad("replyFraming", "must be plain or framed")),
        };
        let report_events = properties.texts("reportEvents", LIST_MAX)?;
        for name in &report_events {
            EventName::parse(name).map_err(|problem| bad("reportEvents", &problem.detail))?;
        }
        let tokens = properties.texts("tokens", LIST_MAX)?;
        properties.finish()?;
        let token_hashes = tokens.iter().map(|token| hash_or_keep(token, before)).collect::<Result<_>>()?;
        Ok(Definition {
            response_template,
            reply_budget: reply_budget.and_then(|budget| usize::try_from(budget).ok()),
            reply_framing,
            report_events,
            token_hashes,
        })
    }

    /// As `GET` shows it, JSON: whole, its tokens masked.
    pub fn show(&self, name: &str) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Shown<'a> {
            name: &'a str,
            #[serde(flatten)]
            definition: &'a Definition,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            tokens: Vec<String>,
        }
        let tokens = (1..=self.token_hashes.len()).map(|n| format!("{MASK}{n}")).collect();
        let definition = Definition { token_hashes: Vec::new(), ..self.clone() };
        serde_json::to_string(&Shown { name, definition: &definition, tokens }).unwrap_or_default()
    }
}

fn hash_or_keep(token: &str, before: Option<&Definition>) -> Result<String> {
    if let Some(number) = token.strip_prefix(MASK) {
        let index = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let kept = index.and_then(|index| before?.token_hashes.get(index));
        return kept.cloned().ok_or_else(|| bad("tokens", "holds a masked value that masks nothing stored"));
    }
    if token.is_empty() || token.trim() != token || token.contains(char::is_control) {
        return Err(bad(
            "tokens",
            "holds a token that is empty, or has spaces around it or control characters",
        ));
    }
    Ok(TokenHash::of(token).to_hex())
}

/// A source ready for use: templates and hashes parsed, once per snapshot.
#[derive(Debug, Default)]
pub struct Source {
    pub tokens: Vec<TokenHash>,
    pub report_events: Vec<String>,
    template: Option<Response>,
    reply_budget: Option<usize>,
    reply_framing: Option<Framing>,
}

/// A response template.
#[derive(Debug)]
struct Response {
    document: Document,
    text: Box<RawValue>,
    /// How many bytes there are at least around what is due; `None` if there is no place for that.
    around: Option<usize>,
}

impl Response {
    fn compile(text: &RawValue) -> Result<Self> {
        let document = document("responseTemplate", text)?;
        let around = document.mentions(DUE_VARIABLE).then(|| {
            let due = "{}";
            let variables = Variables::new(Parts::default()).with(DUE_VARIABLE, due);
            let least = document.render(&Context::new(&variables, &Fields::default()), RENDERED_BUDGET_MAX);
            least.map_or(RENDERED_BUDGET_MAX, |text| text.len().saturating_sub(due.len()))
        });
        Ok(Response { document, text: text.to_owned(), around })
    }
}

impl Source {
    /// # Errors
    /// What is wrong with a stored definition. There is no "as good as it goes": a source whose tokens
    /// cannot be read must not become an open one.
    pub fn compile(definition: &Definition) -> Result<Self> {
        let hash = |text: &String| TokenHash::parse(text).ok_or_else(|| bad("tokens", "cannot be read"));
        Ok(Source {
            tokens: definition.token_hashes.iter().map(hash).collect::<Result<_>>()?,
            report_events: definition.report_events.clone(),
            template: definition.response_template.as_deref().map(Response::compile).transpose()?,
            reply_budget: definition.reply_budget,
            reply_framing: definition.reply_framing,
        })
    }

    /// How the reply to an event comes about (DESIGN.md, "What the body is"): the template if there is one,
    /// with what is due where it says so, else what is due. A source that stands in for a device has no twin.
    ///
    /// # Errors
    /// [`TooLarge`], where that can be told without knowing what is due.
    pub fn plan(&self, settings: &Settings, event: &Event) -> std::result::Result<Plan, TooLarge> {
        let framing = self.framing(settings);
        let has_twin = event.device.is_device();
        match &self.template {
            Some(Response { text, around: Some(_), .. }) if has_twin => {
                Ok(Plan::Template { template: text.clone(), framing, budget: self.rendered_budget() })
            }
            Some(Response { document, .. }) => {
                let budget = self.rendered_budget();
                let text = with_context(event, |context| document.render(context, budget));
                let reply = Reply::within(text.map_err(|_| TooLarge)?, framing, budget)?;
                Ok(Plan::Said(reply.to_stored()))
            }
            None if has_twin => Ok(Plan::Due { framing, budget: settings.reply_budget }),
            None => Ok(Plan::Said(String::new())),
        }
    }

    /// What the objects of the devices that are heard through it need to know of it.
    pub fn way(&self, settings: &Settings) -> Way {
        let framing = self.framing(settings);
        let room = match &self.template {
            Some(Response { around, .. }) => {
                around.map(|around| Room { framing, budget: self.rendered_budget(), around })
            }
            None => Some(Room::new(framing, settings.reply_budget)),
        };
        Way { guarded: !self.tokens.is_empty(), room }
    }

    fn framing(&self, settings: &Settings) -> Framing {
        self.reply_framing.unwrap_or(settings.reply_framing)
    }

    fn rendered_budget(&self) -> usize {
        self.reply_budget.unwrap_or(RENDERED_BUDGET)
    }

    /// Whether a device reports by events of this name.
    pub fn is_report(&self, event: &Event) -> bool {
        let name = event.name.as_str();
        event.device.is_device() && (name == REPORT_EVENT || self.report_events.iter().any(|r| r == name))
    }
}

/// The variable that puts what is due to the device inside a response template.
pub const DUE_VARIABLE: &str = "FIELDHOOK_DUE";

/// Renders a document over an event: Particle's variables over the event's own JSON fields.
pub(crate) fn render(
    document: &Document,
    event: &Event,
    limit: usize,
) -> std::result::Result<String, crate::template::RenderError> {
    with_context(event, |context| document.render(context, limit))
}

/// Calls with what a template sees of an event.
pub(crate) fn with_context<T>(event: &Event, call: impl FnOnce(&Context<'_>) -> T) -> T {
    let published_at = event.published_at.to_string();
    let variables = Variables::new(Parts {
        device_id: event.device.as_str(),
        event_name: event.name.as_str(),
        event_value: &event.data,
        published_at: &published_at,
        event_id: &event.id,
        product_id: event.product_id.as_deref(),
        product_user_id: event.userid.as_deref(),
        product_version: event.fw_version.as_deref(),
    })
    // Ours to say, never the device's.
    .with(DUE_VARIABLE, "");
    match Fields::parse(&event.data) {
        Some(fields) => call(&Context::new(&variables, &fields)),
        None => call(&Context::new(&variables, &Fields::default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    fn read(text: &str) -> Result<Definition> {
        Definition::read(text.as_bytes(), None)
    }

    #[test]
    fn a_token_is_stored_hashed_shown_masked_and_kept_when_the_mask_comes_back() {
        let stored = read(r#"{"tokens":["hush","hush2"]}"#).unwrap();
        let text = serde_json::to_string(&stored).unwrap();
        assert!(!text.contains("hush"), "{text}");
        assert_eq!(stored.show("a"), r#"{"name":"a","tokens":["********1","********2"]}"#);
        let again = Definition::read(br#"{"tokens":["********2","new"]}"#, Some(&stored)).unwrap();
        assert_eq!(again.token_hashes[0], stored.token_hashes[1]);
        let problem = Definition::read(br#"{"tokens":["********3"]}"#, Some(&stored)).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("tokens"));
    }

    #[test]
    fn an_error_stands_at_its_property() {
        for (text, code, field) in [
            (r#"{"replyBudget":102400}"#, Code::BadDefinition, "replyBudget"),
            (r#"{"replyFraming":"boxed"}"#, Code::BadDefinition, "replyFraming"),
            (r#"{"reportEvents":[1]}"#, Code::BadDefinition, "reportEvents"),
            (r#"{"reportEvents":[""]}"#, Code::BadDefinition, "reportEvents"),
            (r#"{"responseTemplate":7}"#, Code::BadDefinition, "responseTemplate"),
            (r#"{"responseTemplate":"{{#open}}"}"#, Code::BadTemplate, "responseTemplate"),
            (r#"{"replyBudgets":1}"#, Code::BadDefinition, "replyBudgets"),
        ] {
            let problem = read(text).unwrap_err();
            assert_eq!((problem.code, problem.field.as_deref()), (code, Some(field)), "{text}");
        }
        assert_eq!(read("[]").unwrap_err().code, Code::BadDefinition);
        assert_eq!(read("{").unwrap_err().code, Code::BadJson);
    }

    #[test]
    fn what_is_shown_can_be_put_back() {
        let stored = read(
            r#"{"responseTemplate":{"z":"{{x}}","a":1.50},"replyBudget":600,"replyFraming":"framed","reportEvents":["r"]}"#,
        )
        .unwrap();
        let again = Definition::read(stored.show("a").as_bytes(), Some(&stored)).unwrap();
        assert_eq!(again.show("a"), stored.show("a"));
        assert!(Source::compile(&stored).is_ok());
    }

    #[test]
    fn its_way_says_whether_it_is_guarded_and_what_room_there_is() {
        let settings = Settings::read(|_| None).unwrap();
        let way = |text: &str| Source::compile(&read(text).unwrap()).unwrap().way(&settings);
        let plain = Room::new(Framing::Plain, 511);
        let rendered = |around| Some(Room { around, ..Room::new(Framing::Plain, RENDERED_BUDGET) });
        assert_eq!(way("{}"), Way { guarded: false, room: Some(plain) });
        assert_eq!(way(r#"{"tokens":["t"]}"#), Way { guarded: true, room: Some(plain) });
        // The budget of a source is that of its template.
        let framed = way(r#"{"replyFraming":"framed","replyBudget":2000}"#);
        assert_eq!(framed.room, Some(Room::new(Framing::Framed, 511)));
        assert_eq!(way(r#"{"responseTemplate":"hello"}"#).room, None);
        assert_eq!(way(r#"{"responseTemplate":"[{{{FIELDHOOK_DUE}}}]"}"#).room, rendered(2));
        let section =
            r#"{"responseTemplate":"{{x}}{{#FIELDHOOK_DUE}}<{{{FIELDHOOK_DUE}}}>{{/FIELDHOOK_DUE}}"}"#;
        assert_eq!(way(section).room, rendered(2));
    }
}
