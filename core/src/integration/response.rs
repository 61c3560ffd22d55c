//! What becomes of a service's answer (Particle docs, "Webhook responses").

use super::logged::Logged;
use super::request::Integration;
use crate::template::{Fields, RenderError, Template};

/// "The first 100 KB is published" (Particle docs, webhook reference).
pub const PUBLISHED_MAX: usize = 102_400;
/// The most a topic may render to, bytes.
const TOPIC_MAX: usize = 1024;

/// What Particle publishes for a status that is no success.
///
/// ```
/// use fieldhook_core::integration::response::error_text;
/// assert_eq!(error_text(404, "requestb.in"), "error status 404 from requestb.in");
/// ```
pub fn error_text(status: u16, host: &str) -> String {
    format!("error status {status} from {host}")
}

/// For devices in a product its own id comes first, so that no other device hears it (Particle docs, "Response
/// Topic"). The name is the event's, not the definition's prefix.
pub fn default_response_topic(is_product: bool, device: &str, event: &str) -> String {
    match is_product {
        true => format!("{device}/hook-response/{event}"),
        false => format!("hook-response/{event}"),
    }
}

/// (Particle docs, "errorResponseTopic").
pub fn default_error_topic(event: &str) -> String {
    format!("hook-error/{event}")
}

impl Integration {
    /// What the answer says: through the response template where there is one and the answer is JSON, else verbatim.
    ///
    /// # Errors
    /// A template that renders to more than Particle publishes.
    pub fn response(&self, event: &Logged<'_>, body: &str) -> Result<String, RenderError> {
        match self.hook.response_template.as_ref().zip(Fields::parse(body)) {
            Some((template, fields)) => {
                event.with_fields(&fields, |context| template.render(context, PUBLISHED_MAX))
            }
            None => Ok(body.to_owned()),
        }
    }

    /// The name a response is published by, its part's index apart.
    pub fn response_topic(&self, event: &Logged<'_>) -> String {
        topic(self.hook.response_topic.as_ref(), event).unwrap_or_else(|| {
            default_response_topic(event.details.product_id.is_some(), &event.details.coreid, event.event)
        })
    }

    /// The name an error is published by.
    pub fn error_topic(&self, event: &Logged<'_>) -> String {
        topic(self.hook.error_topic.as_ref(), event).unwrap_or_else(|| default_error_topic(event.event))
    }
}

/// A topic that came out empty, too long or with a line break in it is none.
fn topic(template: Option<&Template>, event: &Logged<'_>) -> Option<String> {
    let topic = event.with_context(|context| template?.render(context, TOPIC_MAX).ok())?;
    (!topic.is_empty() && !topic.contains(char::is_control)).then_some(topic)
}
