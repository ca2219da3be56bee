//! Any template and any request: it is filled within its bound, and what a client sends is never read as a template.
//!
//! An input is the template, `---`, and the request.

use std::time::Duration;

use filter_config::FieldPath;
use http_message::{HeaderName, is_token};
use identity::Identity;
use request_match::{Placement, RequestMatch};
use serde_json::json;
use transform_policy::{Direction, Facts, Parsed, Scope, Sources, Template};

use crate::{join, parts, request};

const LIMIT: usize = 8 * 1024;

/// # Panics
/// A filled template is longer than it may be, or a header of the request does not come out as it is.
pub fn run(input: &[u8]) {
    let Some((text, request)) = parts(input) else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let head = request::read(request);
    let said = String::from_utf8_lossy(request).into_owned();
    let identity = Identity {
        subject: Some(said.clone()),
        groups: vec![said.clone(), said.clone()],
        claims: vec![("a".to_owned(), said)],
        ..Identity::anonymous()
    };
    let mut facts = Facts::default();
    facts.route = Some(request.to_vec());
    let sources = Sources {
        head: &head,
        identity: Some(&identity),
        facts: &facts,
        now: Duration::from_secs(1_800_000_000),
        response: Some(head.headers()),
        captures: &[("a", request)],
    };
    if let Some(template) = template(text)
        && let Ok(filled) = template.fill(&sources, LIMIT)
    {
        assert!(filled.len() <= LIMIT);
    }
    let names = head.headers().iter().map(|(name, _)| name);
    let names = names.filter_map(|name| std::str::from_utf8(name).ok());
    // A name may be longer in a request than a configuration may write it.
    let is_writable = |name: &&str| is_token(name) && HeaderName::try_from(*name).is_ok();
    for name in names.filter(is_writable) {
        let written = name.replace('|', "\\|");
        let copy = template(&format!("<${{header:{written}}}>")).expect("a header is a source");
        let Ok(filled) = copy.fill(&sources, LIMIT) else {
            continue;
        };
        let values: Vec<&[u8]> = head.headers().get_all(name).collect();
        assert_eq!(filled, [b"<", &*values.join(&b", "[..]), b">"].concat());
    }
}

fn template(text: &str) -> Option<Template> {
    let config = json!({ "path": { "template": "/{a}/{rest=**}" } });
    let config = filter_config::from_value(config).expect("a match");
    let placement = Placement { identity: true };
    let matcher =
        RequestMatch::compile(config, &FieldPath::root(), placement).expect("a good match");
    let scope = Scope {
        direction: Direction::Response,
        matcher: &matcher,
        captures: &["a".to_owned()],
    };
    match Template::parse(text, scope, &FieldPath::root()) {
        Ok(Parsed::Template(template)) => Some(template),
        Ok(Parsed::Plain(_)) | Err(_) => None,
    }
}

/// Templates of every source and function.
pub fn seeds() -> Vec<Vec<u8>> {
    let request =
        "GET /a/b/c?q=${status}&q=%0d\nx-a: ${header:x-b}\nx-a: 2\nx-b: }|\ncookie: c=1; d=2";
    let templates = [
        "crm ${claim:a|default:free|upper} $${x}",
        "${header:x-a}${query:q}${cookie:c}${path}${path_parameter:rest}",
        "${method}${host}${route}${request_id}${address}${tls:sni}${status}",
        "${identity:groups|json}${identity:subject|urlencode|base64}${label:b|sha256}",
        "${time:unix} ${time:rfc3339} ${response_header:x-a|trim|lower} ${capture:a}",
        "${claim:a\\|b|default:\\}}",
        "${",
    ];
    templates
        .iter()
        .map(|template| join(template, request))
        .collect()
}
