//! Files of the catalogue: what is refused and how it is said, how files add up.

#![allow(clippy::unwrap_used)] // a failed unwrap here is a failed test

use ottoscope_catalog::{Catalog, Severity, matches, schema, to_toml};
use ottoscope_flow::Direction;

fn error(text: &str) -> String {
    Catalog::from_texts(&[("my.toml", text)]).unwrap_err().to_string()
}

#[test]
fn errors_name_file_line_and_remedy() {
    let check = |text: &str, parts: &[&str]| {
        let error = error(text);
        for part in parts {
            assert!(error.contains(part), "{part:?} is missing in {error:?}");
        }
    };
    let app = "[app]\nid = \"x\"\n";
    check("[app]\nid = \"My App\"\n", &["my.toml:2", "[[app]]", "lower-case"]);
    check("[app]\nid = \"x\"\nnmae = \"y\"\n", &["my.toml", "nmae", "line 3"]);
    check("not toml", &["my.toml", "line 1"]);
    check(&format!("{app}[[name]]\npattern = \"A.b\"\n"), &["my.toml:4", "[[name]]", "`A`"]);
    check(
        &format!("{app}[[name]]\npattern = [\"ok.example\", \"*\"]\n"),
        &["my.toml:4", "matches everything"],
    );
    check(&format!("{app}[[name]]\npattern = []\n"), &["`pattern` is empty"]);
    check(
        &format!("{app}[[name]]\npattern = \"a.b\"\nsince = \"soon\"\n"),
        &["`soon` is not a day", "2014-02"],
    );
    check(
        &format!("{app}[[name]]\npattern = \"a.b\"\nconfidence = 2.0\n"),
        &["confidence 2", "up to 1"],
    );
    check(
        &format!("{app}[[prefix]]\nprefix = \"10.0.0.1/8\"\n"),
        &["my.toml:4", "did you mean 10.0.0.0?"],
    );
    check(
        &format!("{app}[[idle-timeout]]\nos = \"ios\"\nafter = \"3 minutes\"\n"),
        &["my.toml:5", "24m"],
    );
    check(&format!("{app}[[task]]\nname = \"t\"\n"), &["needs an `opcode` or a `url-prefix`"]);
    check(&format!("{app}[[user-agent]]\npattern = \"*\"\n"), &["nearly everything"]);
    check(&format!("{app}[[example]]\nhost = \"a\"\nurl = \"b\"\n"), &["exactly one"]);
    let signature = |field: &str| {
        format!("{app}[[signature]]\nid = \"s\"\ntransport = \"udp\"\n[[signature.field]]\n{field}")
    };
    check(
        &signature("at = 0\nlen = 2\nkind = \"constant\"\nvalue = \"0g\"\n"),
        &["my.toml:4", "not hex"],
    );
    check(&signature("at = 0\nlen = 2\nkind = \"constant\"\nvalue = \"00\"\n"), &["2 bytes long"]);
    check(&signature("at = 0\nlen = 2\nkind = \"constant\"\n"), &["needs `value`"]);
    check(&signature("at = 0\nlen = 2\nkind = \"opcode\"\n"), &["has no constant"]);
    check(&signature("at = 0\nlen = 9\nkind = \"length\"\n"), &["more than 8 bytes"]);
    check(&signature("at = 0\nlen = 2\nkind = \"unknown\"\nadd = 3\n"), &["`add`", "does not use"]);
}

#[test]
fn later_files_add_replace_or_start_anew() {
    let base =
        "[app]\nid = \"x\"\nname = \"X\"\n[[name]]\npattern = \".x.example\"\nservice = \"one\"\n";
    let more = "[app]\nid = \"x\"\n[[name]]\npattern = \".x.example\"\nservice = \"two\"\n[[name]]\npattern = \"y.example\"\n";
    let anew = "[app]\nid = \"x\"\nreplace = true\n[[name]]\npattern = \"z.example\"\n";
    let load = |texts: &[&str]| {
        let files: Vec<(String, &str)> = texts.iter().map(|t| ("f.toml".to_owned(), *t)).collect();
        Catalog::from_texts(&files).unwrap()
    };
    let catalog = load(&[base, more]);
    assert_eq!(catalog.apps().len(), 1);
    assert_eq!(catalog.apps()[0].name, "X");
    assert_eq!(catalog.lookup_name("a.x.example").unwrap().service.as_deref(), Some("two"));
    assert!(catalog.lookup_name("y.example").is_some());
    let catalog = load(&[base, anew]);
    assert!(catalog.lookup_name("a.x.example").is_none());
    assert!(catalog.lookup_name("z.example").is_some());
    assert_ne!(load(&[base]).digest(), load(&[base, more]).digest());
    assert_eq!(load(&[base]).digest(), load(&[base]).digest());
}

