//! How far it is, while it runs: one line that changes on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write, stderr};

/// Lines where there is no terminal.
const LINES: usize = 4;

/// A part of the work.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    steps: usize,
    done: usize,
    terminal: bool,
}

impl Progress {
    pub(crate) fn new(what: &'static str, steps: usize) -> Self {
        Self {
            what,
            steps,
            done: 0,
            terminal: stderr().is_terminal(),
        }
    }

    pub(crate) fn step(&mut self) {
        self.done += 1;
        let Self {
            what, steps, done, ..
        } = self;
        if self.terminal {
            // Nobody needs to know if the terminal has gone.
            let _ = write!(stderr(), "\r\x1b[Kbench: {what} {done}/{steps}");
            if done == steps {
                let _ = write!(stderr(), "\r\x1b[K");
            }
        } else if *done * LINES / *steps > (*done - 1) * LINES / *steps {
            eprintln!("bench: {what} {done}/{steps}");
        }
    }
}
