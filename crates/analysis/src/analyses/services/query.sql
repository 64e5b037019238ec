-- table: services
-- title: Services and tasks
-- denominator: shares are of the application's own users and bytes; a user of two tasks counts for both
WITH kinds AS (
    SELECT app, coalesce(service, 'none') AS service, coalesce(task, 'none') AS task, sum(bytes_up + bytes_down) AS bytes
    FROM labelled_flows WHERE app = coalesce($app, app) GROUP BY 1, 2, 3
), shares AS (
    SELECT *, bytes::DOUBLE / nullif(sum(bytes) OVER (PARTITION BY app), 0) AS share FROM kinds
), named AS (
    SELECT f.app, f.user, f.bytes_up, f.bytes_down,
           CASE WHEN s.share < $other THEN 'other' ELSE s.service END AS service,
           CASE WHEN s.share < $other THEN 'other' ELSE s.task END AS task
    FROM user_flows f
    JOIN shares s ON s.app = f.app AND s.service = coalesce(f.service, 'none') AND s.task = coalesce(f.task, 'none')
), summed AS (
    SELECT app, grouping(service) AS total, grouping(task) AS of_service, service, task,
           count(DISTINCT user) AS users, count(*) AS flows, sum(bytes_up) AS up, sum(bytes_down) AS down
    FROM named GROUP BY GROUPING SETS ((app, service, task), (app, service), (app))
), whole AS (
    SELECT *, max(users) OVER (PARTITION BY app) AS app_u,
           max(up + down) OVER (PARTITION BY app) AS app_b,
           max(users) OVER (PARTITION BY app, total, service) AS service_u
    FROM summed
)
SELECT app, CASE WHEN total = 1 THEN 'total' ELSE service END AS service,
       service_u AS service_users, service_u::DOUBLE / nullif(app_u, 0) AS service_user_share,
       CASE WHEN total = 1 THEN 'total' ELSE task END AS task,
       users, users::DOUBLE / nullif(app_u, 0) AS user_share, flows,
       up + down AS bytes, (up + down)::DOUBLE / nullif(app_b, 0) AS byte_share,
       up AS bytes_up, up::DOUBLE / nullif(app_b, 0) AS up_share,
       down AS bytes_down, down::DOUBLE / nullif(app_b, 0) AS down_share
FROM whole WHERE total = of_service
ORDER BY app_b DESC, app, total, service, up + down DESC, task;
