//! `google.protobuf.FileDescriptorSet`, as far as REST forms of gRPC methods need it.

use std::collections::BTreeSet;

use prost::Message;

/// Field numbers are those of `google/protobuf/descriptor.proto` and `google/api/http.proto`.
#[derive(Clone, Message)]
pub(super) struct Set {
    #[prost(message, repeated, tag = "1")]
    pub(super) files: Vec<File>,
}

#[derive(Clone, Message)]
pub(super) struct File {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) package: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) dependencies: Vec<String>,
    #[prost(message, repeated, tag = "6")]
    pub(super) services: Vec<Service>,
    #[prost(string, tag = "12")]
    pub(super) syntax: String,
}

#[derive(Clone, Message)]
pub(super) struct Service {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) methods: Vec<Method>,
}

#[derive(Clone, Message)]
pub(super) struct Method {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) input: String,
    #[prost(string, tag = "3")]
    pub(super) output: String,
    #[prost(message, optional, tag = "4")]
    pub(super) options: Option<Options>,
}

#[derive(Clone, Message)]
pub(super) struct Options {
    #[prost(message, optional, tag = "72295728")]
    pub(super) http: Option<HttpRule>,
}

#[derive(Clone, Message)]
pub(super) struct HttpRule {
    #[prost(oneof = "Pattern", tags = "2, 3, 4, 5, 6, 8")]
    pub(super) pattern: Option<Pattern>,
    #[prost(message, repeated, tag = "11")]
    pub(super) additional_bindings: Vec<HttpRule>,
}

#[derive(Clone, prost::Oneof)]
pub(super) enum Pattern {
    #[prost(string, tag = "2")]
    Get(String),
    #[prost(string, tag = "3")]
    Put(String),
    #[prost(string, tag = "4")]
    Post(String),
    #[prost(string, tag = "5")]
    Delete(String),
    #[prost(string, tag = "6")]
    Patch(String),
    #[prost(message, tag = "8")]
    Custom(Custom),
}

#[derive(Clone, Message)]
pub(super) struct Custom {
    #[prost(string, tag = "1")]
    pub(super) kind: String,
    #[prost(string, tag = "2")]
    pub(super) path: String,
}

/// A REST form of a method: HTTP method, template, service, method.
pub(super) type Form = [String; 4];

impl Set {
    /// Every REST form of every method, additional bindings too.
    pub(super) fn rest_forms(&self) -> BTreeSet<Form> {
        let mut forms = BTreeSet::new();
        for file in &self.files {
            for service in &file.services {
                let full_name = match file.package.as_str() {
                    "" => service.name.clone(),
                    package => format!("{package}.{}", service.name),
                };
                for method in &service.methods {
                    let http = method
                        .options
                        .as_ref()
                        .and_then(|options| options.http.as_ref());
                    let rules = http
                        .into_iter()
                        .flat_map(|rule| std::iter::once(rule).chain(&rule.additional_bindings));
                    for rule in rules {
                        let (verb, template) = rule.pattern.as_ref().expect("a pattern").form();
                        let name = method.name.clone();
                        forms.insert([verb, template, full_name.clone(), name]);
                    }
                }
            }
        }
        forms
    }
}

impl Pattern {
    fn form(&self) -> (String, String) {
        let (verb, template) = match self {
            Self::Get(template) => ("GET", template),
            Self::Put(template) => ("PUT", template),
            Self::Post(template) => ("POST", template),
            Self::Delete(template) => ("DELETE", template),
            Self::Patch(template) => ("PATCH", template),
            Self::Custom(custom) => (custom.kind.as_str(), &custom.path),
        };
        (verb.to_owned(), template.clone())
    }
}
