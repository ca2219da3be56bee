//! The body of a response in which its cost is told, as it streams by.

use http_message::{HeaderMap, content};
use json_stream::{EventStream, NumberPlace, NumberReader, Piece};

use crate::settlement::Settlement;

/// A body that is read for what its request has cost. It is looked at, not changed, and nothing of it is kept but a number.
#[derive(Debug)]
pub struct Reading {
    form: Form,
    /// What has been taken in advance, and the most that the body is believed.
    taken: u64,
    max: u64,
    /// How many bytes more are read.
    left: u64,
}

#[derive(Debug)]
enum Form {
    /// No byte has come.
    Fresh(NumberReader),
    Document(NumberReader),
    Events {
        stream: EventStream,
        place: NumberPlace,
        event: Event,
        /// What the last event said that said anything.
        told: Option<f64>,
    },
    Unreadable,
}

/// The event that is under way.
#[derive(Debug)]
enum Event {
    /// Without data yet.
    Empty,
    Document(Box<NumberReader>),
    /// Its data is no document, like `[DONE]`.
    Other,
}

impl Reading {
    /// The body that follows this head; `None` if it is of a kind that cannot be read.
    pub(crate) fn new(
        head: &HeaderMap,
        place: &NumberPlace,
        (taken, max): (u64, u64),
        left: u64,
    ) -> Option<Reading> {
        let form = if content::is_json_document(head) {
            Form::Fresh(NumberReader::new(place))
        } else if content::is_event_stream(head) {
            Form::Events {
                stream: EventStream::new(),
                place: place.clone(),
                event: Event::Empty,
                told: None,
            }
        } else {
            return None;
        };
        Some(Reading {
            form,
            taken,
            max,
            left,
        })
    }

    /// Whether the next chunk matters.
    pub fn goes_on(&self) -> bool {
        self.left > 0 && !matches!(self.form, Form::Unreadable)
    }

