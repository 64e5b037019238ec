-- table: tasks
-- title: Tasks by opcode
-- denominator: shares are of the application's users and message bytes with opcodes; a user of two tasks counts for both
WITH known AS (
    SELECT f.app, f.user, m.opcode, m.direction, m.bytes,
           coalesce(t.service, 'none') AS service, coalesce(t.task_group, 'none') AS task_group,
           coalesce(t.task, 'unknown') AS task
    FROM messages m
    JOIN (SELECT flow, app, user FROM user_flows WHERE app = coalesce($app, app)) f ON f.flow = m.flow
    LEFT JOIN tasks t ON t.protocol = m.protocol AND t.opcode = m.opcode
    WHERE m.opcode IS NOT NULL
), summed AS (
    SELECT app, grouping(task) AS total, service, task_group, task,
           count(DISTINCT user) AS users, count(DISTINCT opcode) AS opcodes, count(*) AS messages,
           coalesce(sum(bytes) FILTER (WHERE direction = 'up'), 0) AS up,
           coalesce(sum(bytes) FILTER (WHERE direction = 'down'), 0) AS down
    FROM known GROUP BY GROUPING SETS ((app, service, task_group, task), (app))
), whole AS (
    SELECT *, max(users) OVER (PARTITION BY app) AS app_u, max(up + down) OVER (PARTITION BY app) AS app_b
    FROM summed
)
SELECT app, CASE WHEN total = 1 THEN 'total' ELSE service END AS service,
       CASE WHEN total = 1 THEN 'total' ELSE task_group END AS task_group,
       CASE WHEN total = 1 THEN 'total' ELSE task END AS task,
       users, users::DOUBLE / nullif(app_u, 0) AS user_share, opcodes, messages,
       up + down AS bytes, (up + down)::DOUBLE / nullif(app_b, 0) AS byte_share,
       up AS bytes_up, down AS bytes_down
FROM whole
ORDER BY app_b DESC, app, total, up + down DESC, task;
