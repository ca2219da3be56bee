//! Where credentials are in a request: finding them, and taking them out of it.

use std::borrow::Cow;

use filter_config::{ConfigError, FieldPath, Text};
use http_message::{
    HeaderEdits, HeaderMap, HeaderName, HeaderValue, NamePatterns, Occurrence, Query, RequestHead,
    is_reserved_request_header,
};

use crate::config::SourceConfig;
use crate::upstream::remove_matching;

const BEARER: &[u8] = b"bearer";
const COOKIE: HeaderName = HeaderName::from_static("cookie");

/// Where credentials are looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    headers: Vec<(HeaderName, String)>,
    header_spellings: NamePatterns,
    /// The scheme under which `authorization` carries API keys.
    scheme: Option<String>,
    query: Vec<String>,
    cookies: Vec<String>,
    bearer: bool,
}

/// What a request presents of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Presented<'a> {
    /// Nothing.
    Nothing,
    /// One credential, not yet checked.
    One(Cow<'a, [u8]>),
    /// Several, or the same one twice: which of them counts would be for each reader to guess.
    Several,
    /// Something in the place of a credential that cannot be one.
    Unreadable,
}

/// What was taken out of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stripped {
    /// Whether there was a credential.
    pub(crate) any: bool,
    /// The request target without keys, if it held one.
    pub(crate) path: Option<Vec<u8>>,
}

/// The target without its key is more than may be written to a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CannotStrip;

impl Sources {
    /// Compiles the places of API keys; `bearer` says whether tokens are looked for.
    pub(crate) fn compile(
        sources: Vec<SourceConfig>,
        bearer: bool,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let mut compiled = Self {
            bearer,
            ..Self::default()
        };
        for (index, source) in sources.into_iter().enumerate() {
            let at = at.index(index);
            if source.prefix.is_some() && source.header.is_none() {
                let reason = "only a header has a prefix";
                return Err(ConfigError::new(&at.field("prefix"), reason));
            }
            match (source.header, source.query, source.cookie) {
                (Some(name), None, None) => {
                    let prefix = source.prefix.map_or_else(String::new, Text::into_inner);
                    if name.as_str() == "authorization" && !prefix.is_empty() {
                        compiled.add_scheme(&prefix, &at.field("prefix"))?;
                        continue;
                    }
                    let at = at.field("header");
                    if is_reserved_request_header(&name) {
                        return Err(ConfigError::new(
                            &at,
                            "this header has a meaning of its own: choose another",
                        ));
                    }
                    if compiled.header_spellings.matches(name.as_bytes()) {
                        return Err(ConfigError::new(&at, "another source has the same header"));
                    }
                    compiled.header_spellings.add_name(&name);
                    compiled.headers.push((name, prefix));
                }
                (None, None, Some(name)) => {
                    let at = at.field("cookie");
                    if !is_cookie_name(name.as_str()) {
                        let reason = "the name of a cookie is visible ASCII without separators (RFC 6265 section 4.1.1)";
                        return Err(ConfigError::new(&at, reason));
                    }
                    if compiled.cookies.iter().any(|other| other == name.as_str()) {
                        return Err(ConfigError::new(&at, "another source has the same cookie"));
                    }
                    compiled.cookies.push(name.into_inner());
                }
                (None, Some(name), None) => {
                    if compiled.query.iter().any(|other| other == name.as_str()) {
                        return Err(ConfigError::new(
                            &at.field("query"),
                            "another source has the same parameter",
                        ));
                    }
                    compiled.query.push(name.as_str().to_owned());
                }
                _ => {
                    return Err(ConfigError::new(
                        &at,
                        "expected exactly one of header, query, cookie",
                    ));
                }
            }
        }
        Ok(compiled)
    }

    fn add_scheme(&mut self, prefix: &str, at: &FieldPath) -> Result<(), ConfigError> {
        let scheme = prefix.strip_suffix(' ').unwrap_or_default();
        let is_token = !scheme.is_empty() && HeaderName::try_from(scheme).is_ok();
        let reason = if !is_token {
            "in authorization a prefix is a scheme and a space: \"ApiKey \""
        } else if scheme.eq_ignore_ascii_case("bearer") {
            "this scheme is for tokens: choose another"
        } else if self.scheme.is_some() {
            "another source has a scheme in authorization"
        } else {
            self.scheme = Some(scheme.to_owned());
            return Ok(());
        };
        Err(ConfigError::new(at, reason))
    }

