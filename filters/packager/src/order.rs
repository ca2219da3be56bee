//! The order of a module's functions.
//!
//! V8 compiles the functions of a module one after another, and their machine code, some megabytes, lies in memory in that
//! order. A request runs a few hundred of the thousands: side by side they take some fifty pages of memory, scattered over the module
//! three times as many, each with lines of the instruction cache and an entry of its TLB that a busy proxy has just lost.
//! Linkers for other targets take such a list as a "symbol ordering file"; `wasm-ld` does not.

use std::collections::HashMap;
use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{
    BinaryReaderError, CodeSectionReader, CustomSectionReader, FunctionBody, FunctionSectionReader,
    KnownCustom, Name, Parser, Payload,
};

/// Names of functions, in the order in which they are to lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order(Vec<String>);

/// A module whose functions lie in an order.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// The module, without names.
    pub module: Vec<u8>,
    /// How many names of the order the module has.
    pub found: usize,
}

/// Why the functions of a module were left as they are.
#[derive(Debug, thiserror::Error)]
#[error("its functions cannot be put into order: {0}")]
pub struct OrderError(String);

impl From<BinaryReaderError> for OrderError {
    fn from(error: BinaryReaderError) -> Self {
        Self(error.to_string())
    }
}

impl Order {
    /// Reads a list, `order.txt` of a filter: a name a line; a line that begins with `#` is a comment.
    pub fn parse(text: &str) -> Self {
        let names = text.lines().map(str::trim);
        Self(
            names
                .filter(|name| !name.is_empty() && !name.starts_with('#'))
                .map(str::to_owned)
                .collect(),
        )
    }

    /// How many names it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts the functions of these names first, in this order, and the others behind them as they were; then drops all names.
    /// Functions are found by the module's own section of names; of several that are called the same, as generic ones
    /// are, all are moved. The module does what it did.
    ///
    /// # Errors
    /// The module cannot be read.
    pub fn apply(&self, module: &[u8]) -> Result<Ordered, OrderError> {
        let (imported, names) = functions(module)?;
        let mut ranks: HashMap<&str, usize> = HashMap::new();
        for (rank, name) in self.0.iter().enumerate() {
            ranks.entry(name).or_insert(rank);
        }
        let rank = |name: &String| ranks.get(name.as_str()).copied();
        let mut old: Vec<usize> = (0..names.len()).collect();
        // Stable: those of no rank, and those of the same, stay as they were among themselves.
        old.sort_by_key(|&at| names.get(at).and_then(rank).unwrap_or(usize::MAX));
        let found = ranks
            .keys()
            .filter(|name| names.iter().any(|known| known == *name))
            .count();

        let mut new = vec![0_u32; old.len()];
        for (place, &at) in (imported..).zip(&old) {
            if let Some(new) = new.get_mut(at) {
                *new = place;
            }
        }
        let mut ordered = Module::new();
        Reordering { imported, old, new }
            .parse_core_module(&mut ordered, Parser::new(0), module)
            .map_err(|error| OrderError(error.to_string()))?;
        Ok(Ordered {
            module: ordered.finish(),
            found,
        })
    }
}

/// The name of a function as an order has it: as the source has it, without the hash that differs from build to build.
pub(crate) fn plain(symbol: &str) -> String {
    let name = format!("{:#}", rustc_demangle::demangle(symbol));
    // The linker's number for one of several locals of that name.
    match name.rsplit_once('.') {
        Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name.to_owned(),
        _ => name,
    }
}

