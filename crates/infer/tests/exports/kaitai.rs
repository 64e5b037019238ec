//! Kaitai Struct files, compiled by its compiler and run on messages. Needs node with the packages
//! `kaitai-struct-compiler`, `kaitai-struct` and `js-yaml`, found where `NODE_PATH` says.

use std::fs;
use std::process::Command;

use ottoscope_infer::export::{Format, Layout};
use serde_json::Value;

use crate::made::{datagrams, exported, folder, hostile, message, wechat};

/// Compiles the file named first and prints, as JSON, the fields of what is in the second.
const SCRIPT: &str = r#"
let ksc, KaitaiStream, yaml;
try {
  ksc = require("kaitai-struct-compiler");
  KaitaiStream = require("kaitai-struct/KaitaiStream");
  yaml = require("js-yaml");
} catch (absent) { process.exit(77); }
const [ksy, message] = process.argv.slice(-2);
const text = require("fs").readFileSync(ksy, "utf8");
(async () => {
  const files = await ksc.compile("javascript", yaml.load(text), null, false);
  const name = Object.keys(files)[0];
  const out = { exports: {} };
  new Function("module", "exports", "require", files[name])(out, out.exports, require);
  const exported = out.exports;
  const Made = typeof exported === "function" ? exported : Object.values(exported)[0];
  const bytes = require("fs").readFileSync(message);
  let made;
  try {
    made = new Made(new KaitaiStream(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)));
  } catch (refused) { console.log(JSON.stringify({ refused: refused.name })); return; }
  const told = [].concat(made.messages).map((message) => {
    const fields = {};
    for (const name of Object.getOwnPropertyNames(message)) {
      const value = message[name];
      if (name.startsWith("_")) continue;
      const bytes = value instanceof Uint8Array;
      fields[name] = bytes ? Buffer.from(value).toString("hex") : (value?.value ?? value);
    }
    if (message.command !== undefined) fields.command = message.command;
    return fields;
  });
  console.log(JSON.stringify(told));
})().catch((error) => { console.error(error); process.exit(1); });
"#;

/// Fields of messages as the compiled file reads them; `None` without the compiler.
fn read(name: &str, layout: &Layout, bytes: &[u8]) -> Option<Value> {
    let folder = folder(&format!("kaitai-{name}"));
    let ksy = exported(&folder, layout, Format::Kaitai);
    let message = folder.join("message");
    fs::write(&message, bytes).unwrap();
    let run = Command::new("node").arg("-e").arg(SCRIPT).arg("--").arg(&ksy).arg(message).output();
    let absent = || println!("skipped: node has no kaitai-struct-compiler");
    let Ok(output) = run else {
        absent();
        return None;
    };
    if output.status.code() == Some(77) {
        absent();
        return None;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = fs::read_to_string(&ksy).unwrap();
    assert!(output.status.success(), "{errors}\n{text}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn messages_of_a_stream() {
    let bytes = [message(9, 7, 3), message(0x3b9a_ca06, 8, 0)].concat();
    let Some(told) = read("stream", &wechat(vec![]), &bytes) else { return };
    let of = |index: usize, name: &str| told[index][name].clone();
    assert_eq!(told.as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!([of(0, "length"), of(1, "length")], [19, 16]);
    assert_eq!([of(0, "sequence"), of(1, "sequence")], [7, 8]);
    assert_eq!([of(0, "command"), of(1, "command")], [9, 6]);
    assert_eq!(of(0, "body"), "eeeeee");
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut almost = message(9, 7, 3);
    almost[7] = 2;
    let Some(told) = read("refused", &wechat(vec![]), &almost) else { return };
    assert!(told["refused"].is_string(), "{told}");
}

#[test]
fn datagrams_with_odd_widths_and_names() {
    let good = [0x16, 0xaa, 8, 0, 0, 9, 0, 0, 0, 0, 0, 0xbb, 0xcc];
    let Some(told) = read("udp", &datagrams(), &good) else { return };
    assert_eq!((&told[0]["length"], &told[0]["opcode"]), (&8.into(), &9.into()), "{told}");
    assert_eq!(told[0]["body"], "bbcc");
    let answer = [0xf1, 0x22, 0, 2, 0, 0x86, 1, 0, 0, 0, 0, 0, 0, 0];
    let Some(told) = read("hostile", &hostile(), &answer) else { return };
    assert_eq!(told[0]["command"], 6, "{told}");
}
