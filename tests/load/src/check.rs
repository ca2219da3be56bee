//! That a variant does what it is measured for, before it is.

use crate::client::{Answer, Client};
use crate::variant::{Expected, Variant};

/// Asks once, and says what is missing from the answer.
pub(crate) fn check(variant: &Variant, client: &mut Client) -> Result<(), String> {
    let request = variant.requests.check();
    client
        .ask(&request, |answer| {
            if answer.status != variant.status {
                return Err(format!(
                    "answered {}, not {}: {}",
                    answer.status, variant.status, answer.head
                ));
            }
            variant
                .expected
                .iter()
                .try_for_each(|expected| look(expected, answer))
        })
        .flatten()?;
    if variant.expected.contains(&Expected::ForgedIsRefused) {
        let forged = variant.requests.forged().ok_or("no token is sent")?;
        let status = client.ask(&forged, |answer| answer.status)?;
        if status != 401 {
            return Err(format!("a forged token was answered {status}, not 401"));
        }
    }
    Ok(())
}

fn look(expected: &Expected, answer: &Answer<'_>) -> Result<(), String> {
    let holds = |part: &str| {
        let part = part.as_bytes();
        answer.body.windows(part.len()).any(|window| window == part)
    };
    let met = match expected {
        Expected::Header(name, value) => answer.header(name) == Some(value),
        Expected::HeaderIsThere(name) => answer.header(name).is_some(),
        Expected::NoHeader(name) => answer.header(name).is_none(),
        Expected::InBody(part) => holds(part),
        Expected::NotInBody(part) => !holds(part),
        Expected::ForgedIsRefused => true,
    };
    match met {
        true => Ok(()),
        false => Err(format!("expected {expected:?}, got {}", answer.head)),
    }
}
