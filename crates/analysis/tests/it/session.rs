//! What queries may do, and what they say when they may not.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::parquet::arrow::ArrowWriter;
use ottoscope_analysis::grid::Cell;
use ottoscope_analysis::{Error, Options, Params, Scope, Session};
use ottoscope_store::tables;

use crate::fixture;

const FLOWS: &str = "flow,first,last,transport,client,client_port,server,server_port,bytes_up,bytes_down
1,2013-11-01T08:00:00Z,2013-11-01T08:10:00Z,tcp,10.0.0.1,4000,192.0.2.1,443,100,900
2,2013-11-01T09:00:00Z,2013-11-01T09:00:01Z,udp,10.0.0.2,4001,192.0.2.2,53,60,120
18446744073709551615,2013-11-02T00:30:00Z,2013-11-02T00:31:00Z,tcp,10.0.0.1,4002,192.0.2.1,5222,10,20
";
const LABELS: &str = "flow,first,app,service,evidence,confidence,detail,best
1,2013-11-01T08:00:00Z,whatsapp,mms,sni,0.95,x,true
1,2013-11-01T08:00:00Z,wechat,long,prefix,0.3,y,false
18446744073709551615,2013-11-02T00:30:00Z,whatsapp,chat,dns,0.85,z,true
";

fn small() -> Session {
    fixture::study(&[("flows", FLOWS), ("labels", LABELS)])
}

fn one(session: &Session, sql: &str) -> String {
    let grid = session.sql(sql).unwrap().grid();
    let cells: Vec<Vec<String>> =
        grid.rows.iter().map(|row| row.iter().map(word).collect()).collect();
    cells.iter().map(|row| row.join(",")).collect::<Vec<_>>().join(";")
}

fn word(cell: &Cell) -> String {
    match cell {
        Cell::Null => "-".to_owned(),
        Cell::Text(text) => text.clone(),
        Cell::Int(n) => n.to_string(),
        Cell::Real(x) => x.to_string(),
        Cell::Bool(b) => b.to_string(),
        Cell::Time(ns) => ns.to_string(),
    }
}

/// Writes tables where the store would.
fn on_disk(study: &Path, given: &[(&str, &str)]) {
    for (name, csv) in given {
        let batch = fixture::table(name, csv);
        let schema = tables::find(name).unwrap().schema();
        let columns = schema
            .fields()
            .iter()
            .filter_map(|field| batch.schema().index_of(field.name()).ok())
            .collect::<Vec<_>>();
        let batch = batch.project(&columns).unwrap();
        for i in 0..batch.num_rows() {
            let row = batch.slice(i, 1);
            let first = row.column_by_name("first").unwrap();
            let ns = first
                .as_primitive::<datafusion::arrow::datatypes::TimestampNanosecondType>()
                .value(0);
            let hour = ns / 3_600_000_000_000 % 24;
            let day = if ns < 1_383_350_400_000_000_000 { "2013-11-01" } else { "2013-11-02" };
            let folder = study.join("tables").join(name).join(format!("date={day}/hour={hour:02}"));
            fs::create_dir_all(&folder).unwrap();
            let file = fs::File::create(folder.join(format!("h-r-0-{i}.parquet"))).unwrap();
            let mut writer = ArrowWriter::try_new(file, row.schema(), None).unwrap();
            writer.write(&row).unwrap();
            writer.close().unwrap();
        }
    }
}

#[test]
fn flows_know_their_best_label() {
    let session = small();
    let found = one(&session, "SELECT flow, app, service FROM labelled_flows ORDER BY first");
    assert_eq!(found, "1,whatsapp,mms;2,-,-;18446744073709551615,whatsapp,chat");
}

#[test]
fn a_study_on_disk_answers_as_one_in_memory() {
    let study = tempfile::tempdir().unwrap();
    on_disk(study.path(), &[("flows", FLOWS), ("labels", LABELS)]);
    // Neither a part being written nor a stranger's file is read.
    let folder = study.path().join("tables/flows/date=2013-11-01/hour=08");
    fs::write(folder.join("h-r-0-9.parquet.tmp"), b"half a part").unwrap();
    fs::write(folder.join("notes.txt"), b"mine").unwrap();
    let disk = Session::open(study.path(), &fixture::options()).unwrap();
    let memory = small();
    for sql in [
        "SELECT count(*), sum(bytes_up) FROM flows",
        "SELECT date, hour, flow FROM flows ORDER BY first",
        "SELECT flow FROM flows WHERE date = '2013-11-01' AND hour = '09'",
        "SELECT app, count(*), min(confidence) FROM labelled_flows GROUP BY app ORDER BY app",
        "SELECT count(*) FROM dns",
        "SELECT user_agent IS NULL FROM flows LIMIT 1",
    ] {
        assert_eq!(one(&disk, sql), one(&memory, sql), "{sql}");
    }
    let files = |sql: &str| one(&disk, &format!("EXPLAIN {sql}")).matches(".parquet").count();
    assert_eq!(files("SELECT server FROM flows"), 3);
    assert_eq!(files("SELECT server FROM flows WHERE hour = '09'"), 1);
}

