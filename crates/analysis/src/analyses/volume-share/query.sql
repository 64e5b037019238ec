-- table: content
-- title: Volume and flows by content
-- denominator: every share is of the application's own total of that column, so each column adds up to one per application
WITH kinds AS (
    SELECT app, grouping(service) AS total, coalesce(service, 'none') AS service,
           count(DISTINCT id(client)) AS users, count(*) AS flows,
           sum(bytes_up) AS up, sum(bytes_down) AS down
    FROM labelled_flows WHERE app = coalesce($app, app)
    GROUP BY GROUPING SETS ((app, service), (app))
), whole AS (
    SELECT *, max(flows) OVER w AS app_f, max(up) OVER w AS app_up, max(down) OVER w AS app_down
    FROM kinds WINDOW w AS (PARTITION BY app)
)
SELECT app, CASE WHEN total = 1 THEN 'total' ELSE service END AS service, users,
       flows, flows::DOUBLE / nullif(app_f, 0) AS flow_share,
       down AS bytes_down, down::DOUBLE / nullif(app_down, 0) AS down_share,
       up AS bytes_up, up::DOUBLE / nullif(app_up, 0) AS up_share,
       up + down AS bytes, (up + down)::DOUBLE / nullif(app_up + app_down, 0) AS byte_share,
       (up + down)::DOUBLE / flows AS mean_bytes
FROM whole
ORDER BY app_up + app_down DESC, app, total, up + down DESC, service;
