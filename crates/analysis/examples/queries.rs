//! Writes a made-up study of N flows and times every analysis on it:
//! `cargo run --release -p ottoscope-analysis --example queries -- FOLDER 1000000`.
//!
//! The traffic is a day of a cell: nine applications with services of different sizes and
//! durations, idle timeouts, two data centres, an outage. Every value comes from the row's
//! number, so that two runs make the same study.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program that times and prints"
)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ottoscope_analysis::{ALL, Format, Options, Params, Session, format};

/// Pseudorandom numbers between 0 and 1 of the row `v`, one stream a salt.
fn random(salt: u32) -> String {
    format!("(abs(sin(v * 12.9898 + {salt} * 78.233)) * 43758.5453 % 1.0)")
}

/// Rows of `flows`, before they are cast to the store's types.
fn flows(n: u64) -> String {
    let [who, what, size, long, hour, dc] = [1, 2, 3, 4, 5, 6].map(random);
    format!(
        "WITH a AS (
           SELECT value AS v, value::DOUBLE / {n} AS day FROM generate_series(1, {n})
         ), b AS (
           SELECT *, {who} AS who, {what} AS what, {size} AS size, {long} AS long, {dc} AS dc, {hour} AS jitter,
                  floor({who} * 40000) AS user FROM a
         ), c AS (
           SELECT *, CASE WHEN what < .24 THEN 'whatsapp' WHEN what < .38 THEN 'wechat' WHEN what < .45 THEN 'instagram'
                          WHEN what < .51 THEN 'telegram' WHEN what < .55 THEN 'skype' WHEN what < .58 THEN 'viber'
                          WHEN what < .60 THEN 'line' WHEN what < .61 THEN 'signal' END AS app,
                  CASE WHEN dc < .7 THEN 'chat' WHEN dc < .88 THEN 'photo-audio' WHEN dc < .95 THEN 'video' ELSE 'control' END AS kind
           FROM b
         ), d AS (
           SELECT *, CASE kind WHEN 'chat' THEN CASE WHEN app = 'whatsapp' AND size < .25 THEN (CASE WHEN long < .5 THEN 600 WHEN long < .8 THEN 900 ELSE 1440 END) + jitter
                                                     ELSE 2 + exp(long * 8) END
                               WHEN 'control' THEN 0.3 + 5 * long ELSE 1 + exp(long * 5) END AS seconds,
                  CASE kind WHEN 'chat' THEN exp(6 + size * 6) WHEN 'photo-audio' THEN exp(9 + size * 6)
                            WHEN 'video' THEN exp(11 + size * 6) ELSE exp(5 + size * 4) END AS bytes FROM c
         )
         SELECT v * 9973 AS flow,
                arrow_cast(1392681600000000000 + (day * 86400e9)::BIGINT, 'Timestamp(Nanosecond, Some(\"UTC\"))') AS first,
                arrow_cast(1392681600000000000 + (day * 86400e9 + seconds * 1e9)::BIGINT, 'Timestamp(Nanosecond, Some(\"UTC\"))') AS last,
                CASE WHEN app = 'skype' OR (app IS NULL AND jitter < .3) THEN 'udp' ELSE 'tcp' END AS transport,
                concat('~10.', floor(user / 65536)::INT, '.', (floor(user / 256) % 256)::INT, '.', (user % 256)::INT) AS client,
                32768 + v % 28000 AS client_port,
                concat(CASE app WHEN 'whatsapp' THEN '158.85.' WHEN 'wechat' THEN '203.205.' ELSE '31.13.' END,
                       (length(coalesce(app, 'x')) * 3 + floor(long * 4))::INT, '.', (floor(size * size * 250))::INT) AS server,
                CASE kind WHEN 'chat' THEN 5222 ELSE 443 END AS server_port,
                (bytes * .2 / 300)::BIGINT + 3 AS packets_up, (bytes * .8 / 900)::BIGINT + 3 AS packets_down,
                (bytes * CASE WHEN jitter < .2 THEN .9 ELSE .12 END)::BIGINT AS bytes_up, (bytes * CASE WHEN jitter < .2 THEN .1 ELSE .88 END)::BIGINT AS bytes_down,
                (bytes * .1)::BIGINT AS payload_up, (bytes * .8)::BIGINT AS payload_down,
                CASE WHEN app IS NULL AND jitter < .1 THEN 'dns' WHEN app IS NULL AND jitter < .3 THEN 'quic' WHEN app IS NULL AND jitter < .5 THEN 'http'
                     WHEN kind = 'chat' AND app = 'whatsapp' THEN NULL ELSE 'tls' END AS protocol,
                CASE WHEN app = 'whatsapp' THEN CASE kind WHEN 'chat' THEN concat('e', (v % 16)::INT, '.whatsapp.net') WHEN 'video' THEN concat('mmv', (100 + v % 40)::INT, '.whatsapp.net')
                          ELSE concat('mmi', (600 + v % 80)::INT, '.whatsapp.net') END
                     WHEN app = 'wechat' THEN CASE kind WHEN 'chat' THEN 'long.weixin.qq.com' ELSE 'short.weixin.qq.com' END
                     WHEN app IS NOT NULL THEN concat(kind, '.', app, '.com') END AS server_name,
                CASE WHEN kind <> 'chat' THEN 'fin' ELSE 'idle' END AS end, 2 AS syn, 2 AS fin, 0 AS rst, 'syn' AS side,
                CASE WHEN dc < .6 THEN 106000 + exp(long * 10) ELSE 114000 + exp(size * 10) END AS rtt_server_us,
                app, kind
         FROM d ORDER BY v"
    )
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let study = PathBuf::from(args.next().ok_or("which folder?")?);
    let n: u64 = args.next().map_or(Ok(1_000_000), |n| n.parse())?;
    let options = Options { threads: Some(2), memory: None };
    if !study.join("tables").exists() {
        make(&study, n, &options)?;
    }
    let session = Session::open(&study, &options)?;
    for app in [None, Some("whatsapp".to_owned())] {
        for analysis in ALL {
            let params = Params { app: app.clone(), ..Params::default() };
            let begin = Instant::now();
            let answer = analysis.run(&session, &params)?;
            let rows: usize = answer.tables.iter().map(|t| t.rows.len()).sum();
            let (took, app) = (begin.elapsed().as_millis(), app.as_deref().unwrap_or("all"));
            println!("{:16} {app:10} {took:6} ms {rows:6} rows", analysis.id);
        }
    }
    Ok(())
}