#[test]
fn a_file_can_be_tried_before_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let app = |id: &str, host: &str| {
        format!(
            "[app]\nid = \"{id}\"\nname = \"{id}\"\n[[name]]\npattern = \"{host}\"\nsource = \"s\"\n"
        )
    };
    let accepted = file("accepted.toml", &app("a", "old.example"));
    let files = [accepted.clone(), file("other.toml", &app("b", "new.example"))];
    let tried = Catalog::load_with(false, &files, &accepted, &app("a", "new.example")).unwrap();
    assert!(tried.lookup_name("old.example").is_none());
    assert!(tried.check().iter().any(|f| f.app == "a, b"), "{:?}", tried.check());
    assert!(!Catalog::load(false, &files).unwrap().check().iter().any(|f| f.app == "a, b"));
    let beside = folder.path().join("not-yet.toml");
    let tried = Catalog::load_with(false, &files, &beside, &app("c", "c.example")).unwrap();
    assert_eq!(&*tried.lookup_name("c.example").unwrap().app, "c");
}

#[test]
fn two_apps_that_claim_one_name_are_found() {
    let files = [
        (
            "a.toml",
            "[app]\nid = \"a\"\nname = \"A\"\n[[name]]\npattern = \"*.x.example\"\nsource = \"s s\"\n",
        ),
        ("b.toml", "[app]\nid = \"b\"\nname = \"B\"\n[[name]]\npattern = \".x.example\"\n"),
    ];
    let catalog = Catalog::from_texts(&files).unwrap();
    assert_eq!(&*catalog.lookup_name("y.x.example").unwrap().app, "b");
    let findings = catalog.check();
    assert!(
        findings.iter().any(|f| f.severity == Severity::Error && f.app == "a, b"),
        "{findings:?}"
    );
    assert!(findings.iter().any(|f| f.text.contains("has no source")), "{findings:?}");
}

#[test]
fn signatures_survive_toml() {
    let catalog = Catalog::builtin().unwrap();
    for rule in catalog.signature_rules() {
        let file = schema::File {
            app: schema::App { id: rule.app.to_string(), ..schema::App::default() },
            signatures: vec![schema::Signature::from(&rule.layout)],
            ..schema::File::default()
        };
        let text = to_toml(&file).unwrap();
        let again = Catalog::from_texts(&[("again.toml", text)]).unwrap();
        assert_eq!(again.signatures(), std::slice::from_ref(&rule.layout));
    }
}

#[test]
fn layouts_judge_single_messages() {
    let catalog = Catalog::builtin().unwrap();
    let layout = |id: &str| catalog.signature(id).unwrap().layout.clone();
    let w_tcp = layout("wechat/w-tcp");
    let message = [0, 0, 0, 16, 0, 16, 0, 1, 0, 0, 0, 6, 0xff, 0xff, 0xff, 0xff];
    assert!(matches(&w_tcp, Direction::Up, 80, &message));
    assert!(!matches(&w_tcp, Direction::Up, 80, &message[..15]));
    assert!(!matches(&layout("whatsapp/noise-edge"), Direction::Down, 5222, b"ED\0\x01"));
    assert!(matches(&layout("whatsapp/noise-edge"), Direction::Up, 5222, b"ED\0\x01"));
}

proptest::proptest! {
    #[test]
    fn any_text_loads_or_fails_with_words(text in "(\\[\\[?(app|name|signature|prefix|task|example)\\]?\\]\n|(id|pattern|prefix|len|at|kind|value) = (\"[a-z*.{}#0-9/:]{0,9}\"|[0-9]{1,12}|\\[\\])\n){0,14}") {
        if let Err(error) = Catalog::from_texts(&[("f.toml", text)]) {
            proptest::prop_assert!(error.to_string().contains("f.toml"));
        }
    }
}
