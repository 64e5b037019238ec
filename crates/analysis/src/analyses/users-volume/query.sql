-- table: apps
-- title: Users and volume by application
-- denominator: shares are of all users, flows and bytes in the window, labelled or not; a user of two applications counts for both
WITH known AS (
    SELECT coalesce(app, 'unlabelled') AS app, user, packets_up + packets_down AS packets, bytes_up, bytes_down
    FROM user_flows
), apps AS (
    SELECT CASE WHEN grouping(app) = 1 THEN 'total' ELSE app END AS app, count(DISTINCT user) AS users,
           count(*) AS flows, sum(packets) AS packets,
           sum(bytes_up) AS bytes_up, sum(bytes_down) AS bytes_down,
           sum(bytes_up) + sum(bytes_down) AS bytes
    FROM known GROUP BY GROUPING SETS ((app), ())
), whole AS (
    SELECT *, max(users) OVER () AS all_u, max(flows) OVER () AS all_f, max(bytes) OVER () AS all_b FROM apps
)
SELECT app, users, users::DOUBLE / nullif(all_u, 0) AS user_share,
       flows, flows::DOUBLE / nullif(all_f, 0) AS flow_share, packets,
       bytes_up, bytes_down, bytes, bytes::DOUBLE / nullif(all_b, 0) AS byte_share
FROM whole
WHERE all_f > 0 AND ($app IS NULL OR app IN ($app, 'total'))
ORDER BY app = 'total', app = 'unlabelled', bytes DESC, app;

-- table: windows
-- title: Users and volume by capture window
-- denominator: users are client addresses until silent for the user timeout; the application's users have at least one labelled flow (of the chosen application, or of any); captures closer together than that timeout are one window
WITH spans AS (
    SELECT first, last,
           max(last) OVER (ORDER BY first, last ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM captures WHERE first IS NOT NULL
), marked AS (
    SELECT first, last,
           sum(CASE WHEN first::BIGINT - before::BIGINT <= $user_idle * 1000000000 THEN 0 ELSE 1 END)
             OVER (ORDER BY first, last ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS number
    FROM spans
), windows AS (
    SELECT number, min(first) AS start, max(last) AS finish FROM marked GROUP BY number
), per_window AS (
    SELECT w.number, w.start, w.finish, count(DISTINCT f.user) AS users,
           count(DISTINCT f.user) FILTER (WHERE f.app = coalesce($app, f.app)) AS app_users,
           count(*) AS flows, sum(f.bytes_up + f.bytes_down) AS bytes,
           count(*) FILTER (WHERE f.app = coalesce($app, f.app)) AS app_flows,
           sum(f.bytes_up + f.bytes_down) FILTER (WHERE f.app = coalesce($app, f.app)) AS app_bytes
    FROM user_flows f JOIN windows w ON f.first >= w.start AND f.first <= w.finish
    GROUP BY 1, 2, 3
), summed AS (
    SELECT grouping(number) AS of_all, number, min(start) AS start, max(finish) AS finish,
           sum(users) AS users, sum(app_users) AS app_users,
           sum(flows) AS flows, sum(app_flows) AS app_flows,
           sum(bytes) AS bytes, coalesce(sum(app_bytes), 0) AS app_bytes
    FROM per_window GROUP BY GROUPING SETS ((number), ())
)
SELECT CASE WHEN of_all = 1 THEN 'total' ELSE arrow_cast(number, 'Utf8') END AS window,
       start, finish AS end, users, app_users, app_users::DOUBLE / nullif(users, 0) AS app_user_share,
       flows, app_flows, app_flows::DOUBLE / nullif(flows, 0) AS app_flow_share,
       bytes, app_bytes, app_bytes::DOUBLE / nullif(bytes, 0) AS app_byte_share
FROM summed WHERE users > 0
ORDER BY of_all, number;