fn make(study: &Path, n: u64, options: &Options) -> Result<(), Box<dyn Error>> {
    let none = Session::in_memory(&[], options)?;
    let rows = |session: &Session, sql: &str| session.sql(sql).map(|rows| rows.batches);
    let flows = rows(&none, &flows(n))?;
    let flows: Vec<_> = flows.into_iter().map(|batch| ("flows", batch)).collect();
    let raw = Session::in_memory(&flows, options)?;
    drop(flows);
    let mut all = Vec::new();
    for (table, sql) in [
        (
            "labels",
            "SELECT flow, first, split_part(app_kind, '/', 1) AS app, split_part(app_kind, '/', 2) AS service,
                    CASE WHEN flow % 7 = 0 THEN 'dns' ELSE 'sni' END AS evidence, 0.9 AS confidence, server_name AS detail, TRUE AS best
             FROM (SELECT *, CASE WHEN server_name LIKE 'mmv%' THEN 'whatsapp/video' WHEN server_name LIKE 'mmi%' THEN 'whatsapp/photo-audio'
                          WHEN server_name LIKE 'e%whatsapp.net' THEN 'whatsapp/chat' WHEN server_name LIKE '%weixin%' THEN concat('wechat/', split_part(server_name, '.', 1))
                          ELSE concat(split_part(server_name, '.', 2), '/', split_part(server_name, '.', 1)) END AS app_kind
                   FROM flows WHERE server_name IS NOT NULL) ORDER BY first",
        ),
        (
            "users",
            "SELECT client, 0 AS session, min(first) AS first, max(last) AS last, count(*) AS flows, sum(packets_up + packets_down) AS packets,
                    sum(bytes_up) AS bytes_up, sum(bytes_down) AS bytes_down FROM flows GROUP BY client ORDER BY 3",
        ),
        (
            "bins",
            "SELECT arrow_cast((first::BIGINT / 1000000000 + i.value) * 1000000000, 'Timestamp(Nanosecond, Some(\"UTC\"))') AS second, flow, packets_up / 3 AS packets_up, packets_down / 3 AS packets_down,
                    bytes_up / 3 AS bytes_up, bytes_down / 3 AS bytes_down, CASE WHEN i.value = 0 THEN 2 ELSE 0 END AS syn, CASE WHEN i.value = 2 THEN 2 ELSE 0 END AS fin,
                    CASE WHEN hour = '18' AND i.value = 2 THEN 1 ELSE 0 END AS rst
             FROM flows CROSS JOIN generate_series(0, 2) i ORDER BY 1",
        ),
        (
            "captures",
            "SELECT 'cell.pcap.zst' AS path, 'pcap' AS format, 'ethernet' AS link_types, sum(packets_up + packets_down) AS packets,
                    sum(bytes_up + bytes_down) AS bytes, min(first) AS first, max(last) AS last, FALSE AS truncated FROM flows",
        ),
    ] {
        all.extend(rows(&raw, sql)?.into_iter().map(|batch| (table, batch)));
    }
    let derived = Session::in_memory(&all, options)?;
    for (session, table) in [
        (&raw, "flows"),
        (&derived, "labels"),
        (&derived, "users"),
        (&derived, "bins"),
        (&derived, "captures"),
    ] {
        write(study, session, table)?;
    }
    Ok(())
}

/// One part an hour, as the store lays them out.
fn write(study: &Path, session: &Session, table: &str) -> Result<(), Box<dyn Error>> {
    let folder = study.join("tables").join(table);
    let part = |folder: PathBuf, sql: &str| -> Result<(), Box<dyn Error>> {
        fs::create_dir_all(&folder)?;
        let mut file = fs::File::create(folder.join("here-run-0-0.parquet"))?;
        format::write(session.stream(sql)?, Format::Parquet, &mut file)?;
        Ok(())
    };
    if table == "captures" {
        return part(folder, "SELECT * FROM captures");
    }
    let hours = session.sql(&format!("SELECT DISTINCT date, hour FROM {table}"))?.grid();
    for row in hours.rows {
        let [Some(date), Some(hour)] = [row[0].text(), row[1].text()] else { continue };
        let sql = format!(
            "SELECT * EXCEPT (date, hour) FROM {table} WHERE date = '{date}' AND hour = '{hour}'"
        );
        part(folder.join(format!("date={date}/hour={hour}")), &sql)?;
    }
    Ok(())
}