#[test]
fn a_folder_without_tables_is_no_study() {
    let folder = tempfile::tempdir().unwrap();
    let error = Session::open(folder.path(), &Options::default()).err().unwrap();
    assert!(matches!(error, Error::NoStudy { .. }) && error.hint().is_some());
}

#[test]
fn questions_are_let_through() {
    let session = small();
    for sql in [
        "SELECT 1",
        "SELECT 1;",
        "WITH a AS (SELECT 1 AS x) SELECT * FROM a",
        "EXPLAIN SELECT * FROM flows",
        "EXPLAIN ANALYZE SELECT count(*) FROM flows",
        "SHOW TABLES",
        "SHOW COLUMNS FROM flows",
        "DESCRIBE labelled_flows",
        "SELECT domain('mmi633.whatsapp.net'), network('31.13.86.48')",
        "SELECT domain(server_name), network(server) FROM flows",
        "VALUES (1, 2)",
    ] {
        session.sql(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}

#[test]
fn everything_else_is_refused() {
    let session = small();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.parquet");
    let file = folder.path().join("in.csv");
    fs::write(&file, "a,b\n1,2\n").unwrap();
    for sql in [
        format!("COPY flows TO '{}'", out.display()),
        format!("EXPLAIN ANALYZE COPY flows TO '{}'", out.display()),
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{}'", file.display()),
        format!("SELECT * FROM '{}'", file.display()),
        format!("SELECT * FROM read_csv('{}')", file.display()),
        "CREATE TABLE t AS SELECT 1".to_owned(),
        "CREATE VIEW v AS SELECT 1".to_owned(),
        "INSERT INTO flows SELECT * FROM flows".to_owned(),
        "DELETE FROM flows".to_owned(),
        "UPDATE flows SET server = ''".to_owned(),
        "DROP TABLE flows".to_owned(),
        "SET datafusion.execution.target_partitions = 64".to_owned(),
        "PREPARE p AS SELECT 1".to_owned(),
        "SELECT 1; SELECT 2".to_owned(),
        String::new(),
        "SELEC 1".to_owned(),
    ] {
        assert!(session.sql(&sql).is_err(), "{sql}");
    }
    assert!(!out.exists());
    assert_eq!(one(&session, "SELECT count(*) FROM flows"), "3");
}

#[test]
fn slips_get_a_hint() {
    let session = small();
    let hint = |sql: &str| session.sql(sql).unwrap_err().hint().unwrap_or_default();
    assert_eq!(hint("SELECT * FROM flow"), "did you mean flows?");
    assert_eq!(hint("SELECT * FROM labeled_flows"), "did you mean labelled_flows?");
    assert!(hint("SELECT * FROM subscribers").starts_with("there are anomalies"));
    assert_eq!(hint("SELECT servr FROM flows"), "did you mean server?");
    assert!(hint("DROP TABLE flows").starts_with("a query is one SELECT"));
}

#[test]
fn deep_nesting_is_an_error_or_an_answer_but_no_crash() {
    let session = small();
    let sql = format!("SELECT {}1{}", "(".repeat(3000), ")".repeat(3000));
    let _ = session.sql(&sql);
    let sql = format!("SELECT {}1", "NOT ".repeat(3000));
    let _ = session.sql(&sql);
}

#[test]
fn memory_is_limited() {
    let session = Session::in_memory(
        &[("flows", fixture::table("flows", FLOWS))],
        &Options { threads: Some(1), memory: Some(1 << 20) },
    )
    .unwrap();
    let sql = "SELECT array_agg(a.value) FROM generate_series(1, 1000000) a";
    let error = session.sql(sql).unwrap_err();
    assert!(matches!(error, Error::Memory { .. }), "{error}");
    assert_eq!(one(&session, "SELECT count(*) FROM flows"), "3");
}

#[test]
fn a_window_takes_what_starts_in_it() {
    let session = small();
    let at = |hours: i64| Some((1_383_264_000 + hours * 3600) * 1_000_000_000);
    let count = |from, to| {
        let params = Params { from, to, ..Params::default() };
        let scope = Scope::new(&session, &params).unwrap();
        let rows = scope
            .sql("SELECT count(*)::BIGINT AS n, count(app)::BIGINT AS l FROM user_flows")
            .unwrap();
        let batch = &rows.batches[0];
        let column = |i: usize| {
            let column: &Arc<dyn Array> = batch.column(i);
            column.as_primitive::<datafusion::arrow::datatypes::Int64Type>().value(0)
        };
        (column(0), column(1))
    };
    assert_eq!(count(None, None), (3, 2));
    assert_eq!(count(at(8), at(9)), (1, 1));
    assert_eq!(count(at(9), None), (2, 1));
    assert_eq!(count(None, at(8)), (0, 0));
    assert_eq!(count(at(8), at(24)), (2, 1));
}
