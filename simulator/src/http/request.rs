//! A request, and its bytes.

use crate::target::Target;

/// A request whose headers are complete, in the order they go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: &'static str,
    pub target: Target,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Option<Vec<u8>>,
    /// Whether the server's certificate is checked.
    pub verify: bool,
}

impl Request {
    /// A plain GET with a bearer token, as an application reads the REST interface.
    pub fn read(target: Target, token: &str) -> Self {
        let headers = vec![
            ("host".to_owned(), target.authority().into_bytes()),
            ("authorization".to_owned(), format!("Bearer {token}").into_bytes()),
            ("accept".to_owned(), b"application/json".to_vec()),
        ];
        Request { method: "GET", target, headers, body: None, verify: true }
    }

    /// The same with another body, and its length.
    #[must_use]
    pub fn with_body(mut self, body: Vec<u8>) -> Self {
        let length = body.len().to_string().into_bytes();
        for (_, value) in self.headers.iter_mut().filter(|(name, _)| name == "content-length") {
            value.clone_from(&length);
        }
        self.body = Some(body);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target.path).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }
}
