//! The analyses: one folder and one line each.

use crate::analyses;
use crate::answer::{Answer, NamedTable};
use crate::error::{Error, nearest};
use crate::figure::Figure;
use crate::params::Params;
use crate::plot::Plots;
use crate::query;
use crate::scope::Scope;
use crate::session::Session;
use crate::suppress;

/// A named question.
pub struct Analysis {
    /// How it is called.
    pub id: &'static str,
    /// The question in a few words.
    pub title: &'static str,
    /// What is computed and how, where it comes from (Markdown).
    pub about: &'static str,
    query: &'static str,
    figures: &'static str,
    operator: Option<Operator>,
}

/// What SQL cannot say: adds to the tables that `query.sql` gave.
type Operator = fn(&Scope, &mut Draft) -> Result<(), Error>;

/// An answer in the making.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) tables: Vec<NamedTable>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) notes: Vec<String>,
}

macro_rules! folder {
    (@file $id:literal, $file:literal) => { include_str!(concat!("analyses/", $id, "/", $file)) };
    ($id:literal, $title:literal $(, query $query:literal)? $(, figures $figures:literal)? $(, operator $operator:expr)?) => {
        Analysis {
            id: $id,
            title: $title,
            about: folder!(@file $id, "about.md"),
            query: concat!("", $(folder!(@file $id, $query))?),
            figures: concat!("", $(folder!(@file $id, $figures))?),
            operator: {
                #[allow(unused_mut, unused_assignments)]
                let mut operator: Option<Operator> = None;
                $(operator = Some($operator);)?
                operator
            },
        }
    };
}

/// Every analysis, in the order a report shows them.
pub static ALL: &[Analysis] = &[
    folder!("users-volume", "Users and volume", query "query.sql", figures "figure.toml"),
    folder!("services", "Services and tasks", query "query.sql", figures "figure.toml"),
    folder!("tasks", "Tasks by opcode", query "query.sql", figures "figure.toml"),
    folder!("volume-share", "Volume and flows by content", query "query.sql", figures "figure.toml"),
    folder!("traffic", "Traffic over time", operator analyses::traffic::run),
    folder!("flow-cdf", "Flow sizes and durations", operator analyses::flow_cdf::run),
    folder!("naming", "Naming scheme", operator analyses::naming::run),
    folder!("hosting", "Hosting", query "query.sql", figures "figure.toml"),
    folder!("message-sizes", "Message sizes", query "query.sql"),
    folder!("throughput", "Throughput of large flows", operator analyses::throughput::run),
    folder!("server-rtt", "Round trips to servers", operator analyses::server_rtt::run),
    folder!("video-quality", "Video of calls", query "query.sql"),
    folder!("protocols", "Protocols", query "query.sql", figures "figure.toml"),
    folder!("evidence", "Evidence of the labels", query "query.sql", figures "figure.toml"),
];

/// The analysis of this id.
///
/// # Errors
/// When there is none, with the nearest id.
pub fn find(id: &str) -> Result<&'static Analysis, Error> {
    ALL.iter().find(|analysis| analysis.id == id).ok_or_else(|| Error::UnknownAnalysis {
        id: id.to_owned(),
        nearest: nearest(id, ALL.iter().map(|analysis| analysis.id)),
    })
}

impl Analysis {
    /// Asks the question of a study.
    ///
    /// # Errors
    /// When the tables cannot be read, or the answer does not fit the session's memory.
    pub fn run(&self, session: &Session, params: &Params) -> Result<Answer, Error> {
        let scope = Scope::new(session, params)?;
        let mut draft = Draft::default();
        for statement in query::statements(self.query) {
            draft.tables.push(NamedTable {
                name: statement.table.to_owned(),
                title: statement.title.to_owned(),
                denominator: statement.denominator,
                rows: scope.sql(statement.sql)?,
            });
        }
        if let Some(operator) = self.operator {
            operator(&scope, &mut draft)?;
        }
        if let Some(k) = params.suppress {
            draft.suppress(k)?;
        }
        let plots = Plots::parse(self.figures).map_err(Error::Engine)?;
        draft.figures.extend(plots.draw(&draft.tables).map_err(Error::Engine)?);
        Ok(Answer {
            id: self.id,
            title: self.title,
            about: self.about,
            params: params.clone(),
            tables: draft.tables,
            figures: draft.figures,
            notes: draft.notes,
        })
    }
}

impl Draft {
    fn suppress(&mut self, k: u64) -> Result<(), Error> {
        for table in &mut self.tables {
            let lost = suppress::table(table, k).map_err(|e| Error::Engine(e.to_string()))?;
            if lost > 0 {
                self.notes.push(format!(
                    "{}: {lost} rows say nothing, since fewer than {k} users stand behind them or behind a row that could be had back from the total",
                    table.title
                ));
            }
        }
        Ok(())
    }
}

/// The reference page of all analyses, in Markdown.
pub fn reference() -> String {
    use std::fmt::Write as _;
    let mut page = String::from(
        "# Analyses\n\nGenerated from the folders in `crates/analysis/src/analyses`; do not \
         edit.\n\nEvery analysis is computed from the study's tables alone. Its parameters: \
         `app` narrows it to one application, `from` and `to` to a time window (flows count \
         where they start), `suppress` takes out numbers about fewer users than it says, \
         `other`, `min-bytes`, `top` and `user-idle` are told where they matter. Columns named \
         `*_share` are fractions of the whole that the table states, `bytes*` and `*_bytes` \
         bytes, `*_s` seconds, `*_ms` milliseconds, `*_bps` bits a second; everything else \
         counts things.\n",
    );
    for analysis in ALL {
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "\n## `{}`: {}\n\n{}\n",
            analysis.id,
            analysis.title,
            analysis.about.trim()
        );
        for statement in query::statements(analysis.query) {
            let (name, title) = (statement.table, statement.title);
            let _ = write!(
                page,
                "\nTable `{name}`: {title}. Denominator: {}.\n",
                statement.denominator
            );
        }
    }
    page
}
