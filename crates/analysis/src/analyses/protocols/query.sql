-- table: protocols
-- title: Protocols
-- denominator: shares are of all flows and bytes in the window
WITH kinds AS (
    SELECT transport, coalesce(nullif(protocol, ''), 'unknown') AS protocol, count(DISTINCT id(client)) AS users,
           count(*) AS flows, sum(packets_up + packets_down) AS packets, sum(bytes_up + bytes_down) AS bytes
    FROM labelled_flows WHERE $app IS NULL OR app = $app GROUP BY 1, 2
)
SELECT protocol, transport, users, flows, flows::DOUBLE / nullif(sum(flows) OVER (), 0) AS flow_share,
       packets, bytes, bytes::DOUBLE / nullif(sum(bytes) OVER (), 0) AS byte_share
FROM kinds ORDER BY bytes DESC, protocol, transport;