    /// The scheme in `authorization` under which API keys are sent, if they are.
    pub(crate) fn key_scheme(&self) -> Option<&str> {
        self.scheme.as_deref()
    }

    /// The names of headers that carry a credential.
    pub(crate) fn header_names(&self) -> &NamePatterns {
        &self.header_spellings
    }

    /// The API key that a request presents.
    pub(crate) fn api_key<'a>(&self, head: &'a RequestHead) -> Presented<'a> {
        let mut found = Presented::Nothing;
        let mut add = |next: Presented<'a>| {
            found = match (&found, next) {
                (Presented::Nothing, next) => next,
                _ => Presented::Several,
            };
        };
        for (name, prefix) in &self.headers {
            match head.headers().occurrence(name.as_str()) {
                Occurrence::Absent => {}
                Occurrence::Once(value) => add(match value.strip_prefix(prefix.as_bytes()) {
                    Some(key) => Presented::One(Cow::Borrowed(key)),
                    None => Presented::Unreadable,
                }),
                Occurrence::Repeated => add(Presented::Several),
            }
        }
        if let Some(scheme) = &self.scheme {
            match head.headers().occurrence("authorization") {
                Occurrence::Absent => {}
                Occurrence::Once(value) => match of_scheme(value, scheme.as_bytes()) {
                    Presented::Nothing => {}
                    presented => add(presented),
                },
                Occurrence::Repeated => add(Presented::Several),
            }
        }
        for name in &self.cookies {
            for value in cookies(head.headers()).filter_map(|pair| cookie_value(pair, name)) {
                add(Presented::One(Cow::Borrowed(value)));
            }
        }
        for name in &self.query {
            for value in head.query().values(name) {
                add(Presented::One(value));
            }
        }
        found
    }

    /// The bearer token that a request presents (RFC 6750 section 2.1). Other schemes are none of ours.
    pub(crate) fn bearer<'a>(&self, head: &'a RequestHead) -> Presented<'a> {
        if !self.bearer {
            return Presented::Nothing;
        }
        match head.headers().occurrence("authorization") {
            Occurrence::Absent => Presented::Nothing,
            Occurrence::Once(value) => of_scheme(value, BEARER),
            Occurrence::Repeated => Presented::Several,
        }
    }

    /// Takes every credential out of a request.
    pub(crate) fn strip(
        &self,
        head: &RequestHead,
        edits: &mut HeaderEdits,
    ) -> Result<Stripped, CannotStrip> {
        let mut any = self.strip_headers(head.headers(), edits);
        let path = self.path_without_keys(head);
        if let Some(path) = &path {
            edits.set_path(HeaderValue::try_from(path.as_slice()).map_err(|_| CannotStrip)?);
            any = true;
        }
        Ok(Stripped { any, path })
    }

    /// Takes every credential out of a map of headers or trailers; says whether there was one.
    pub(crate) fn strip_headers(&self, headers: &HeaderMap, edits: &mut HeaderEdits) -> bool {
        let keys = remove_matching(&self.header_spellings, headers, edits);
        let scheme = self.scheme.as_deref().map(str::as_bytes);
        let schemes = [self.bearer.then_some(BEARER), scheme];
        let sent = |value: &[u8]| {
            let mut schemes = schemes.into_iter().flatten();
            schemes.any(|scheme| of_scheme(value, scheme) != Presented::Nothing)
        };
        let authorization = headers.get_all("authorization").any(sent);
        if authorization {
            edits.remove(b"authorization");
        }
        let cookies = self.strip_cookies(headers, edits);
        keys || authorization || cookies
    }

    /// Takes the cookies that carry keys out, and leaves the others, in one header.
    fn strip_cookies(&self, headers: &HeaderMap, edits: &mut HeaderEdits) -> bool {
        let is_ours = |pair: &&[u8]| {
            let mut names = self.cookies.iter();
            names.any(|name| cookie_value(pair, name).is_some())
        };
        if self.cookies.is_empty() || !cookies(headers).any(|pair| is_ours(&pair)) {
            return false;
        }
        let others: Vec<&[u8]> = cookies(headers).filter(|pair| !is_ours(pair)).collect();
        let others = others.join(&b"; "[..]);
        match HeaderValue::try_from(others.as_slice()) {
            Ok(value) if !others.is_empty() => edits.set(COOKIE, value),
            // Nothing is left, or more than may be written.
            _ => edits.remove(COOKIE.as_bytes()),
        }
        true
    }

    /// The request target without the parameters that carry keys, if there are any.
    fn path_without_keys(&self, head: &RequestHead) -> Option<Vec<u8>> {
        self.query.iter().fold(None, |path: Option<Vec<u8>>, name| {
            Query::of(path.as_deref().unwrap_or(head.raw_path()))
                .without(name)
                .or(path)
        })
    }
}

