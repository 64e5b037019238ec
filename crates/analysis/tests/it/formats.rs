//! The four ways an answer is written.

use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ottoscope_analysis::{Format, Session, format};

use crate::fixture;

const SQL: &str = "SELECT * FROM (VALUES
    (1, 'plain', 18446744073709551615, TIMESTAMP '2013-11-01T08:00:00.5Z', x'00ff', 0.5),
    (2, 'quote \" comma, line
end', NULL, NULL, NULL, 1e300)) AS t(n, text, big, at, bytes, x) ORDER BY n";

fn session() -> Session {
    fixture::study(&[])
}

fn write(sql: &str, format: Format) -> Vec<u8> {
    let session = session();
    let mut out = Vec::new();
    format::write(session.stream(sql).unwrap(), format, &mut out).unwrap();
    out
}

fn text(sql: &str, format: Format) -> String {
    String::from_utf8(write(sql, format)).unwrap()
}

#[test]
fn csv_quotes_what_needs_it() {
    let expected = "n,text,big,at,bytes,x
1,plain,18446744073709551615,2013-11-01T08:00:00.500,00ff,0.5
2,\"quote \"\" comma, line
end\",,,,1e300
";
    assert_eq!(text(SQL, Format::Csv), expected);
    assert_eq!(text("SELECT 1 AS a WHERE FALSE", Format::Csv), "a\n");
    assert_eq!(
        text("SELECT array_agg(n) AS a FROM (VALUES (1), (2)) AS t(n)", Format::Csv),
        "a\n\"[1, 2]\"\n"
    );
}

#[test]
fn json_is_one_array_with_nulls() {
    let rows: serde_json::Value = serde_json::from_slice(&write(SQL, Format::Json)).unwrap();
    assert_eq!(rows[0]["big"], 18_446_744_073_709_551_615_u64);
    assert_eq!(rows[0]["bytes"], "00ff");
    assert_eq!(rows[0]["at"], "2013-11-01T08:00:00.500");
    assert!(rows[1].as_object().unwrap().contains_key("big") && rows[1]["big"].is_null());
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!(text("SELECT 1 AS a WHERE FALSE", Format::Json), "[]\n");
    let times = text("SELECT first FROM flows", Format::Json);
    assert_eq!(times, "[]\n");
}

#[test]
fn parquet_reads_back() {
    let bytes = write(SQL, Format::Parquet);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
    let rows: usize = reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 2);
    let none = write("SELECT 1 AS a WHERE FALSE", Format::Parquet);
    assert!(ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(none)).is_ok());
}

#[test]
fn tables_align_and_show_null_as_nothing() {
    let sql = "SELECT * FROM (VALUES (1, 'a'), (200, NULL)) AS t(n, word) ORDER BY n";
    let expected = "  n  word\n───  ────\n  1  a\n200  \n";
    assert_eq!(text(sql, Format::Table { width: None }), expected);
    let long = "SELECT 1 AS n, repeat('x', 100) AS word";
    let cut = text(long, Format::Table { width: Some(20) });
    assert!(cut.lines().all(|line| line.chars().count() <= 20), "{cut}");
    assert!(cut.contains('…'));
    assert!(text(long, Format::Table { width: None }).contains(&"x".repeat(100)));
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let shown = text("SELECT chr(27) || '[31mred' AS name", Format::Table { width: None });
    assert!(!shown.contains('\u{1b}') && shown.contains("\\u{1b}[31mred"));
}
