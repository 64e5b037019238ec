//! The tables as one question sees them: cut to its time window, with flows that know their
//! label and their user.

use std::sync::Arc;

use datafusion::common::{ParamValues, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::{Expr, SessionContext, col, lit};
use ottoscope_store::TableInfo;
use ottoscope_store::tables::ALL;
use tokio::runtime::Runtime;

use crate::error::{self, Error};
use crate::functions;
use crate::params::Params;
use crate::session::{self, LABELLED_FLOWS, Rows, Session};
use crate::tables;

/// A study cut to the window of a question.
///
/// Queries name the same tables as outside, and one view more: `user_flows`, which is
/// `labelled_flows` with the `user` whose flow it is, as the ChatDissect paper counts them
/// (section IV): 64 bits for the client, with the number of its session after the first (see the
/// `users` table). `id(text)` gives such bits for any text, by which clients are joined and counted
/// with little memory. Every query may use the parameters `$app`, `$min_bytes`, `$other`, `$top`
/// and `$user_idle`.
pub struct Scope {
    ctx: SessionContext,
    runtime: Arc<Runtime>,
    params: Params,
}

/// Most clients have one session, which no join has to find.
const USER_FLOWS: &str = "
    SELECT f.*, id(CASE WHEN u.session IS NULL THEN f.client ELSE concat(f.client, '/', u.session) END) AS user
    FROM labelled_flows f LEFT JOIN (SELECT * FROM users WHERE session > 0) u
      ON u.client = f.client AND f.first >= u.first AND f.first <= u.last";

impl Scope {
    /// Cuts a study to the window of `params`.
    ///
    /// # Errors
    /// When the engine cannot plan the views.
    pub fn new(session: &Session, params: &Params) -> Result<Self, Error> {
        let outer = session.context();
        let ctx = SessionContext::new_with_config_rt(outer.copied_config(), outer.runtime_env());
        functions::all().into_iter().for_each(|function| ctx.register_udf(function));
        ctx.register_udf(functions::id());
        let scope = Scope { ctx, runtime: Arc::clone(session.runtime()), params: params.clone() };
        scope.fill(outer).map_err(|e| error::explain(&e, &session.names()))?;
        Ok(scope)
    }

    fn fill(&self, outer: &SessionContext) -> Result<(), DataFusionError> {
        for table in ALL {
            let frame = self.runtime.block_on(outer.table(table.name))?;
            let window = window(&self.params, table);
            let provider = match window {
                Some(condition) => frame.filter(condition)?.into_view(),
                None => self.runtime.block_on(outer.table_provider(table.name))?,
            };
            self.ctx.register_table(table.name, provider)?;
        }
        session::define(&self.ctx, &self.runtime, "labelled_flows", LABELLED_FLOWS)?;
        session::define(&self.ctx, &self.runtime, "user_flows", USER_FLOWS)
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Gives rows a name that later queries of this scope may use.
    pub(crate) fn table(&self, name: &str, rows: &Rows) -> Result<(), Error> {
        let table = MemTable::try_new(Arc::clone(&rows.schema), vec![rows.batches.clone()]);
        let registered = table.and_then(|table| self.ctx.register_table(name, Arc::new(table)));
        registered.map(drop).map_err(|e| error::explain(&e, &[]))
    }

    /// Runs one statement to its end.
    ///
    /// # Errors
    /// See [`Session::sql`].
    pub fn sql(&self, sql: &str) -> Result<Rows, Error> {
        let p = &self.params;
        let values = [
            ("app", ScalarValue::Utf8(p.app.clone())),
            ("min_bytes", ScalarValue::UInt64(Some(p.min_bytes))),
            ("other", ScalarValue::Float64(Some(p.other))),
            ("top", ScalarValue::Int64(Some(i64::try_from(p.top).unwrap_or(i64::MAX)))),
            ("user_idle", ScalarValue::Int64(Some(p.user_idle.into()))),
        ];
        session::start(&self.ctx, &self.runtime, sql, Some(ParamValues::from(values.to_vec())))?
            .collect()
    }
}

/// The rows of a table that lie in the window, and the folders that may hold them. Tables of
/// spans (users, captures) keep what overlaps it; tables without times are kept whole.
fn window(params: &Params, table: &TableInfo) -> Option<Expr> {
    let time = |ns: i64| lit(ScalarValue::TimestampNanosecond(Some(ns), Some("UTC".into())));
    let spans = matches!(table.name, "users" | "captures");
    let at = table.time.unwrap_or("first");
    table.position(at)?;
    let mut parts = Vec::new();
    if let Some(from) = params.from {
        parts.push(col(if spans { "last" } else { at }).gt_eq(time(from)));
        if table.time.is_some() && !spans {
            let [date, hour] = tables::partition_of(from).map(lit);
            let after = col("date").gt(date.clone());
            let same = col("date").eq(date).and(col("hour").gt_eq(hour));
            parts.push(after.or(same).or(odd()));
        }
    }
    if let Some(to) = params.to {
        parts.push(col(at).lt(time(to)));
        if table.time.is_some() {
            let [date, hour] = tables::partition_of(to).map(lit);
            let before = col("date").lt(date.clone());
            let same = col("date").eq(date).and(col("hour").lt_eq(hour));
            parts.push(before.or(same).or(odd()));
        }
    }
    parts.into_iter().reduce(Expr::and)
}

/// The folder where the store files rows whose time has no folder of its own.
fn odd() -> Expr {
    let [date, hour] = tables::partition_of(0).map(lit);
    col("date").eq(date).and(col("hour").eq(hour))
}