/// What is between the semicolons of all `cookie` headers (RFC 6265 section 4.2.1): HTTP/2 clients send several.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all("cookie")
        .flat_map(|value| value.split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty())
}

/// The value of a cookie, if it has this name.
fn cookie_value<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut parts = pair.splitn(2, |byte| *byte == b'=');
    let is_it = parts.next()?.trim_ascii() == name.as_bytes();
    let value = parts.next().unwrap_or_default();
    is_it.then_some(value.trim_ascii())
}

fn is_cookie_name(name: &str) -> bool {
    HeaderName::try_from(name).is_ok()
}

/// The credential of an `Authorization` value (RFC 9110 section 11.6.2), if it is of this scheme, in any case.
fn of_scheme<'a>(value: &'a [u8], wanted: &[u8]) -> Presented<'a> {
    let value = value.trim_ascii_start();
    let Some((scheme, rest)) = value.split_at_checked(wanted.len()) else {
        return behind_another_scheme(value, wanted);
    };
    if !scheme.eq_ignore_ascii_case(wanted) {
        return behind_another_scheme(value, wanted);
    }
    match rest.split_first() {
        // `Bearer` and nothing more: meant as ours, and not a token.
        None => Presented::Unreadable,
        Some((b' ', _)) => {
            let token = rest.trim_ascii();
            let is_one = !token.is_empty()
                && token
                    .iter()
                    .all(|byte| byte.is_ascii_graphic() && *byte != b',');
            if is_one {
                Presented::One(Cow::Borrowed(token))
            } else {
                Presented::Unreadable
            }
        }
        // `Bearer<tab>x`, `Bearer,x`, `Bearer=x`: some reader may take these for ours. `BearerX` is another scheme.
        Some((byte, _)) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') => {
            behind_another_scheme(value, wanted)
        }
        Some(_) => Presented::Unreadable,
    }
}

