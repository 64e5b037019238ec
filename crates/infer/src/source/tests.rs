//! Opcodes found in small sources and in dex files made here.

use std::io::{Cursor, Write as _};

use proptest::prelude::*;

use super::*;

const UPLOAD: &str = "/cgi-bin/micromsg-bin/uploadmsgimg";
const SEND: &str = "/cgi-bin/micromsg-bin/sendmsg";

fn known() -> Known {
    Known { urls: vec![UPLOAD.to_owned(), SEND.to_owned()], ..Known::default() }
}

fn best(findings: &Findings) -> Vec<Option<u64>> {
    findings.urls.iter().map(|url| url.candidates.first().map(|c| c.opcode)).collect()
}

/// The likeliest opcodes of UPLOAD and SEND in files.
fn check(files: &[(&str, &str)], expected: [Option<u64>; 2]) -> Findings {
    let mut search = Search::new(known());
    for (path, text) in files {
        assert!(search.text(path, text), "{path}");
    }
    let findings = search.finish();
    assert_eq!(best(&findings), expected, "{findings:#?}");
    findings
}

#[test]
fn a_decompiled_class_with_getters() {
    let upload = r#"
package com.tencent.mm.e.a; // 77 "/cgi-bin/micromsg-bin/sendmsg"
public final class cl extends ac {
    private int a = 0;
    @Override
    public final int getType() {
        return 9;
    }
    /* 78 */
    public final String getUri() { return "/cgi-bin/micromsg-bin/uploadmsgimg"; }
    final void send(byte[] data) {
        if (data.length > 65536) { this.a = 1; }
        log('"', -5, 2.5f);
    }
}
"#;
    let send = upload.replace("uploadmsgimg", "sendmsg").replace("return 9;", "return 0x2a;");
    let files = [("a/cl.java", upload), ("a/cm.java", &send)];
    let findings = check(&files, [Some(9), Some(42)]);
    let candidate = &findings.urls[0].candidates[0];
    let evidence = &candidate.evidence[0];
    assert_eq!(evidence.tie, Tie::Getter);
    assert_eq!((evidence.file.as_str(), evidence.class.as_str()), ("a/cl.java", "cl"));
    assert_eq!((evidence.method.as_str(), evidence.snippet.as_str()), ("getType", "return 9;"));
    assert_eq!((evidence.number_at, evidence.url_at), ((7, 16), (10, 43)));
    assert_eq!(findings.urls[0].places, 1);
    assert!(!findings.is_empty());
    assert_eq!(
        findings.summary(),
        "2 of 2 URLs occur in 2 classes of 2 files, 2 of them with numbers nearby; 0 files are \
         in no known language, 0 could not be read in full"
    );
}

#[test]
fn tables_switches_and_constants() {
    check(
        &[(
            "t.java",
            r#"class T { static { map.put("/cgi-bin/micromsg-bin/uploadmsgimg", 9);
                map.put("/cgi-bin/micromsg-bin/sendmsg", 2); } }"#,
        )],
        [Some(9), Some(2)],
    );
    check(
        &[(
            "s.java",
            r#"class S { String url(int cmd) { switch (cmd) {
                case 8: return "/cgi-bin/other";
                case 9: return "/cgi-bin/micromsg-bin/uploadmsgimg";
                case 2: return "/cgi-bin/micromsg-bin/sendmsg";
                default: return null; } } }"#,
        )],
        [Some(9), Some(2)],
    );
    let files = [
        (
            "u.java",
            r#"class U { void go() { run(Cmd.UPLOAD, "/cgi-bin/micromsg-bin/uploadmsgimg", 0); run(Cmd.SEND, "sendmsg", 0); } }"#,
        ),
        (
            "Cmd.java",
            "interface C { } class Cmd { public static final int UPLOAD = 0x9, OTHER = 5; \
             static final long SEND = 2L; }",
        ),
    ];
    let findings = check(&files, [Some(9), Some(2)]);
    let evidence = &findings.urls[0].candidates[0].evidence[0];
    assert_eq!(evidence.constant.as_deref(), Some("Cmd.UPLOAD"));
    assert!(findings.urls[1].candidates[0].evidence[0].partial);
}

