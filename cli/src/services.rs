//! `service,port` and the like, from the command line and from standard input as it comes.

use std::io::{BufRead, Read};

use serde::Deserialize;

/// A longer line is refused; so is a JSON value that does not end before.
const MAX_TEXT: usize = 8192;

/// A service and the port it is offered on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) port: u16,
}

/// How services are written.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    /// `service<delimiter>port`.
    Delimited(String),
    /// `{"data":["service",port]}`, or the array alone.
    Json,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Request { data: (String, Port) },
    Pair(String, Port),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u64),
    Text(String),
}

impl Form {
    /// Reads one service; otherwise says what is wrong with it.
    pub(crate) fn read(&self, text: &str) -> Result<Service, String> {
        let (name, port) = match self {
            Form::Delimited(delimiter) => {
                let Some((name, port)) = text.rsplit_once(delimiter.as_str()) else {
                    return Err(format!("'{text}' is not service{delimiter}port"));
                };
                (name.trim().to_string(), port.trim().to_string())
            }
            Form::Json => {
                let document = serde_json::from_str(text);
                let (Document::Request { data: (name, port) } | Document::Pair(name, port)) =
                    document
                        .map_err(|_| format!(r#"'{text}' is not {{"data":["service",port]}}"#))?;
                let port = match port {
                    Port::Number(port) => port.to_string(),
                    Port::Text(port) => port,
                };
                (name, port)
            }
        };
        if name.is_empty() {
            return Err(format!("'{text}' names no service"));
        }
        match port.parse() {
            Ok(port) if port > 0 => Ok(Service { name, port }),
            _ => Err(format!("'{port}' is not a port (1 to 65535) for '{name}'")),
        }
    }

    /// Reads services from `input` as they come and gives each, or what is wrong with it, to `take`; blank lines and
    /// comments (`#` or `;` to the end of the line) are passed over.
    ///
    /// # Errors
    /// The first of `take`, or what is wrong with `input` if no more can be read from it.
    pub(crate) fn read_all<E>(
        &self,
        mut input: impl BufRead,
        mut take: impl FnMut(Result<Service, String>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut line = Vec::new();
        let mut text = String::new();
        loop {
            line.clear();
            let read = (&mut input).take(MAX_TEXT as u64 + 1).read_until(b'\n', &mut line);
            match read {
                Ok(0) => break,
                Ok(length) if length > MAX_TEXT => {
                    return take(Err(format!("a line is longer than {MAX_TEXT} bytes")));
                }
                Ok(_) => {}
                Err(error) => return take(Err(format!("standard input cannot be read: {error}"))),
            }
            let line = String::from_utf8_lossy(&line);
            match self {
                Form::Delimited(_) => {
                    let line = without_comment(&line);
                    if !line.is_empty() {
                        take(self.read(line))?;
                    }
                }
                Form::Json => {
                    if !(text.is_empty() && without_comment(&line).is_empty()) {
                        text.push_str(&line);
                    }
                    self.take_values(&mut text, &mut take)?;
                }
            }
        }
        if text.trim().is_empty() { Ok(()) } else { take(self.read(text.trim())) }
    }

    /// Takes all whole JSON values off the beginning of `text`, and all of it if it is not JSON.
    fn take_values<E>(
        &self,
        text: &mut String,
        take: &mut impl FnMut(Result<Service, String>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut values =
            serde_json::Deserializer::from_str(text).into_iter::<&serde_json::value::RawValue>();
        let mut end = 0;
        let broken = loop {
            match values.next() {
                Some(Ok(value)) => {
                    take(self.read(value.get()))?;
                    end = values.byte_offset();
                }
                Some(Err(error)) => break !error.is_eof(),
                None => break false,
            }
        };
        if broken || text.len() - end > MAX_TEXT {
            take(self.read(text[end..].trim()))?;
            end = text.len();
        }
        text.drain(..end);
        Ok(())
    }
}

fn without_comment(line: &str) -> &str {
    line.split(['#', ';']).next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(form: &Form, input: &str) -> Vec<Result<(String, u16), String>> {
        let mut found = Vec::new();
        form.read_all(input.as_bytes(), |service| {
            found.push(service.map(|service| (service.name, service.port)));
            Ok::<(), ()>(())
        })
        .unwrap();
        found
    }

    #[test]
    fn lines() {
        let input = "# head\n\nrest:a,1 ; note\n  b , 2  \r\nc,d,3#\nnope\n,4\ne,0\nf,65536\ng,-1";
        let found = all(&Form::Delimited(",".into()), input);
        let ok = |name: &str, port| Ok((name.to_string(), port));
        assert_eq!(found[..3], [ok("rest:a", 1), ok("b", 2), ok("c,d", 3)]);
        assert_eq!(found.len(), 8);
        assert!(found[3..].iter().all(Result::is_err), "{found:?}");
        assert_eq!(found[3], Err("'nope' is not service,port".into()));
        assert_eq!(all(&Form::Delimited("::".into()), "a:b::9"), [ok("a:b", 9)]);
    }

    #[test]
    fn json_as_it_comes() {
        let input = "# head\n{\"data\":[\"a\",1]} {\"data\": [\"b#;\",\n\"2\"]}\n\n[\"c\",3]\n\
                     {\"x\":1}\n{oops}\n{\"data\":[\"d\",70000]}\n[\"e\",5]";
        let found = all(&Form::Json, input);
        let ok = |name: &str, port| Ok((name.to_string(), port));
        assert_eq!(found[..3], [ok("a", 1), ok("b#;", 2), ok("c", 3)]);
        assert!(found[3..6].iter().all(Result::is_err), "{found:?}");
        assert_eq!(found[6..], [ok("e", 5)]);
        assert_eq!(all(&Form::Json, "{\"data\":").len(), 1);
    }

    #[test]
    fn what_never_ends_is_refused() {
        let long = "x".repeat(MAX_TEXT + 1);
        assert_eq!(all(&Form::Delimited(",".into()), &format!("{long},1\na,1\n")).len(), 1);
        let open = "[\n".repeat(MAX_TEXT);
        let found = all(&Form::Json, &format!("{open}\n"));
        assert!(!found.is_empty() && found.iter().all(Result::is_err));
    }
}