/// Envoy joins two `Authorization` headers with a comma, so a token may stand behind credentials of another scheme.
fn behind_another_scheme<'a>(value: &'a [u8], wanted: &[u8]) -> Presented<'a> {
    let has_token = value
        .split(|byte| *byte == b',')
        .skip(1)
        .filter_map(|part| part.trim_ascii_start().split_at_checked(wanted.len()))
        .any(|(scheme, rest)| {
            scheme.eq_ignore_ascii_case(wanted) && matches!(rest.first(), None | Some(b' ' | b'\t'))
        });
    if has_token {
        Presented::Several
    } else {
        Presented::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(token: &str) -> Presented<'_> {
        Presented::One(Cow::Borrowed(token.as_bytes()))
    }

    fn head<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> RequestHead {
        RequestHead::new(HeaderMap::from_pairs(pairs))
    }

    fn sources() -> Sources {
        Sources {
            headers: vec![(HeaderName::from_static("x-api-key"), String::new())],
            scheme: None,
            cookies: vec![],
            header_spellings: NamePatterns::new(["x-api-key"]).unwrap(),
            query: vec!["api_key".into(), "key".into()],
            bearer: true,
        }
    }

    fn stripped(head: &RequestHead) -> (Vec<Vec<u8>>, Option<String>) {
        let mut edits = HeaderEdits::new();
        let stripped = sources().strip(head, &mut edits).unwrap();
        let names: Vec<_> = edits.iter().map(|edit| edit.name().to_vec()).collect();
        assert_eq!(stripped.any, !names.is_empty());
        (
            names,
            stripped.path.map(|path| String::from_utf8(path).unwrap()),
        )
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        for value in [
            "Bearer a.b.c",
            "bEaReR a.b.c",
            "bearer   a.b.c ",
            " Bearer a.b.c",
        ] {
            assert_eq!(of_scheme(value.as_bytes(), BEARER), one("a.b.c"), "{value}");
        }
    }

    #[test]
    fn other_schemes_are_left_alone() {
        for value in [
            "",
            "Basic YTpi",
            "Bear a",
            "Bearers a",
            "Bearer-x a",
            "DPoP a.b.c",
            "Digest username=\"bearer\", realm=\"Bearer\", nc=1",
        ] {
            assert_eq!(
                of_scheme(value.as_bytes(), BEARER),
                Presented::Nothing,
                "{value}"
            );
        }
    }

    // Overlooked, a token behind another scheme would reach the upstream unchecked where no credential is needed.
    #[test]
    fn a_token_behind_another_scheme_is_one_credential_too_many() {
        for value in [
            "Basic YTpi,Bearer a.b.c",
            "Basic YTpi, bEARER a.b.c",
            "x, y,Bearer a",
            "Basic YTpi,Bearer\ta.b.c",
            "Basic YTpi, bearer",
            "Bearers a,Bearer b",
        ] {
            assert_eq!(
                of_scheme(value.as_bytes(), BEARER),
                Presented::Several,
                "{value}"
            );
        }
    }

    #[test]
    fn what_is_nearly_a_token_is_not_overlooked() {
        // Overlooked, it would pass an anonymous rule unchecked and reach an upstream that reads it more kindly.
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer a.b.c, Bearer d.e.f",
            "Bearer a b",
            "Bearer\ta.b.c",
            "Bearer,a",
            "Bearer \u{e9}",
        ] {
            assert_eq!(
                of_scheme(value.as_bytes(), BEARER),
                Presented::Unreadable,
                "{value:?}"
            );
        }
    }

    #[test]
    fn one_key_in_one_place_is_a_key() {
        let head = head([("x-api-key", "k")]);
        assert_eq!(sources().api_key(&head), one("k"));
        let head = self::head([(":path", "/a?b=c&api%5Fkey=k%2B+1")]);
        assert_eq!(sources().api_key(&head), one("k+ 1"));
        assert_eq!(
            sources().api_key(&self::head([(":path", "/a?b=c")])),
            Presented::Nothing
        );
    }

    #[test]
    fn two_credentials_are_never_one() {
        // Another reader could take the other one.
        for pairs in [
            vec![("x-api-key", "k"), ("x-api-key", "k")],
            vec![("x-api-key", "k"), (":path", "/?api_key=k")],
            vec![(":path", "/?api_key=k&api_key=k")],
            vec![(":path", "/?api_key=k&key=l")],
        ] {
            assert_eq!(
                sources().api_key(&head(pairs.clone())),
                Presented::Several,
                "{pairs:?}"
            );
        }
        let twice = head([
            ("authorization", "Bearer a.b.c"),
            ("authorization", "Basic x"),
        ]);
        assert_eq!(sources().bearer(&twice), Presented::Several);
    }

    #[test]
    fn credentials_go_in_every_spelling_and_the_rest_stays() {
        let head = head([
            (":path", "/a%20b?x=1&api_key=k&%79=2&key=l"),
            ("x_api_key", "k"),
            ("X-Api-Key", "k"),
            ("authorization", "bearer a.b.c"),
            ("accept", "*/*"),
        ]);
        let (names, path) = stripped(&head);
        let names: Vec<_> = names
            .iter()
            .map(|name| str::from_utf8(name).unwrap())
            .collect();
        assert_eq!(names, ["x_api_key", "X-Api-Key", "authorization", ":path"]);
        assert_eq!(path.as_deref(), Some("/a%20b?x=1&%79=2"));
    }

    #[test]
    fn nothing_is_stripped_where_nothing_is_ours() {
        let head = head([
            (":path", "/?x=1"),
            ("authorization", "Basic YTpi"),
            ("x-api", "k"),
        ]);
        assert_eq!(stripped(&head), (vec![], None));
    }

    #[test]
    fn tokens_are_none_of_ours_without_a_provider() {
        let keys_only = Sources {
            bearer: false,
            ..sources()
        };
        let head = head([("authorization", "Bearer opaque")]);
        assert_eq!(keys_only.bearer(&head), Presented::Nothing);
        let mut edits = HeaderEdits::new();
        assert!(!keys_only.strip(&head, &mut edits).unwrap().any);
        assert!(edits.is_empty());
    }

    #[test]
    fn a_key_that_cannot_be_taken_out_does_not_pass() {
        let path = format!("/?api_key=k&x={}", "x".repeat(9_000));
        let mut edits = HeaderEdits::new();
        assert!(
            sources()
                .strip(&head([(":path", path.as_str())]), &mut edits)
                .is_err()
        );
    }
}
