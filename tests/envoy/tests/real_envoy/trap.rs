//! Modules that differ from the built one by a hair: a filter without a panic path has to be given a trap before its VM can be
//! lost.
//!
//! Only what of the binary format (WebAssembly 1.0, section 5.5) is needed: sections are a byte of id, a length and contents.

use std::fs;
use std::path::PathBuf;

use envoy_harness::Bootstrap;
use tempfile::TempDir;

const IMPORTS: u8 = 2;
const EXPORTS: u8 = 7;
const CODE: u8 = 10;
const FUNCTION: u8 = 0;

/// No locals, `unreachable`, `end`.
const TRAP: [u8; 3] = [0, 0x00, 0x0b];

/// A changed copy of the module of a filter as it was built, with every callback; gone when dropped.
pub(crate) struct ChangedModule {
    folder: TempDir,
}

impl ChangedModule {
    /// Traps when the trailers of a request come, and is the same otherwise.
    pub(crate) fn trapping_on_trailers(module: &str) -> Option<Self> {
        Self::with(module, |sections| {
            let function = exported(sections, "proxy_on_request_trailers");
            let own = function - imported_functions(section(sections, IMPORTS));
            replace_function(sections, own, &TRAP);
        })
    }

    /// Does the same, and is another module to Envoy: a custom section has a name that no host looks for.
    pub(crate) fn renamed(module: &str) -> Option<Self> {
        Self::with(module, |sections| {
            sections.push((0, b"\x08anothers".to_vec()))
        })
    }

    /// Gives the module to a filter of a bootstrap.
    pub(crate) fn install(&self, bootstrap: &mut Bootstrap, plugin: &str) {
        let path = self.path();
        bootstrap.plugin_mut(plugin)["vm_config"]["code"]["local"]["filename"] =
            path.to_string_lossy().into();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("changed.wasm")
    }

    /// None where there is no module, which has been said then.
    fn with(module: &str, change: impl FnOnce(&mut Vec<(u8, Vec<u8>)>)) -> Option<Self> {
        let module = envoy_harness::unpackaged_module(module);
        let module = module
            .map_err(|missing| envoy_harness::skipped(&missing))
            .ok()?;
        let bytes = fs::read(module).expect("the module is readable");
        let (head, mut rest) = bytes.split_at(8);
        let mut sections = Vec::new();
        while let Some((id, after)) = rest.split_first() {
            let (length, after) = number(after);
            let (contents, after) = after.split_at(length);
            sections.push((*id, contents.to_vec()));
            rest = after;
        }
        change(&mut sections);
        let mut changed = head.to_vec();
        for (id, contents) in sections {
            changed.push(id);
            changed.extend(encoded(contents.len()));
            changed.extend(contents);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let changed_module = Self { folder };
        fs::write(changed_module.path(), changed).expect("the module is writable");
        Some(changed_module)
    }
}

fn section(sections: &[(u8, Vec<u8>)], id: u8) -> &[u8] {
    let found = sections.iter().find(|(other, _)| *other == id);
    found.map_or(&[], |(_, contents)| contents)
}

/// The index of the function that is exported under this name, and under no other.
fn exported(sections: &[(u8, Vec<u8>)], wanted: &str) -> usize {
    let (count, mut rest) = number(section(sections, EXPORTS));
    let mut functions = Vec::new();
    for _ in 0..count {
        let (length, after) = number(rest);
        let (name, after) = after.split_at(length);
        let (index, next) = number(&after[1..]);
        if after[0] == FUNCTION {
            functions.push((name.to_vec(), index));
        }
        rest = next;
    }
    let of = |index: usize| {
        functions
            .iter()
            .filter(|(_, other)| *other == index)
            .count()
    };
    let (_, index) = functions
        .iter()
        .find(|(name, _)| name == wanted.as_bytes())
        .unwrap_or_else(|| panic!("{wanted} is not exported"));
    assert_eq!(of(*index), 1, "{wanted} is exported under another name too");
    *index
}

/// How many functions are imported: they come first in the numbering.
fn imported_functions(imports: &[u8]) -> usize {
    let (count, mut rest) = number(imports);
    for _ in 0..count {
        for _ in 0..2 {
            let (length, after) = number(rest);
            rest = &after[length..];
        }
        assert_eq!(rest[0], FUNCTION, "only functions are imported");
        rest = number(&rest[1..]).1;
    }
    count
}

fn replace_function(sections: &mut [(u8, Vec<u8>)], index: usize, body: &[u8]) {
    let code = sections.iter_mut().find(|(id, _)| *id == CODE);
    let (_, contents) = code.expect("a module has code");
    let (count, mut rest) = number(contents);
    assert!(index < count);
    for _ in 0..index {
        let (length, after) = number(rest);
        rest = &after[length..];
    }
    let start = contents.len() - rest.len();
    let (length, after) = number(rest);
    let end = contents.len() - after.len() + length;
    let mut replacement = encoded(body.len());
    replacement.extend_from_slice(body);
    contents.splice(start..end, replacement);
}

/// An unsigned number in LEB128, and what follows it.
fn number(bytes: &[u8]) -> (usize, &[u8]) {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return (value, &bytes[index + 1..]);
        }
    }
    panic!("a number that does not end");
}

fn encoded(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = u8::try_from(value & 0x7f).expect("seven bits");
        value >>= 7;
        if value == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}
