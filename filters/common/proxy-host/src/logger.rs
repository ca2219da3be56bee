//! The log crate's lines into Envoy's log.

use std::fmt::{self, Write as _};
use std::sync::Once;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::abi;

/// The longest line, in bytes.
const MAX_LINE: usize = 4096;

/// What a panic is logged as: Envoy's "critical", which no runtime level but "off" hides.
#[cfg(target_arch = "wasm32")]
const CRITICAL: u32 = 5;

static LOGGER: HostLogger = HostLogger;
static INSTALLED: Once = Once::new();

/// Makes the host's log the process's, and panics lines in it. The first call counts, further ones do nothing.
///
/// Envoy's level is asked for each line, so that a change of it at run time is followed.
pub fn install() {
    INSTALLED.call_once(|| {
        if log::set_logger(&LOGGER).is_ok() {
            log::set_max_level(LevelFilter::Trace);
        }
        // Natively a test's panic is the test runner's to show.
        #[cfg(target_arch = "wasm32")]
        std::panic::set_hook(Box::new(|panic| {
            let _ = abi::log(CRITICAL, line(format_args!("{panic}")).as_bytes());
        }));
    });
}

struct HostLogger;

impl Log for HostLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Without an answer a line is better written than lost.
        abi::log_level().map_or(true, |level| number(metadata.level()) >= level)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = line(*record.args());
            // A log line that cannot be written has nowhere to be reported.
            let _ = abi::log(number(record.level()), line.as_bytes());
        }
    }

    fn flush(&self) {}
}

const fn number(level: Level) -> u32 {
    match level {
        Level::Trace => 0,
        Level::Debug => 1,
        Level::Info => 2,
        Level::Warn => 3,
        Level::Error => 4,
    }
}

/// One line of at most [`MAX_LINE`] bytes. Control characters become spaces: a line end would forge a line.
fn line(arguments: fmt::Arguments<'_>) -> String {
    let mut line = Line(String::new());
    // The only error is that the line is full; what fits is kept.
    let _ = line.write_fmt(arguments);
    line.0
}

struct Line(String);

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let character = if character.is_control() {
                ' '
            } else {
                character
            };
            if self.0.len().saturating_add(character.len_utf8()) > MAX_LINE {
                return Err(fmt::Error);
            }
            self.0.push(character);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A path with a line end in it could otherwise write a second, forged line.
    #[test]
    fn a_line_is_one_line() {
        let text = "path=/a\r\n[info] admin logged in\u{85}\0\x1b[31m";
        let line = line(format_args!("{text}"));
        assert_eq!(line, "path=/a  [info] admin logged in   [31m");
    }

    // A megabyte of header in a line would be copied into the host's log for every request.
    #[test]
    fn a_line_is_bounded() {
        let line = line(format_args!("{}", "é".repeat(MAX_LINE)));
        assert_eq!(line.len(), MAX_LINE);
    }
}
