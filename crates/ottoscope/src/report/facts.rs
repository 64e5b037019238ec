//! Totals of a study: what the head of the page says.

use ottoscope_analysis::grid::{Cell, Grid};
use ottoscope_analysis::{Error, Session};

/// Totals of the tables.
pub(crate) struct Facts {
    /// Captures, and how many of them end inside a record.
    pub(crate) captures: [f64; 2],
    /// Packets and bytes on the wire, as captured.
    pub(crate) packets: f64,
    /// See `packets`.
    pub(crate) bytes: f64,
    /// First and last packet, seconds since the epoch.
    pub(crate) span: Option<[f64; 2]>,
    /// Flows, and bytes in them.
    pub(crate) flows: f64,
    /// See `flows`.
    pub(crate) flow_bytes: f64,
    /// Flows with a label, and bytes in them.
    pub(crate) labelled: f64,
    /// See `labelled`.
    pub(crate) labelled_bytes: f64,
    /// Distinct applications among the labels.
    pub(crate) apps: f64,
    /// Users: client addresses until idle.
    pub(crate) users: f64,
    /// Anomalies by layer and reason.
    pub(crate) anomalies: Grid,
    /// How many anomalies there are in all.
    pub(crate) anomaly_count: f64,
    /// The captures themselves.
    pub(crate) list: Grid,
}

/// Rows of the lists at the end of the page.
const ROWS: usize = 60;

impl Facts {
    /// Asks the session.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub(crate) fn gather(session: &Session) -> Result<Self, Error> {
        let captures = numbers(
            session,
            "SELECT count(*), count(*) FILTER (WHERE truncated), sum(packets), sum(bytes), min(first), max(last)
             FROM captures",
        )?;
        let flows = numbers(
            session,
            "SELECT count(*), sum(bytes_up + bytes_down), count(app),
                    sum(bytes_up + bytes_down) FILTER (WHERE app IS NOT NULL), count(DISTINCT app),
                    min(first), max(last)
             FROM labelled_flows",
        )?;
        let [users, anomaly_count] = [
            numbers(session, "SELECT count(*) FROM users")?,
            numbers(session, "SELECT count(*) FROM anomalies")?,
        ]
        .map(|row| row[0].unwrap_or(0.0));
        let anomalies = session.sql(&format!(
            "SELECT layer, reason, count(*) AS anomalies, count(DISTINCT flow) AS flows, min(at) AS first, max(at) AS last
             FROM anomalies GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT {ROWS}"
        ))?;
        let list = session.sql(&format!(
            "SELECT regexp_replace(path, '^.*/', '') AS file, format, link_types, packets, bytes, first, last,
                    not_ip, undecoded, truncated
             FROM captures ORDER BY first, path LIMIT {ROWS}"
        ))?;
        let n = |row: &[Option<f64>], i: usize| row.get(i).copied().flatten();
        let span = n(&captures, 4).zip(n(&captures, 5)).or(n(&flows, 5).zip(n(&flows, 6)));
        Ok(Facts {
            captures: [n(&captures, 0).unwrap_or(0.0), n(&captures, 1).unwrap_or(0.0)],
            packets: n(&captures, 2).unwrap_or(0.0),
            bytes: n(&captures, 3).unwrap_or(0.0),
            span: span.map(|(first, last)| [first, last]),
            flows: n(&flows, 0).unwrap_or(0.0),
            flow_bytes: n(&flows, 1).unwrap_or(0.0),
            labelled: n(&flows, 2).unwrap_or(0.0),
            labelled_bytes: n(&flows, 3).unwrap_or(0.0),
            apps: n(&flows, 4).unwrap_or(0.0),
            users,
            anomalies: anomalies.grid(),
            anomaly_count,
            list: list.grid(),
        })
    }
}

/// The only row of an answer, as numbers; times in seconds.
fn numbers(session: &Session, sql: &str) -> Result<Vec<Option<f64>>, Error> {
    let grid = session.sql(sql)?.grid();
    let width = grid.columns.len();
    Ok(grid
        .rows
        .first()
        .map_or_else(|| vec![None; width], |row| row.iter().map(Cell::number).collect()))
}