    /// The next chunk.
    pub fn chunk(&mut self, chunk: &[u8]) {
        if chunk.is_empty() || !self.goes_on() {
            return;
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let read = chunk.get(..most).unwrap_or(chunk);
        self.left = self
            .left
            .saturating_sub(u64::try_from(read.len()).unwrap_or(u64::MAX));
        self.form = match std::mem::replace(&mut self.form, Form::Unreadable) {
            Form::Fresh(mut reader) | Form::Document(mut reader) => match reader.push(read) {
                Ok(()) => Form::Document(reader),
                Err(_) => Form::Unreadable,
            },
            Form::Events {
                mut stream,
                place,
                mut event,
                mut told,
            } => {
                let mut rest = read;
                while !rest.is_empty() {
                    let (piece, length) = stream.read(rest);
                    let (bytes, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                    event.piece(piece, bytes, &place, &mut told);
                    rest = behind;
                }
                Form::Events {
                    stream,
                    place,
                    event,
                    told,
                }
            }
            Form::Unreadable => Form::Unreadable,
        };
    }

    /// The body is over, by its last chunk or by trailers, or has broken off. What it says counts if it says it in a whole
    /// document, which of an event stream each event is.
    pub fn end(self) -> Settlement {
        let number = match self.form {
            Form::Fresh(_) => None,
            Form::Document(reader) if reader.is_complete() => reader.number(),
            Form::Document(_) | Form::Unreadable => return Settlement::Unread,
            Form::Events {
                mut event,
                mut told,
                ..
            } => {
                event.end(&mut told);
                told
            }
        };
        match number.and_then(|number| cost(number, self.max)) {
            Some(cost) => Settlement::between(self.taken, cost),
            None => Settlement::Untold,
        }
    }
}

impl Event {
    fn piece(&mut self, piece: Piece, bytes: &[u8], place: &NumberPlace, told: &mut Option<f64>) {
        match piece {
            Piece::Data => {
                if matches!(self, Event::Empty) {
                    *self = Event::Document(Box::new(NumberReader::new(place)));
                }
                self.push(bytes);
            }
            Piece::LineEnd => self.push(b"\n"),
            Piece::EventEnd => self.end(told),
            Piece::Framing | Piece::Other => {}
        }
    }

    fn push(&mut self, data: &[u8]) {
        if let Event::Document(reader) = self
            && reader.push(data).is_err()
        {
            *self = Event::Other;
        }
    }

    fn end(&mut self, told: &mut Option<f64>) {
        if let Event::Document(reader) = std::mem::replace(self, Event::Empty)
            && reader.is_complete()
        {
            *told = reader.number().or(*told);
        }
    }
}

/// A part of a unit counts as one. Less than nothing is no cost.
fn cost(number: f64, max: u64) -> Option<u64> {
    let whole = number.ceil();
    // A float that is too large for the type becomes its largest value.
    (number >= 0.0).then(|| (whole as u64).min(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "application/json";
    const EVENTS: &str = "text/event-stream";

    /// Ten are taken in advance; up to 500 are believed, and 4096 bytes read.
    fn start(kind: &str) -> Option<Reading> {
        let head = HeaderMap::from_pairs([(":status", "200"), ("content-type", kind)]);
        let place = NumberPlace::parse("/usage/total_tokens").unwrap();
        Reading::new(&head, &place, (10, 500), 4096)
    }

    fn read(kind: &str, body: &str, size: usize) -> Settlement {
        let mut reading = start(kind).unwrap();
        for chunk in body.as_bytes().chunks(size) {
            reading.chunk(chunk);
        }
        reading.end()
    }

    fn usage(number: &str) -> String {
        format!(r#"{{"choices":[],"usage":{{"total_tokens":{number}}}}}"#)
    }

    // A price that is read wrongly is charged wrongly: what is no plain number of units must have one documented answer.
    #[test]
    fn a_number_becomes_a_cost() {
        for (number, settlement) in [
            ("10", Settlement::Even),
            ("4", Settlement::GiveBack(6)),
            ("0", Settlement::GiveBack(10)),
            ("-0", Settlement::GiveBack(10)),
            ("14", Settlement::Charge(4)),
            ("10.0", Settlement::Even),
            ("10.01", Settlement::Charge(1)),
            ("1.2e1", Settlement::Charge(2)),
            ("1e-9", Settlement::GiveBack(9)),
            ("1e3", Settlement::Charge(490)),
            ("1e999", Settlement::Charge(490)),
            ("99999999999999999999999", Settlement::Charge(490)),
            ("-4", Settlement::Untold),
            ("-1e999", Settlement::Untold),
            ("\"14\"", Settlement::Untold),
            ("null", Settlement::Untold),
            ("true", Settlement::Untold),
            ("[14]", Settlement::Untold),
        ] {
            for size in [1, 3, 1000] {
                assert_eq!(read(JSON, &usage(number), size), settlement, "{number}");
            }
        }
    }

    #[test]
    fn a_document_that_is_not_whole_says_nothing() {
        let whole = usage("14");
        assert_eq!(read(JSON, "", 1), Settlement::Untold);
        assert_eq!(read(JSON, "{}", 1), Settlement::Untold);
        for broken in [
            &whole[..whole.len() - 1],
            &format!("{whole}}}"),
            &format!("{whole} {whole}"),
            "<html>",
            &format!("{}1{}", "[".repeat(65), "]".repeat(65)),
            &format!("{}{whole}", " ".repeat(5000)),
        ] {
            for size in [1, 4095, 4096, 10_000] {
                assert_eq!(read(JSON, broken, size), Settlement::Unread, "{broken}");
            }
        }
        // As long as may be.
        let fits = format!("{}{whole}", " ".repeat(4096 - whole.len()));
        assert_eq!(read(JSON, &fits, 100), Settlement::Charge(4));
    }

    #[test]
    fn once_nothing_more_can_be_said_nothing_is_read() {
        let mut reading = start(JSON).unwrap();
        reading.chunk(b"<");
        assert!(!reading.goes_on());
        let mut reading = start(EVENTS).unwrap();
        reading.chunk(&[b' '; 4095]);
        assert!(reading.goes_on());
        reading.chunk(b"  ");
        assert!(!reading.goes_on());
    }

    // As the public interfaces of language models stream: usage is in the last event, or grows from event to event.
    #[test]
    fn of_an_event_stream_the_last_event_counts_that_says_it() {
        let event = |number: &str| format!("data: {}\n\n", usage(number));
        let delta =
            "event: delta\ndata: {\"choices\":[{\"text\":\"total_tokens\"}],\"usage\":null}\n\n";
        let done = "data: [DONE]\n\n";
        for (body, settlement) in [
            (
                format!("{delta}{delta}{}{done}", event("14")),
                Settlement::Charge(4),
            ),
            (
                format!("{}{delta}{}{delta}", event("3"), event("8")),
                Settlement::GiveBack(2),
            ),
            (
                format!("{delta}{}", event("14").replace('\n', "\r\n")),
                Settlement::Charge(4),
            ),
            (
                format!("{delta}{}", event("14").trim_end()),
                Settlement::Charge(4),
            ),
            (
                format!("{}data: {{\"usage\":{{\"total_tokens\":99", event("14")),
                Settlement::Charge(4),
            ),
            (
                "data: {\"usage\":\ndata: {\"total_tokens\":14}}\n\n".to_owned(),
                Settlement::Charge(4),
            ),
            (format!("{delta}{done}"), Settlement::Untold),
            (format!("{done}{}", event("-1")), Settlement::Untold),
            (format!(": {}", event("14")), Settlement::Untold),
            ("no event stream at all".to_owned(), Settlement::Untold),
            (String::new(), Settlement::Untold),
            (
                format!("{}: {}\n\n{}", event("14"), " ".repeat(5000), event("400")),
                Settlement::Charge(4),
            ),
        ] {
            for size in [1, 2, 7, 64, 10_000] {
                assert_eq!(read(EVENTS, &body, size), settlement, "{body} by {size}");
            }
        }
    }

    #[test]
    fn no_other_kind_of_body_is_read() {
        for kind in [
            "text/html",
            "application/grpc+json",
            "application/x-ndjson",
            "",
        ] {
            assert!(start(kind).is_none(), "{kind}");
        }
        assert!(start("text/event-stream; charset=utf-8").is_some());
    }
}
