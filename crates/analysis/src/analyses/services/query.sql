-- table: services
-- title: Services and tasks
-- denominator: shares are of the application's own users and bytes; a user of two tasks counts for both
WITH per_user AS (
    SELECT app, coalesce(service, 'none') AS service, coalesce(task, 'none') AS task, client, session,
           count(*) AS flows, sum(bytes_up) AS up, sum(bytes_down) AS down
    FROM user_flows WHERE app = coalesce($app, app) GROUP BY 1, 2, 3, 4, 5
), shared AS (
    SELECT *, sum(up + down) OVER (PARTITION BY app, service, task)::DOUBLE
              / nullif(sum(up + down) OVER (PARTITION BY app), 0) AS share
    FROM per_user
), named AS (
    SELECT app, client, session,
           CASE WHEN share < $other THEN 'other' ELSE service END AS service,
           CASE WHEN share < $other THEN 'other' ELSE task END AS task,
           sum(flows) AS flows, sum(up) AS up, sum(down) AS down
    FROM shared GROUP BY 1, 2, 3, 4, 5
), once AS (
    SELECT *,
           CASE WHEN row_number() OVER (PARTITION BY app, client, session ORDER BY service, task) = 1 THEN 1 ELSE 0 END AS of_app,
           CASE WHEN row_number() OVER (PARTITION BY app, service, client, session ORDER BY task) = 1 THEN 1 ELSE 0 END AS of_service
    FROM named
), summed AS (
    SELECT app, grouping(service) AS total, service, task,
           CASE WHEN grouping(service) = 1 THEN sum(of_app) ELSE count(*) END AS users,
           sum(of_service) AS of_service,
           sum(flows) AS flows, sum(up) AS up, sum(down) AS down
    FROM once GROUP BY GROUPING SETS ((app, service, task), (app))
), whole AS (
    SELECT *, max(users) OVER (PARTITION BY app) AS app_u,
           max(up + down) OVER (PARTITION BY app) AS app_b,
           CASE WHEN total = 1 THEN users ELSE sum(of_service) OVER (PARTITION BY app, total, service) END AS service_u
    FROM summed
)
SELECT app, CASE WHEN total = 1 THEN 'total' ELSE service END AS service,
       service_u AS service_users, service_u::DOUBLE / nullif(app_u, 0) AS service_user_share,
       CASE WHEN total = 1 THEN 'total' ELSE task END AS task,
       users, users::DOUBLE / nullif(app_u, 0) AS user_share, flows,
       up + down AS bytes, (up + down)::DOUBLE / nullif(app_b, 0) AS byte_share,
       up AS bytes_up, up::DOUBLE / nullif(app_b, 0) AS up_share,
       down AS bytes_down, down::DOUBLE / nullif(app_b, 0) AS down_share
FROM whole
ORDER BY app_b DESC, app, total, service, up + down DESC, task;
