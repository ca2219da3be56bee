//! Any operations on any stream of documents, cut anywhere: each record comes out as it does alone.
//!
//! An input is the operations, `---`, a byte that says which form the stream has, one that says where to cut, and the stream.

use json_stream::{Broken, Limits, RecordForm, RecordRewriter};
use serde_json::json;

use super::model::{Edit, program, rewrite};
use super::rewriter::edits;
use crate::{join, parts};

/// # Panics
/// The stream comes out another by its cuts, one without operations changed, or a line another than the document alone.
pub fn run(input: &[u8]) {
    let Some((operations, rest)) = parts(input) else {
        return;
    };
    let Some((edits, [kind, cut, text @ ..])) = edits(operations).zip(Some(rest)) else {
        return;
    };
    let form = match kind % 3 {
        0 => RecordForm::Lines,
        1 => RecordForm::Sequence,
        _ => RecordForm::Events,
    };
    let pass = kind & 4 != 0;
    let whole = stream(&edits, form, pass, text, usize::MAX);
    let step = usize::from(*cut).max(1);
    assert_eq!(
        stream(&edits, form, pass, text, step),
        whole,
        "cut every {step}"
    );
    if edits.is_empty()
        && let Ok(out) = &whole
    {
        assert_eq!(out, text);
    }
    if form == RecordForm::Lines && !pass {
        let mut expected = Vec::new();
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if number > 0 {
                expected.push(b'\n');
            }
            if line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
                expected.extend_from_slice(line);
                continue;
            }
            match rewrite(&edits, line, &[]) {
                Ok(line) => expected.extend(line),
                Err(broken) => {
                    let fault = whole.as_ref().map_err(Broken::fault);
                    // What operations may write is for the whole stream.
                    assert!(
                        fault.is_err_and(|fault| fault == broken.fault() || fault.is_limit()),
                        "{fault:?} for {broken}"
                    );
                    return;
                }
            }
        }
        match whole {
            Ok(out) => assert_eq!(out, expected),
            Err(broken) => assert!(broken.is_limit(), "{broken}"),
        }
    }
}

fn stream(
    edits: &[Edit],
    form: RecordForm,
    pass: bool,
    text: &[u8],
    size: usize,
) -> Result<Vec<u8>, Broken> {
    let (program, bindings) = program(edits, Limits::default());
    let mut rewriter = RecordRewriter::new(form, program, bindings, pass);
    let mut out = Vec::new();
    for chunk in text.chunks(size.min(text.len().max(1))) {
        rewriter.push(chunk, &mut out)?;
    }
    rewriter.finish()?;
    Ok(out)
}

/// Streams of every form.
pub fn seeds() -> Vec<Vec<u8>> {
    let streams = [
        "{\"a\":1,\"b\":{\"a\":[\"12\"]}}\n\n[1,{\"a\":\"x\"}]\r\n17\n",
        "\u{1e}{\"a\":1,\n\"b\":2}\n\u{1e}\"12\"\n",
        "\u{feff}event: e\r\ndata: {\"a\":1,\r\ndata: \"b\":2}\r\n\r\n: c\n\ndata:{\"b\":\"12\"}\rid: 7\r\rdata: [DONE]\n\n",
        "data: {\"a\":\nid: 1\ndata: 1}\n\ndata: hello\n\ndata: {\"a\":1",
    ];
    let operations = [
        json!([]),
        json!([{ "mask": "/a", "keep_last": 1 }, { "remove": "/b" }]),
        json!([{ "convert": "/**/a", "to": "number" }, { "add": "/c", "value": 0 }, { "hash": "/0" }]),
    ];
    let mut seeds = Vec::new();
    for (number, text) in streams.iter().enumerate() {
        let form = number.min(2);
        for operations in &operations {
            for kind in [form, form + 6] {
                let kind = char::from_u32(u32::try_from(kind).unwrap_or_default());
                let kind = kind.unwrap_or_default();
                seeds.push(join(&operations.to_string(), &format!("{kind}\u{3}{text}")));
            }
        }
    }
    seeds
}
