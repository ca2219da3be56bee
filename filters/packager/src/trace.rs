//! A module that says which of its functions requests run: an [`Order`](crate::Order) is made of what it logs.

use walrus::ir::{BinaryOp, Binop, Const, GlobalGet, GlobalSet, IfElse, Instr, InstrSeqId, Value};
use walrus::{
    ConstExpr, DataKind, ExportItem, FunctionId, FunctionKind, GlobalId, ImportKind, LocalFunction,
    Module, ModuleConfig, ValType,
};

use crate::StripError;
use crate::order::plain;

/// What each line that a traced module logs begins with; the name of the function follows.
pub const MARK: &str = "traced: ";

/// How often requests run a function before it is named: what only the first ones need, those that fill caches, is not.
const OFTEN: i32 = 256;

/// Where a request begins.
const BEGINNING: &str = "proxy_on_request_headers";

/// `ERROR` of proxy-wasm: logged at Envoy's usual level.
const LEVEL: i32 = 4;

const PAGE: usize = 64 * 1024;

/// The module, in which each function logs its name, after [`MARK`], when requests have run it for the 256th time: in
/// the order in which one request runs them, what it runs several times first. What runs before the VM's first request is not counted.
///
/// # Errors
/// It cannot be read, or it does not log.
pub fn trace(module: &[u8]) -> Result<Vec<u8>, StripError> {
    let unreadable = |why: String| StripError::Unreadable(why);
    let mut module = ModuleConfig::new()
        .parse(module)
        .map_err(|error| unreadable(format!("{error:#}")))?;
    let log = imported(&module, "proxy_log")
        .ok_or_else(|| unreadable("it does not import proxy_log".to_owned()))?;
    let beginning = exported(&module, BEGINNING);
    let memory = module
        .get_memory_id()
        .map_err(|error| unreadable(format!("{error:#}")))?;
    let serving = counter(&mut module);

    let mut names = Vec::new();
    let base = module
        .memories
        .get(memory)
        .initial
        .saturating_mul(PAGE as u64);
    let functions: Vec<FunctionId> = module.funcs.iter_local().map(|(id, _)| id).collect();
    for id in functions {
        let name = module.funcs.get(id).name.as_deref().map(plain);
        let Some(name) = name else { continue };
        let line = format!("{MARK}{name}");
        let at = base.saturating_add(names.len() as u64);
        let (Ok(at), Ok(length)) = (i32::try_from(at), i32::try_from(line.len())) else {
            return Err(unreadable("its memory is full".to_owned()));
        };
        names.extend_from_slice(line.as_bytes());
        let calls = counter(&mut module);
        if let FunctionKind::Local(function) = &mut module.funcs.get_mut(id).kind {
            let say = say(function, log, at, length);
            count(function, serving, calls, say);
            if Some(id) == beginning {
                begin(function, serving);
            }
        }
    }
    let pages = names.len().div_ceil(PAGE) as u64;
    let grown = module.memories.get_mut(memory);
    grown.initial = grown.initial.saturating_add(pages);
    let offset = i32::try_from(base).map_err(|error| unreadable(error.to_string()))?;
    module.data.add(
        DataKind::Active {
            memory,
            offset: ConstExpr::Value(Value::I32(offset)),
        },
        names,
    );
    Ok(module.emit_wasm())
}

fn imported(module: &Module, name: &str) -> Option<FunctionId> {
    let import = module.imports.iter().find(|import| import.name == name)?;
    match import.kind {
        ImportKind::Function(id) => Some(id),
        _ => None,
    }
}

fn exported(module: &Module, name: &str) -> Option<FunctionId> {
    let export = module.exports.iter().find(|export| export.name == name)?;
    match export.item {
        ExportItem::Function(id) => Some(id),
        _ => None,
    }
}

fn counter(module: &mut Module) -> GlobalId {
    let zero = ConstExpr::Value(Value::I32(0));
    module.globals.add_local(ValType::I32, true, false, zero)
}

/// Logs `length` bytes of memory from `at` on.
fn say(function: &mut LocalFunction, log: FunctionId, at: i32, length: i32) -> InstrSeqId {
    let mut sequence = function.builder_mut().dangling_instr_seq(None);
    sequence.i32_const(LEVEL).i32_const(at).i32_const(length);
    sequence.call(log).drop();
    sequence.id()
}

/// Before all else: one call more, if requests are served, and `say` if it is the one.
fn count(function: &mut LocalFunction, serving: GlobalId, calls: GlobalId, say: InstrSeqId) {
    let nothing = function.builder_mut().dangling_instr_seq(None).id();
    let number = |number| {
        Instr::from(Const {
            value: Value::I32(number),
        })
    };
    let binary = |op| Instr::from(Binop { op });
    let get = |global| Instr::from(GlobalGet { global });
    put_first(
        function,
        [
            get(calls),
            get(serving),
            binary(BinaryOp::I32Add),
            GlobalSet { global: calls }.into(),
            get(calls),
            number(OFTEN),
            binary(BinaryOp::I32Eq),
            get(serving),
            binary(BinaryOp::I32And),
            IfElse {
                consequent: say,
                alternative: nothing,
            }
            .into(),
        ],
    );
}

/// Before all else: from here on, requests are served.
fn begin(function: &mut LocalFunction, serving: GlobalId) {
    let one = Const {
        value: Value::I32(1),
    };
    put_first(function, [one.into(), GlobalSet { global: serving }.into()]);
}

fn put_first<const N: usize>(function: &mut LocalFunction, instructions: [Instr; N]) {
    let mut body = function.builder_mut().func_body();
    for (at, instruction) in instructions.into_iter().enumerate() {
        body.instr_at(at, instruction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outline;

    fn module(import: &str) -> Vec<u8> {
        let text = format!(
            r#"(module
                (import "env" "{import}" (func $log (param i32 i32 i32) (result i32)))
                (memory (export "memory") 1)
                (func $_ZN4auth6decide17h0123456789abcdefE (param i32) (result i32) local.get 0)
                (func $begin (export "proxy_on_request_headers") (param i32) (result i32)
                    local.get 0 call $_ZN4auth6decide17h0123456789abcdefE))"#
        );
        wat::parse_str(text).unwrap()
    }

    // What cannot be loaded records nothing; a name that lies inside the module's own memory would be overwritten by it.
    #[test]
    fn a_traced_module_is_valid_and_has_each_name_behind_its_own_memory() {
        let traced = trace(&module("proxy_log")).unwrap();
        let (before, after) = (
            Outline::of(&module("proxy_log")).unwrap(),
            Outline::of(&traced).unwrap(),
        );
        assert_eq!(
            (before.exports, before.imports),
            (after.exports, after.imports)
        );

        let read = ModuleConfig::new().parse(&traced).unwrap();
        let memory = read.get_memory_id().unwrap();
        assert_eq!(read.memories.get(memory).initial, 2);
        let data = read.data.iter().next().unwrap();
        let DataKind::Active { offset, .. } = &data.kind else {
            panic!("{:?}", data.kind)
        };
        assert!(
            matches!(offset, ConstExpr::Value(Value::I32(65_536))),
            "{offset:?}"
        );
        let names = String::from_utf8(data.value.clone()).unwrap();
        assert_eq!(names.matches(MARK).count(), 2, "{names}");
        assert!(names.contains("traced: auth::decide"), "{names}");

        let silent = trace(&module("proxy_done")).unwrap_err().to_string();
        assert!(silent.contains("proxy_log"), "{silent}");
    }
}
