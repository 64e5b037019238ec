//! Writing heads, for tests and synthesis.

/// A request to be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestRepr {
    /// Method.
    pub method: String,
    /// Request target.
    pub target: String,
    /// Header lines in order.
    pub headers: Vec<(String, String)>,
}

/// A response to be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseRepr {
    /// Status code.
    pub status: u16,
    /// Header lines in order.
    pub headers: Vec<(String, String)>,
}

impl RequestRepr {
    /// A request of `host` with nothing but the Host line.
    pub fn new(method: &str, host: &str, target: &str) -> Self {
        RequestRepr { method: method.into(), target: target.into(), headers: Vec::new() }
            .with("Host", host)
    }

    /// Adds a header line.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Writes the head as HTTP/1.1.
    pub fn emit(&self) -> Vec<u8> {
        lines(&format!("{} {} HTTP/1.1", self.method, self.target), &self.headers)
    }
}

impl ResponseRepr {
    /// A response without header lines.
    pub fn new(status: u16) -> Self {
        ResponseRepr { status, headers: Vec::new() }
    }

    /// Adds a header line.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Writes the head as HTTP/1.1.
    pub fn emit(&self) -> Vec<u8> {
        let phrase = match self.status {
            100..=199 => "Continue",
            200..=299 => "OK",
            300..=399 => "See Other",
            _ => "Error",
        };
        lines(&format!("HTTP/1.1 {:03} {phrase}", self.status), &self.headers)
    }
}

/// Line breaks within a part would make two lines of one, so they become spaces.
fn lines(first: &str, headers: &[(String, String)]) -> Vec<u8> {
    let clean = |text: &str| text.replace(['\r', '\n'], " ");
    let mut head = clean(first);
    head.push_str("\r\n");
    for (name, value) in headers {
        head.extend([&clean(name), ": ", &clean(value), "\r\n"]);
    }
    head.push_str("\r\n");
    head.into_bytes()
}
