//! The tables of a study, one file each.

mod anomalies;
mod bins;
mod captures;
mod dns;
mod flows;
mod frames;
mod labels;
mod messages;
mod predictions;
mod rtp;
mod tasks;
mod users;
mod video;

pub use anomalies::{Anomalies, AnomalyBuilder, AnomalyColumns, AnomalyRow};
pub use bins::{BinBuilder, BinColumns, BinRow, Bins};
pub use captures::{CaptureBuilder, CaptureColumns, CaptureRow, Captures};
pub use dns::{Dns, DnsBuilder, DnsColumns, DnsRow};
pub use flows::{FlowBuilder, FlowColumns, FlowRow, Flows};
pub use frames::{FrameBuilder, FrameColumns, FrameRow, Frames};
pub use labels::{LabelBuilder, LabelColumns, LabelRow, Labels};
pub use messages::{MessageBuilder, MessageColumns, MessageRow, Messages};
pub use predictions::{PredictionBuilder, PredictionColumns, PredictionRow, Predictions};
pub use rtp::{Rtp, RtpBuilder, RtpColumns, RtpRow};
pub use tasks::{TaskBuilder, TaskColumns, TaskRow, Tasks};
pub use users::{UserBuilder, UserColumns, UserRow, Users};
pub use video::{Video, VideoBuilder, VideoColumns, VideoRow};

use crate::table::{Table, TableInfo};

/// Every table, in the order of the reference page.
pub static ALL: &[TableInfo] = &[
    Captures::INFO,
    Flows::INFO,
    Labels::INFO,
    Predictions::INFO,
    Dns::INFO,
    Messages::INFO,
    Tasks::INFO,
    Rtp::INFO,
    Video::INFO,
    Frames::INFO,
    Bins::INFO,
    Anomalies::INFO,
    Users::INFO,
];

/// The table called `name`.
pub fn find(name: &str) -> Option<&'static TableInfo> {
    ALL.iter().find(|t| t.name == name)
}

/// Version of all schemas, in the metadata of every part. It rises when a column changes its
/// meaning or type; a reader refuses parts with a higher one.
pub const SCHEMA_VERSION: u32 = 1;

/// The reference page of all tables, in Markdown.
pub fn reference() -> String {
    use std::fmt::Write as _;
    let mut page = String::from(
        "# Tables\n\nGenerated from the tables' declarations in `crates/store/src/tables`; do \
         not edit.\n\nA table is a folder of Parquet files, `tables/<table>/date=YYYY-MM-DD/\
         hour=HH/*.parquet`: the hour, in UTC, of the table's time column. `date` and `hour` \
         can be queried as text columns (`hour = '08'`) and prune what is read. Within a file \
         rows are sorted by time. Dates before 1970 and after 2199, which only broken or \
         hostile captures hold, are filed under 1970-01-01, hour 00, with their own time in \
         the row; so are rows of a run that already spans 10,000 different hours.\n\nTimes are \
         UTC with nanoseconds. Strings are never dictionary columns.\n",
    );
    let sentence = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for table in ALL {
        let _ = write!(page, "\n## `{}`\n\n{}\n\n", table.name, sentence(table.about));
        let _ = match (table.time, table.key) {
            (Some(time), Some(key)) => {
                writeln!(page, "Partitioned by `{time}`, sorted by `{time}`, `{key}`.\n")
            }
            (Some(time), None) => writeln!(page, "Partitioned and sorted by `{time}`.\n"),
            _ => writeln!(page, "Not partitioned.\n"),
        };
        page.push_str("| column | type | missing | what |\n|---|---|---|---|\n");
        for c in table.columns {
            let missing = if c.nullable { "may be" } else { "" };
            let about = sentence(c.about).replace('|', "\\|");
            let _ = writeln!(page, "| `{}` | {} | {missing} | {about} |", c.name, c.kind.name());
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Kind;

    #[test]
    fn every_table_is_sound() {
        for table in ALL {
            assert!(!table.about.trim().is_empty(), "{}", table.name);
            assert_eq!(ALL.iter().filter(|t| t.name == table.name).count(), 1);
            for column in table.columns {
                let where_ = format!("{}.{}", table.name, column.name);
                assert!(column.about.trim().ends_with('.'), "{where_}");
                assert_eq!(table.columns.iter().filter(|c| c.name == column.name).count(), 1);
                assert!(!["date", "hour"].contains(&column.name), "{where_}");
            }
            let kind = |name| {
                let column = &table.columns[table.position(name).unwrap()];
                assert!(!column.nullable);
                column.kind
            };
            assert!(table.time.is_none_or(|t| kind(t) == Kind::Timestamp));
            assert!(table.key.is_none_or(|k| kind(k) == Kind::UInt64));
        }
        assert!(find("flows").is_some() && find("flaws").is_none());
    }
}
