//! The head of a request.

/// What a client asks for. Made of a head that ends with its empty line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpRequest {
    /// Whether the answer's body is left out (HEAD).
    pub head_only: bool,
    /// The path, without a query; as it was sent, nothing decoded.
    pub path: String,
    headers: Vec<(String, String)>,
}

/// Why a head is no request that can be answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unreadable {
    /// It is not HTTP/1, or its lines are no headers.
    Malformed,
    /// It asks for something other than GET and HEAD.
    Method,
}

impl HttpRequest {
    /// Reads a head.
    pub(super) fn parse(head: &[u8]) -> Result<Self, Unreadable> {
        let head = std::str::from_utf8(head).map_err(|_| Unreadable::Malformed)?;
        let mut lines = head.split("\r\n");
        let line: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let [method, target, version] = line[..] else { return Err(Unreadable::Malformed) };
        if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
            return Err(Unreadable::Malformed);
        }
        let head_only = match method {
            "GET" => false,
            "HEAD" => true,
            _ => return Err(Unreadable::Method),
        };
        let headers = lines
            .filter(|line| !line.is_empty())
            .map(|line| {
                let (name, value) = line.split_once(':').ok_or(Unreadable::Malformed)?;
                Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
            })
            .collect::<Result<_, _>>()?;
        let path = target.split('?').next().unwrap_or_default().to_owned();
        Ok(Self { head_only, path, headers })
    }

    /// The value of a header, whose name is given in lower case; `None` if it is absent or there more than once, where
    /// two readers could take different ones.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
        values.next().map(String::as_str).filter(|_| values.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_sent_is_a_request_or_is_refused(
            head in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                "(GET|HEAD|get|PUT)[ /a]{1,3}HTTP/[12]\\.[01](\r\n[a-zA-Z:; \n-]{0,9}){0,4}".prop_map(String::into_bytes),
            ],
        ) {
            if let Ok(request) = HttpRequest::parse(&head) {
                prop_assert!(request.path.starts_with('/') && !request.path.contains([' ', '?']), "{:?}", request);
            }
        }
    }

    #[test]
    fn reads_what_browsers_and_prometheus_send() {
        let request = HttpRequest::parse(
            b"GET /stream?x=1 HTTP/1.1\r\nHost: a:1\r\nACCEPT:  text/event-stream \r\n\r\n",
        )
        .unwrap();
        assert_eq!((request.head_only, request.path.as_str()), (false, "/stream"));
        assert_eq!(
            (request.header("host"), request.header("accept")),
            (Some("a:1"), Some("text/event-stream"))
        );
        assert_eq!(request.header("origin"), None);
        assert!(HttpRequest::parse(b"HEAD / HTTP/1.0\r\n\r\n").unwrap().head_only);
    }

    #[test]
    fn refuses_what_is_no_request() {
        for head in [
            "",
            "\r\n\r\n",
            "GET /",
            "GET  / HTTP/1.1",
            "GET / HTTP/2",
            "GET http://a/ HTTP/1.1",
            "GET / HTTP/1.1\r\nx",
        ] {
            assert_eq!(HttpRequest::parse(head.as_bytes()), Err(Unreadable::Malformed), "{head:?}");
        }
        assert_eq!(HttpRequest::parse(b"GET /\xff HTTP/1.1\r\n\r\n"), Err(Unreadable::Malformed));
        assert_eq!(HttpRequest::parse(b"POST / HTTP/1.1\r\n\r\n"), Err(Unreadable::Method));
    }

    #[test]
    fn a_header_that_is_there_twice_is_not_there() {
        let request = HttpRequest::parse(b"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n").unwrap();
        assert_eq!(request.header("host"), None);
    }
}
