//! Which of the two messages.

/// Which of the two messages of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What the client sends.
    Request,
    /// What the upstream answers.
    Response,
}
