//! Where things are that the commands of the tour refer to.

use std::path::PathBuf;

use envoy_harness::demo_key;

/// A gateway as a caller knows it, and the files that the callers have.
pub(crate) struct Places {
    /// Holds `ca.pem`, the callers' tokens (`alice.jwt`) and `empty.grpc`.
    pub(crate) folder: PathBuf,
    /// `https`, or `http` for a gateway in the clear.
    pub(crate) scheme: &'static str,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Where tokens can be had, and counters be read; empty where neither is to be had.
    pub(crate) issuer: String,
    pub(crate) admin: String,
    /// The program that makes gRPC calls, as a reader here would call it.
    pub(crate) grpc_client: String,
}

impl Places {
    /// `https://localhost:8443`
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }

    /// `curl`, with what every command says.
    fn curl(&self, options: &str) -> String {
        let mut words = vec![format!("curl {options}")];
        words.extend(noproxy());
        if self.scheme == "https" {
            words.push(format!("--cacert {}/ca.pem", self.folder.display()));
        }
        words.join(" ")
    }

    /// One request, of which all of the answer is shown.
    pub(crate) fn ask(&self, arguments: &str, path: &str) -> String {
        let url = format!("'{}{path}'", self.origin());
        let words = [&*self.curl("-si"), arguments, &url];
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        words.join(" ")
    }

    /// Many requests at once, of whose answers the heads are printed; `path` holds a range, `[1-40]`.
    pub(crate) fn ask_many(&self, arguments: &str, path: &str) -> String {
        let curl = self.curl("--no-progress-meter -Z");
        format!(
            "{curl} {arguments} -o /dev/null -D - '{}{path}'",
            self.origin()
        )
    }

    /// One gRPC call.
    pub(crate) fn call(&self, credential: &str, method: &str, message: &str) -> String {
        let Self {
            folder,
            host,
            port,
            grpc_client,
            ..
        } = self;
        let ca = match self.scheme {
            "https" => format!("--ca {}/ca.pem ", folder.display()),
            _ => String::new(),
        };
        format!(
            "{grpc_client} call -i --address {host}:{port} {ca}{credential} {method} '{message}'"
        )
    }

    /// An argument that gives the API key with this id.
    pub(crate) fn key(&self, id: &str) -> String {
        format!("-H 'x-api-key: {}'", demo_key(id))
    }

    /// An argument that gives the token of this caller.
    pub(crate) fn token(&self, caller: &str) -> String {
        let folder = self.folder.display();
        format!("-H \"authorization: Bearer $(cat {folder}/{caller}.jwt)\"")
    }

    /// Whether there is a token of this caller.
    pub(crate) fn knows(&self, caller: &str) -> bool {
        self.folder.join(format!("{caller}.jwt")).is_file()
    }
}

/// A proxy that the reader's shell is set up for knows nothing of this machine's loopback.
fn noproxy() -> Option<String> {
    ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
        .then(|| "--noproxy '*'".into())
}
