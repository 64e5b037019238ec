-- table: sizes
-- title: Request and response sizes
-- denominator: means are over messages of the flows labelled with the application; a request goes from the client to the server
WITH named AS (
    SELECT f.app, coalesce(t.task, f.task, f.service, 'none') AS task, m.protocol, m.direction, m.bytes, f.client
    FROM messages m JOIN (SELECT flow, app, service, task, client FROM labelled_flows WHERE app = coalesce($app, app)) f
      ON f.flow = m.flow
    LEFT JOIN tasks t ON t.protocol = m.protocol AND t.opcode = m.opcode
)
SELECT app, task, protocol, count(DISTINCT id(client)) AS users,
       count(*) FILTER (WHERE direction = 'up') AS requests,
       avg(bytes) FILTER (WHERE direction = 'up') AS request_bytes,
       count(*) FILTER (WHERE direction = 'down') AS responses,
       avg(bytes) FILTER (WHERE direction = 'down') AS response_bytes
FROM named GROUP BY 1, 2, 3 ORDER BY app, task, protocol;
