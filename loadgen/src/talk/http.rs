//! HTTP/1.1: RPC, the API of grapes, and any other server.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::BytesMut;
use grenache_peer::envelope::Rid;
use grenache_transports::http::client::{Config, Connection, Error, Event, Expected, Phase};

use super::question::Question;
use super::{Answers, Broken, Talk, Verdict};
use crate::outcome::Fault;
use crate::payload::MAX_PAYLOAD;

/// The conversation on one connection. Requests are answered in their order.
pub(crate) struct Http {
    question: Rc<Question>,
    host: Rc<str>,
    parser: Connection,
    /// The requests that wait for their answers, and the number of the first.
    asked: VecDeque<Option<Rid>>,
    first: u64,
}

impl Http {
    /// For a connection to `host` (`name:port`) with at most `in_flight` requests at once.
    pub(crate) fn new(question: Rc<Question>, host: Rc<str>, in_flight: usize) -> Self {
        let config = Config {
            max_outstanding: in_flight,
            // An echo of the longest payload with what is around it.
            max_body: 2 * MAX_PAYLOAD as u64,
            ..Config::default()
        };
        Self { question, host, parser: Connection::new(config), asked: VecDeque::new(), first: 0 }
    }
}

impl Talk for Http {
    fn ask(&mut self, _number: u64, out: &mut BytesMut) {
        self.asked.push_back(self.question.write(&self.host, out));
        // The caller keeps to the number in flight.
        let expected = self.parser.expect(Expected::default());
        debug_assert!(expected.is_ok());
    }

    fn receive(&mut self, input: &mut [u8], answers: &mut Answers) -> Result<(), Broken> {
        let mut input = &*input;
        loop {
            match self.parser.receive(&mut input) {
                Ok(Some(Event::Response(response))) => {
                    let rid = self.asked.pop_front().flatten();
                    let verdict = self.question.judge(rid.as_ref(), &response);
                    let wrong = matches!(verdict, Verdict::Failed(Fault::Wrong, _));
                    answers.push((self.first, verdict));
                    self.first += 1;
                    if wrong {
                        // Answers and requests may be out of step from here on.
                        return Err(Broken {
                            fault: Fault::Wrong,
                            why: "after a wrong answer".into(),
                        });
                    }
                }
                // Those belong to bodies in pieces, which nobody asked for.
                Ok(Some(Event::Head(_) | Event::Data(_) | Event::End)) => {}
                Ok(None) => break,
                Err(error) => return Err(broken(error)),
            }
        }
        // After an answer that says so, the connection takes no other request.
        if self.parser.phase() == Phase::Finished { Err(Broken::closed()) } else { Ok(()) }
    }

    fn end(&mut self, answers: &mut Answers) -> Broken {
        match self.parser.end_of_input() {
            Ok(Some(Event::Response(response))) => {
                let rid = self.asked.pop_front().flatten();
                answers.push((self.first, self.question.judge(rid.as_ref(), &response)));
                self.first += 1;
                Broken::closed()
            }
            Ok(_) => Broken::closed(),
            Err(error) => broken(error),
        }
    }

    fn is_multiplexed(&self) -> bool {
        false
    }
}

fn broken(error: Error) -> Broken {
    let fault = match error {
        Error::Unanswered | Error::Cut => Fault::Closed,
        _ => Fault::Malformed,
    };
    Broken { fault, why: error.text().into() }
}