#[test]
fn other_languages() {
    check(
        &[(
            "n.kt",
            "class Upload : Base() {\n  override fun uri() = \"/cgi-bin/micromsg-bin/uploadmsgimg\"\n  \
             override fun type() = 9\n  fun size() = list(1, 4096)\n}\n\
             object Send {\n  const val URI = \"/cgi-bin/micromsg-bin/sendmsg\"\n  const val CMD = 2\n}",
        )],
        [Some(9), Some(2)],
    );
    check(
        &[(
            "m.js",
            r"e.exports=[{url:'\/cgi-bin\/micromsg-bin\/uploadmsgimg',id:9},{url:`/cgi-bin/micromsg-bin/sendmsg`,id:'2'}]",
        )],
        [Some(9), Some(2)],
    );
    check(
        &[(
            "c.xml",
            "<?xml version=\"1.0\"?>\n<tasks><!-- 77 -->\n<task cmd=\"9\" url='/cgi-bin/micromsg-bin/uploadmsgimg'/>\n\
             <task><cmd>2</cmd><url>/cgi-bin/micromsg-bin/sendmsg</url></task></tasks>",
        )],
        [Some(9), Some(2)],
    );
    let smali = r#".class public final Lcom/tencent/mm/a;
.super Ljava/lang/Object;
.field public static final SIZE:I = 0x1000
.method public final getType()I
    .locals 1
    const/16 v0, 0x9
    return v0
.end method
.method public final getUri()Ljava/lang/String;
    const-string v0, "/cgi-bin/micromsg-bin/uploadmsgimg"
    return-object v0
.end method
"#;
    let table = r#".class Lcom/tencent/mm/b;
.method static constructor <clinit>()V
    const-string v1, "SEND"
    const/4 v2, 0x1
    const-string v3, "/cgi-bin/micromsg-bin/sendmsg"
    const/4 v4, 0x2
    invoke-direct {v0, v1, v4, v3}, Lcom/tencent/mm/b;-><init>(Ljava/lang/String;ILjava/lang/String;)V
    sput-object v0, Lcom/tencent/mm/b;->SEND:Lcom/tencent/mm/b;
.end method
"#;
    check(&[("a.smali", smali), ("b.smali", table)], [Some(9), Some(2)]);
}

#[test]
fn numbers_of_many_classes_and_urls_tell_little() {
    let class = |name: &str, url: &str, opcode: u32| {
        format!(
            "class {name} {{ int z = 0; void f() {{ g(1, \"{url}\", 1, 300); }} int t() {{ return {opcode}; }} }}"
        )
    };
    let mut search = Search::new(known());
    for n in 0..20 {
        search.text("x.java", &format!("class X{n} {{ void f() {{ g(1, 0, 300); }} }}"));
    }
    search.text("a.java", &class("A", UPLOAD, 9));
    search.text("b.java", &class("B", SEND, 2));
    assert_eq!(best(&search.finish()), [Some(9), Some(2)]);
}

#[test]
fn traffic_decides_where_code_does_not() {
    let code = r#"class A { void f() { g(5, "/cgi-bin/micromsg-bin/uploadmsgimg", 9); }
        int r() { return 1000000009; } }"#;
    for (opcodes, response_offset) in [(vec![9, 2], 0), (vec![], 1_000_000_000)] {
        let known = Known { opcodes: opcodes.into_iter().collect(), response_offset, ..known() };
        let mut search = Search::new(known);
        search.text("a.java", code);
        let findings = search.finish();
        assert_eq!(best(&findings), [Some(9), None]);
    }
}

#[test]
fn nothing_found_is_said() {
    let mut search = Search::new(known());
    assert!(search.text("a.java", "class A { int x = 9; }"));
    assert!(!search.text("a.png", "uploadmsgimg"));
    search.package("a.apk", b"not a zip");
    let findings = search.finish();
    assert!(findings.is_empty());
    assert_eq!((findings.files, findings.skipped, findings.classes), (1, 1, 1));
    assert!(findings.urls.iter().all(|url| url.places == 0));
    assert!(findings.faults[0].reason.starts_with("is no app package"));
}

// --- dex files ----------------------------------------------------------------------------

