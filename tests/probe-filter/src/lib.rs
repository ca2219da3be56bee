//! A filter that does what a request header tells it to, so that beliefs about the host can be tried on a real one.
