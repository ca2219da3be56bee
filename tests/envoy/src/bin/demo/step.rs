//! One step of the tour: a command, and what must come of it.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::answer::Answer;
use crate::backstage::Backstage;

/// How long a crash waits for the requests that it is to meet.
const CRASH_WITHIN: Duration = Duration::from_secs(5);

/// A command that a reader can paste, and what is expected of it.
pub(crate) struct Step {
    pub(crate) title: &'static str,
    /// A line for a shell: what is shown is what is run.
    pub(crate) command: String,
    /// Headers of the answer that tell something.
    pub(crate) headers: &'static [&'static str],
    /// Headers whose fate the upstream tells.
    pub(crate) upstream: &'static [&'static str],
    pub(crate) expect: Vec<Expect>,
    /// A replica that crashes while the command runs, and is started again after it.
    pub(crate) crash: Option<Crash>,
}

/// A replica that crashes once its cluster has had that many requests.
pub(crate) struct Crash {
    pub(crate) cluster: &'static str,
    pub(crate) replica: &'static str,
    pub(crate) after: u64,
}

/// One thing that must be so.
pub(crate) enum Expect {
    Status(u16),
    /// A header of the answer holds that text.
    Header(&'static str, &'static str),
    /// The answer has no such header.
    NoHeader(&'static str),
    /// The upstream got that header with that one value.
    Sees(&'static str, &'static str),
    /// The upstream did not get that header.
    SeesNo(&'static str),
    /// The upstream got a body that holds that text.
    SeesBody(&'static str),
    /// The upstream got a body that does not hold that text.
    SeesNoBody(&'static str),
    Service(&'static str),
    Path(&'static str),
    /// The body holds that text.
    Body(&'static str),
    /// What was printed does not hold that text.
    Never(&'static str),
    /// What was printed is as the words say.
    Printed(&'static str, fn(&str) -> bool),
    /// The access log has that value in that field.
    Logged(&'static str, &'static str),
    /// A counter of Envoy's went up by what the words say.
    Counted(&'static str, &'static str, fn(&str) -> u64),
}

/// What came of a step.
pub(crate) struct Outcome {
    /// All that the command printed.
    pub(crate) printed: String,
    /// The same as an answer, if it is one.
    pub(crate) answer: Option<Answer>,
    /// The access log's line.
    pub(crate) logged: Option<Value>,
    /// Whether there is an access log to look into.
    log_is_there: bool,
    /// What was not as expected.
    pub(crate) verdict: Result<(), Vec<String>>,
}

impl Step {
    /// A step that expects only this.
    pub(crate) fn new(title: &'static str, command: String, expect: Vec<Expect>) -> Self {
        Self {
            title,
            command,
            headers: &[],
            upstream: &[],
            expect,
            crash: None,
        }
    }

    /// Shows these headers of the answer.
    pub(crate) fn headers(mut self, names: &'static [&'static str]) -> Self {
        self.headers = names;
        self
    }

    /// Shows what became of these headers on their way to the upstream.
    pub(crate) fn upstream(mut self, names: &'static [&'static str]) -> Self {
        self.upstream = names;
        self
    }

    /// Lets a replica crash meanwhile.
    pub(crate) fn crash(mut self, crash: Crash) -> Self {
        self.crash = Some(crash);
        self
    }

    /// Runs the command and compares.
    pub(crate) fn take(&self, backstage: &dyn Backstage) -> Outcome {
        let before = self.counters(backstage);
        let (printed, crashed) = match &self.crash {
            Some(crash) => thread::scope(|scope| {
                let crashing = scope.spawn(|| crash.happen(backstage));
                let printed = run(&self.command);
                let crashed = crashing.join().unwrap_or(Some(false));
                let back = backstage.start_again(crash.replica);
                (printed, crashed != Some(false) && back != Some(false))
            }),
            None => (run(&self.command), true),
        };
        let answer = Answer::parse(&printed);
        // Envoy gives the id of a request back, and writes it into its access log.
        let logged = answer
            .as_ref()
            .and_then(|answer| answer.header("x-request-id").next())
            .and_then(|id| backstage.logged(id));
        let mut outcome = Outcome {
            printed,
            answer,
            logged,
            log_is_there: backstage.has_log(),
            verdict: Ok(()),
        };
        let after = self.counters(backstage);
        let mut wrong: Vec<_> = self
            .expect
            .iter()
            .filter_map(|expect| expect.difference(&outcome, &before, &after))
            .collect();
        if !crashed {
            wrong.push("the replica did not crash and come back".into());
        }
        if !wrong.is_empty() {
            outcome.verdict = Err(wrong);
        }
        outcome
    }

    /// The counters that this step watches.
    fn counters(&self, backstage: &dyn Backstage) -> Vec<(&'static str, Option<u64>)> {
        let watched = self.expect.iter().filter_map(|expect| match expect {
            Expect::Counted(name, ..) => Some(*name),
            _ => None,
        });
        watched
            .map(|name| (name, backstage.counter(name)))
            .collect()
    }
}

impl Crash {
    /// Waits for the requests, where they can be counted, and crashes; whether it did. None where nothing can be stopped.
    fn happen(&self, backstage: &dyn Backstage) -> Option<bool> {
        let name = format!("cluster.{}.upstream_rq_total", self.cluster);
        let wanted = backstage.counter(&name).map(|before| before + self.after);
        let deadline = Instant::now() + CRASH_WITHIN;
        while wanted.is_some_and(|wanted| backstage.counter(&name) < Some(wanted)) {
            if Instant::now() > deadline {
                return Some(false);
            }
            thread::sleep(Duration::from_millis(5));
        }
        backstage.stop(self.replica)
    }
}

impl Expect {
    fn difference(
        &self,
        outcome: &Outcome,
        before: &[(&str, Option<u64>)],
        after: &[(&str, Option<u64>)],
    ) -> Option<String> {
        let answer = outcome.answer.as_ref();
        let printed = outcome.printed.as_str();
        let echo = || answer.and_then(Answer::echo);
        let has = |name: &str, part: &str| {
            answer.is_some_and(|answer| answer.header(name).any(|value| value.contains(part)))
        };
        let sees = |name: &str| echo().map(|echo| echo.header(name).join(", "));
        let (holds, wanted) = match self {
            Self::Status(status) => (
                answer.is_some_and(|answer| answer.status == *status),
                format!("status {status}"),
            ),
            Self::Header(name, part) => (has(name, part), format!("{name}: {part}")),
            Self::NoHeader(name) => (
                answer.is_some() && !has(name, ""),
                format!("no header {name}"),
            ),
            Self::Sees(name, value) => (
                sees(name).as_deref() == Some(*value),
                format!("the upstream to see {name}: {value}"),
            ),
            Self::SeesNo(name) => (
                sees(name).as_deref() == Some(""),
                format!("the upstream to see no {name}"),
            ),
            Self::SeesBody(part) => (
                echo().is_some_and(|echo| echo.body.contains(part)),
                format!("the upstream to see {part} in the body"),
            ),
            Self::SeesNoBody(part) => (
                echo().is_some_and(|echo| !echo.body.contains(part)),
                format!("the upstream to see no {part} in the body"),
            ),
            Self::Service(name) => (
                echo().is_some_and(|echo| echo.service == *name),
                format!("an answer of the service {name}"),
            ),
            Self::Path(path) => (
                echo().is_some_and(|echo| echo.path == *path),
                format!("the upstream to see the path {path}"),
            ),
            Self::Body(part) => (
                answer.is_some_and(|answer| answer.body.contains(part)),
                format!("{part} in the body"),
            ),
            Self::Never(part) => (
                !printed.is_empty() && !printed.contains(part),
                format!("no {part} anywhere"),
            ),
            Self::Printed(words, so) => (so(printed), (*words).into()),
            Self::Logged(field, value) => (
                // Where nobody sees the log there is nothing to compare.
                match &outcome.logged {
                    Some(entry) => entry[*field] == *value,
                    None => answer.is_some() && !outcome.log_is_there,
                },
                format!("{field}={value} in the access log"),
            ),
            Self::Counted(name, words, by) => {
                let value = |counters: &[(&str, Option<u64>)]| {
                    let counter = counters.iter().find(|(other, _)| other == name);
                    counter.and_then(|(_, value)| *value)
                };
                (
                    match (value(before), value(after)) {
                        (Some(before), Some(after)) => after - before == by(printed),
                        _ => true,
                    },
                    format!("{name} to go up by {words}"),
                )
            }
        };
        (!holds).then(|| format!("expected {wanted}"))
    }
}

/// What a command prints, on either stream.
fn run(command: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) => {
            let mut printed = output.stdout;
            printed.extend(output.stderr);
            String::from_utf8_lossy(&printed).into_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// The number in front of a line that `uniq -c` printed; none of that line is 0.
pub(crate) fn times(printed: &str, line: &str) -> u64 {
    let counted = printed.lines().find_map(|counted| {
        let (count, rest) = counted.trim().split_once(' ')?;
        (rest.trim() == line).then(|| count.parse().ok())?
    });
    counted.unwrap_or(0)
}

/// How many answers of that status `uniq -c` counted, whatever the protocol.
pub(crate) fn answers(printed: &str, status: &str) -> u64 {
    let counts = printed.lines().filter_map(|counted| {
        let mut words = counted.split_whitespace();
        let count: u64 = words.next()?.parse().ok()?;
        let protocol = words.next()?;
        (protocol.starts_with("HTTP/") && words.next() == Some(status)).then_some(count)
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Without it a step could count nothing, and two nothings are equal.
    #[test]
    fn counted_lines_are_read() {
        let printed =
            "     19 HTTP/2 200\n      3 HTTP/1.1 429 Too Many Requests\n      3 retry-after: 1\n";
        assert_eq!(answers(printed, "200"), 19);
        assert_eq!(answers(printed, "429"), 3);
        assert_eq!(answers(printed, "401"), 0);
        assert_eq!(times(printed, "retry-after: 1"), 3);
        assert_eq!(times(printed, "retry-after: 2"), 0);
    }
}
