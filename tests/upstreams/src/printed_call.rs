//! `upstreams call`: one gRPC call, printed.

use std::error::Error;
use std::fmt::Debug;
use std::io::{Write, stdout};
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_stream::{Stream, StreamExt};
use tonic::{Response, Status};
use upstreams::Channel;
use upstreams::stock::stock_client::StockClient;
use upstreams::stock::{AdjustRequest, GetRequest, ReserveRequest, WatchRequest};

/// What the command line says.
#[derive(Default)]
pub(crate) struct Call {
    address: String,
    ca: Option<PathBuf>,
    headers: Vec<(String, String)>,
    include: bool,
    method: String,
    message: String,
}

impl Call {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut call = Self::default();
        let mut rest = Vec::new();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--include" | "-i" => call.include = true,
                "--address" => call.address = value()?,
                "--ca" => call.ca = Some(value()?.into()),
                "--header" | "-H" => {
                    let header = value()?;
                    let (name, text) = header.split_once(':').ok_or("--header is NAME:VALUE")?;
                    call.headers
                        .push((name.trim().to_ascii_lowercase(), text.trim().into()));
                }
                option if option.starts_with('-') => {
                    return Err(format!("{option} is no option").into());
                }
                _ => rest.push(word),
            }
        }
        [call.method, call.message] = <[String; 2]>::try_from(rest)
            .map_err(|_| "wanted are a method and a message: Stock/Get '{\"id\":\"7\"}'")?;
        Ok(call)
    }

    /// Makes the call. Messages are printed one a line as they come, then the status; true if that is OK.
    pub(crate) async fn make(&self) -> Result<bool, Box<dyn Error>> {
        let ca = match &self.ca {
            Some(file) => Some(std::fs::read_to_string(file)?),
            None => None,
        };
        let mut channel = Channel::connect(&self.address, ca.as_deref()).await?;
        for (name, value) in &self.headers {
            channel = channel.header(name, value)?;
        }
        let mut stock = StockClient::with_origin(channel.clone(), channel.origin());
        match self.method.as_str() {
            "Stock/Get" => {
                let answer = stock.get(self.message::<GetRequest>()?).await;
                self.print(&channel, answer.map(alone)).await
            }
            "Stock/Adjust" => {
                let answer = stock.adjust(self.message::<AdjustRequest>()?).await;
                self.print(&channel, answer.map(alone)).await
            }
            "Stock/Watch" => {
                let answer = stock.watch(self.message::<WatchRequest>()?).await;
                self.print(&channel, answer).await
            }
            "Stock/Reserve" => {
                let messages: Vec<ReserveRequest> = self.message()?;
                let answer = stock.reserve(tokio_stream::iter(messages)).await;
                self.print(&channel, answer).await
            }
            other => Err(format!(
                "no method {other}; there are Stock/Get, Stock/Watch, Stock/Adjust, Stock/Reserve"
            )
            .into()),
        }
    }

    fn message<T: DeserializeOwned>(&self) -> Result<T, Box<dyn Error>> {
        Ok(serde_json::from_str(&self.message)?)
    }

    async fn print<T: Serialize>(
        &self,
        channel: &Channel,
        answer: Result<Response<impl Stream<Item = Result<T, Status>> + Unpin>, Status>,
    ) -> Result<bool, Box<dyn Error>> {
        let mut out = stdout().lock();
        if self.include
            && let Some(head) = channel.last_head()
        {
            writeln!(out, "HTTP/2 {}", head.status.as_u16())?;
            for (name, value) in &head.headers {
                // In a refusal these are the end of the answer too, and printed there.
                if !name.as_str().starts_with("grpc-") {
                    let value = String::from_utf8_lossy(value.as_bytes());
                    writeln!(out, "{name}: {value}")?;
                }
            }
            writeln!(out)?;
        }
        let status = match answer {
            Err(status) => Some(status),
            Ok(answer) => {
                let mut messages = answer.into_inner();
                loop {
                    match messages.next().await {
                        None => break None,
                        Some(Err(status)) => break Some(status),
                        Some(Ok(message)) => {
                            writeln!(out, "{}", serde_json::to_string(&message)?)?;
                            out.flush()?;
                        }
                    }
                }
            }
        };
        match &status {
            None => writeln!(out, "grpc-status: 0 OK")?,
            Some(status) => {
                let code = status.code();
                writeln!(out, "grpc-status: {} {}", code as i32, spelled(code))?;
                writeln!(out, "grpc-message: {}", status.message())?;
            }
        }
        Ok(status.is_none())
    }
}

/// A single answer as a stream of one.
fn alone<T>(answer: Response<T>) -> Response<impl Stream<Item = Result<T, Status>> + Unpin> {
    answer.map(|message| tokio_stream::iter([Ok(message)]))
}

/// `NotFound` as the protocol spells it: `NOT_FOUND`.
fn spelled(code: impl Debug) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