/// The number of imported functions, and the plain name of each other function; empty where it has none.
fn functions(module: &[u8]) -> Result<(u32, Vec<String>), OrderError> {
    let (mut imported, mut names) = (0_u32, Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let is_function = matches!(import?.ty, wasmparser::TypeRef::Func(_));
                    imported = imported.saturating_add(is_function.into());
                }
            }
            Payload::FunctionSection(section) => {
                names.resize(section.count() as usize, String::new());
            }
            Payload::CustomSection(section) => {
                let KnownCustom::Name(subsections) = section.as_known() else {
                    continue;
                };
                for subsection in subsections {
                    let Name::Function(functions) = subsection? else {
                        continue;
                    };
                    for function in functions {
                        let function = function?;
                        let at = function.index.checked_sub(imported);
                        if let Some(name) = at.and_then(|at| names.get_mut(at as usize)) {
                            *name = plain(function.name);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok((imported, names))
}

/// Writes a module with its own functions in another order.
struct Reordering {
    imported: u32,
    /// For each place, which of the module's own functions lies there now.
    old: Vec<usize>,
    /// For each of the module's own functions, its new index.
    new: Vec<u32>,
}

impl Reordering {
    /// These in their new order.
    fn ordered<T: Clone>(&self, those: &[T]) -> Vec<T> {
        self.old
            .iter()
            .filter_map(|&at| those.get(at).cloned())
            .collect()
    }
}

impl Reencode for Reordering {
    type Error = Infallible;

    fn function_index(&mut self, old: u32) -> Result<u32, Error<Infallible>> {
        let own = old.checked_sub(self.imported);
        let new = own.and_then(|own| self.new.get(own as usize));
        Ok(new.copied().unwrap_or(old))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let types = section.into_iter().collect::<Result<Vec<u32>, _>>()?;
        for index in self.ordered(&types) {
            let index = self.type_index(index)?;
            functions.function(index);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let bodies = section
            .into_iter()
            .collect::<Result<Vec<FunctionBody<'_>>, _>>()?;
        for body in self.ordered(&bodies) {
            utils::parse_function_body(self, code, body)?;
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outline;

    const MODULE: &str = r#"(module
        (type (func (param i32 i32 i32) (result i32)))
        (type (func (result i64)))
        (type (func (param i32) (result i32)))
        (type (func (result f32)))
        (type (func))
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (table 2 funcref)
        (elem (i32.const 0) $cold $_ZN4auth6decide17h0123456789abcdefE)
        (export "first" (func $first))
        (func $cold (result i64) i64.const 1)
        (func $_ZN4auth6decide17h0123456789abcdefE (param i32) (result i32) local.get 0 call $memcmp.27)
        (func $memcmp.27 (param i32) (result i32) i32.const 0 i32.const 0 i32.const 0 call $log)
        (func $_ZN4auth6decide17hfedcba9876543210E (result f32) f32.const 1)
        (func $first (result i64) call $cold)
        (func $started)
        (start $started))"#;

    /// The same with its functions in the order that the test asks for.
    const ORDERED: &str = r#"(module
        (type (func (param i32 i32 i32) (result i32)))
        (type (func (result i64)))
        (type (func (param i32) (result i32)))
        (type (func (result f32)))
        (type (func))
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (table 2 funcref)
        (elem (i32.const 0) $cold $_ZN4auth6decide17h0123456789abcdefE)
        (export "first" (func $first))
        (func $memcmp.27 (param i32) (result i32) i32.const 0 i32.const 0 i32.const 0 call $log)
        (func $_ZN4auth6decide17h0123456789abcdefE (param i32) (result i32) local.get 0 call $memcmp.27)
        (func $_ZN4auth6decide17hfedcba9876543210E (result f32) f32.const 1)
        (func $cold (result i64) i64.const 1)
        (func $first (result i64) call $cold)
        (func $started)
        (start $started))"#;

    fn apply(order: &str, text: &str) -> Ordered {
        let module = wat::parse_str(text).unwrap();
        Order::parse(order).apply(&module).unwrap()
    }

    // Calls, the table, exports and the start must mean the functions that they meant: one index that is off, and a request is
    // judged by another function.
    #[test]
    fn the_named_come_first_and_everything_means_what_it_meant() {
        let order = "# written by make order\n\nmemcmp\nauth::decide\nauth::gone\n";
        let ordered = apply(order, MODULE);
        assert_eq!(ordered.module, apply("", ORDERED).module);
        assert_eq!(ordered.found, 2);
        assert_eq!(Order::parse(order).len(), 3);
        Outline::of(&ordered.module).unwrap();
    }

    // Names of functions are a fifth of a module's size and say nothing to Envoy.
    #[test]
    fn without_an_order_a_module_only_loses_its_names() {
        let same = apply("", MODULE);
        assert!(!same.module.windows(6).any(|bytes| bytes == b"memcmp"));
        assert_eq!(same.found, 0);
        assert_eq!(apply("memcmp", MODULE).module.len(), same.module.len());
        assert!(Order::parse("# nothing\n").apply(b"\0asm").is_err());
    }
}