/// A method's name and code units.
type Method = (&'static str, Vec<u16>);

/// Writes a dex file of classes with static methods and with static values.
fn dex(strings: &[&str], classes: &[(&str, Vec<Method>, Vec<u8>)]) -> Vec<u8> {
    let mut names: Vec<&str> = strings.to_vec();
    names.push("V");
    for (class, methods, _) in classes {
        names.push(class);
        names.extend(methods.iter().map(|(name, _)| name));
    }
    let index = |name: &str| names.iter().position(|n| *n == name).unwrap() as u32;
    let methods: Vec<(u16, &str)> = classes
        .iter()
        .enumerate()
        .flat_map(|(n, (_, methods, _))| methods.iter().map(move |(name, _)| (n as u16, *name)))
        .collect();
    let types = classes.len() + 1;
    let string_ids = 0x70;
    let type_ids = string_ids + 4 * names.len();
    let proto_ids = type_ids + 4 * types;
    let method_ids = proto_ids + 12;
    let class_defs = method_ids + 8 * methods.len();
    let data = class_defs + 32 * classes.len();
    let mut out = vec![0; data];
    let put = |out: &mut Vec<u8>, at: usize, value: u32| {
        out[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    out[..8].copy_from_slice(b"dex\n035\0");
    put(&mut out, 0x24, 0x70);
    put(&mut out, 0x28, 0x1234_5678);
    for (at, count, start) in [
        (0x38, names.len(), string_ids),
        (0x40, types, type_ids),
        (0x48, 1, proto_ids),
        (0x58, methods.len(), method_ids),
        (0x60, classes.len(), class_defs),
    ] {
        put(&mut out, at, count as u32);
        put(&mut out, at + 4, start as u32);
    }
    for (n, name) in names.iter().enumerate() {
        let at = out.len() as u32;
        put(&mut out, string_ids + 4 * n, at);
        out.push(name.chars().count() as u8);
        out.extend(name.bytes());
        out.push(0);
    }
    for (n, (class, ..)) in classes.iter().enumerate() {
        put(&mut out, type_ids + 4 * n, index(class));
    }
    put(&mut out, type_ids + 4 * classes.len(), index("V"));
    put(&mut out, proto_ids, index("V"));
    put(&mut out, proto_ids + 4, classes.len() as u32);
    for (n, (class, name)) in methods.iter().enumerate() {
        put(&mut out, method_ids + 8 * n, u32::from(*class));
        put(&mut out, method_ids + 8 * n + 4, index(name));
    }
    let leb = |out: &mut Vec<u8>, mut value: u32| {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    };
    let mut number = 0;
    for (n, (_, methods, values)) in classes.iter().enumerate() {
        let mut codes = Vec::new();
        for (_, code) in methods {
            out.resize(out.len().next_multiple_of(4), 0);
            codes.push(out.len() as u32);
            for unit in [8, 0, 0, 0, 0, 0, code.len() as u16, 0] {
                out.extend(u16::to_le_bytes(unit));
            }
            out.extend(code.iter().flat_map(|unit| unit.to_le_bytes()));
        }
        let def = class_defs + 32 * n;
        put(&mut out, def, n as u32);
        let at = out.len() as u32;
        put(&mut out, def + 24, at);
        for count in [0, 0, methods.len() as u32, 0] {
            leb(&mut out, count);
        }
        for (n, code) in codes.iter().enumerate() {
            leb(&mut out, if n == 0 { number } else { 1 });
            leb(&mut out, 8);
            leb(&mut out, *code);
        }
        number += methods.len() as u32;
        if !values.is_empty() {
            let at = out.len() as u32;
            put(&mut out, def + 28, at);
            out.extend(values);
        }
    }
    let len = out.len() as u32;
    put(&mut out, 0x20, len);
    out
}

/// Two classes: getters in the first, a `switch` with a table and a call in the second.
fn sample() -> Vec<u8> {
    let strings = [UPLOAD, SEND, "/cgi-bin/other"];
    let getters: Vec<Method> = vec![
        ("getType", vec![0x0013, 9, 0x000f]), // const/16 v0, 9; return v0
        ("getUri", vec![0x001a, 0, 0x0011]),  // const-string v0, UPLOAD; return-object v0
        ("size", vec![0x0114, 0, 1, 0x2112, 0x010f]), // const v1; const/4 v1, 2; return v1
    ];
    let switch = vec![
        0x002b, 11, 0, // 0: packed-switch v0, +11
        0x011a, 2, 0x0111, // 3: const-string v1, other; return-object v1
        0x011a, 1, 0x0111, // 6: const-string v1, SEND; return-object v1
        0x000e, 0x0000, // 9: return-void; nop
        0x0100, 2, 1, 0, 3, 0, 6, 0, // 11: cases 1 -> 3, 2 -> 6
    ];
    let call = vec![
        0x021a, 0, // const-string v2, UPLOAD
        0x0313, 9, // const/16 v3, 9
        0x0415, 0x7fff, // const/high16 v4
        0x3071, 0, 0x0432, // invoke-static {v2, v3, v4}
        0x000e,
    ];
    let values = vec![2, 0x04, 0x2a, 0x17, 0x01];
    dex(
        &strings,
        &[
            ("Lcom/mm/a;", getters, vec![]),
            ("Lcom/mm/b;", vec![("url", switch)], vec![]),
            ("Lcom/mm/c;", vec![("call", call)], vec![]),
            ("Lcom/mm/d;", vec![], values),
        ],
    )
}

fn package(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_package_with_a_dex_file() {
    let bytes = sample();
    let inner = package(&[
        ("AndroidManifest.xml", b"\x03\0binary"),
        ("classes2.dex", &bytes),
        ("assets/p.js", b"x({u:'/cgi-bin/micromsg-bin/sendmsg', c:2})"),
    ]);
    for outer in [inner.clone(), package(&[("base.apk", &inner)])] {
        let mut search = Search::new(known());
        search.package("app.apk", &outer);
        let findings = search.finish();
        assert!(findings.faults.is_empty(), "{:?}", findings.faults);
        assert_eq!((findings.files, findings.classes), (2, 5));
        assert_eq!(best(&findings), [Some(9), Some(2)], "{findings:#?}");
        let nine = &findings.urls[0].candidates[0];
        let ties: Vec<_> =
            nine.evidence.iter().map(|e| (e.class.as_str(), e.method.as_str(), e.tie)).collect();
        assert_eq!(ties[0], ("Lcom/mm/c;", "call", Tie::Statement));
        assert!(ties.contains(&("Lcom/mm/a;", "getType", Tie::Getter)), "{ties:?}");
        // UPLOAD stands in two methods, SEND in a switch, a constant and a script.
        assert_eq!((findings.urls[0].places, findings.urls[1].places), (2, 3));
        let of_send: Vec<_> = findings.urls[1].candidates.iter().map(|c| c.opcode).collect();
        assert!(of_send.contains(&42), "{of_send:?}");
        assert!(nine.evidence[0].file.ends_with("!classes2.dex"));
    }
}

#[test]
fn bombs_and_cut_files_are_faults() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let deflated = zip::write::SimpleFileOptions::default();
    zip.start_file("classes.dex", deflated).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..130 {
        zip.write_all(&zeros).unwrap();
    }
    let bomb = zip.finish().unwrap().into_inner();
    assert!(bomb.len() < 1 << 20);
    let mut search = Search::new(known());
    search.package("bomb.apk", &bomb);
    search.package("cut.dex", &sample()[..0x80]);
    let findings = search.finish();
    let reasons: Vec<_> = findings.faults.iter().map(|fault| fault.reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["is larger than what is unpacked", "is a dex file with a table beyond its end"]
    );
}

#[test]
fn classes_that_share_code_do_not_cost_without_end() {
    // 2^16 methods each of one long code item, from a file of 400 KB.
    let long = vec![0x0000; 100_000];
    let mut bytes = dex(&[UPLOAD], &[("La;", vec![("m", long)], vec![])]);
    let def = u32::from_le_bytes(bytes[0x64..0x68].try_into().unwrap()) as usize;
    let data = u32::from_le_bytes(bytes[def + 24..def + 28].try_into().unwrap()) as usize;
    let mut list = bytes[data + 4..].to_vec();
    list[0] = 0;
    let at = bytes.len() as u32;
    bytes[def + 24..def + 28].copy_from_slice(&at.to_le_bytes());
    bytes.extend([0, 0, 0x80, 0x80, 4, 0]);
    for _ in 0..1 << 16 {
        bytes.extend(&list);
    }
    let mut search = Search::new(known());
    search.package("a.dex", &bytes);
    let findings = search.finish();
    assert_eq!(findings.faults[0].reason, "is a dex file of more code than is walked");
}

proptest! {
    #[test]
    fn any_bytes_will_do(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
        shorten: bool,
    ) {
        let plain = sample();
        let zipped = package(&[("classes.dex", &plain)]);
        for mut bytes in [plain, zipped] {
            for (at, value) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            if shorten {
                bytes.truncate(cut.index(bytes.len()));
            }
            let mut search = Search::new(known());
            search.package("a.apk", &bytes);
            search.finish();
        }
    }

    #[test]
    fn any_text_will_do(
        parts in proptest::collection::vec(
            prop_oneof![
                Just(format!("\"{UPLOAD}\"")), Just("class A {".to_owned()), Just("}".to_owned()),
                Just(" 9 ".to_owned()), Just("<a b='sendmsg'>".to_owned()), Just("\n".to_owned()),
                Just(".class La;\n".to_owned()), Just("const/16 v0, 0x9\n".to_owned()),
                Just("invoke-x {v0 .. v9}, m\n".to_owned()), Just("'\\u00e9".to_owned()),
                Just("final int X = 0x".to_owned()), Just("/* ".to_owned()), ".{0,12}",
            ],
            0..30,
        ),
        extension in prop::sample::select(vec!["java", "kt", "js", "xml", "smali", "json"]),
    ) {
        let mut search = Search::new(known());
        search.text(&format!("a.{extension}"), &parts.concat());
        search.finish();
    }
}
